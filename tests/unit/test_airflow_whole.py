"""Airflow is whole when all its processes live and each has reported since the youngest of them began."""

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from ronghe.orchestration import service
from ronghe.orchestration.servers import SERVERS
from ronghe.processes import ServiceState

BEGAN = 1_800_000_000.0
RUNNING = ServiceState(1, 8080, "", BEGAN)


def whole(monkeypatch: pytest.MonkeyPatch, reported: float, processes: int = len(SERVERS), **ill: str) -> bool:
    """Ask of an Airflow whose scheduler reported so many seconds after its youngest process began."""

    def health(*_: object, **__: object) -> httpx.Response:
        parts = ("scheduler", "triggerer", "dag_processor")
        instants = {part: datetime.fromtimestamp(BEGAN + 5, UTC).isoformat() for part in parts}
        instants["scheduler"] = datetime.fromtimestamp(BEGAN + reported, UTC).isoformat()
        found = {
            part: {"status": ill.get(part, "healthy"), f"latest_{part}_heartbeat": instants[part]} for part in parts
        }
        return httpx.Response(200, json={"metadatabase": {"status": "healthy"}, **found})

    monkeypatch.setattr(httpx, "get", health)
    monkeypatch.setattr(service, "children", lambda _: [SimpleNamespace(pid=n) for n in range(processes)])
    monkeypatch.setattr(service, "began", lambda pid: BEGAN - pid)
    return service.is_whole(RUNNING)


def test_it_is_whole_when_all_have_reported_since(monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole(monkeypatch, 5)


def test_report_of_the_one_that_was_killed_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not whole(monkeypatch, -1)


def test_one_that_is_not_there_or_is_ill_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not whole(monkeypatch, 5, len(SERVERS) - 1)
    assert not whole(monkeypatch, 5, triggerer="unhealthy")
