"""`ronghe replay` beside a running Airflow: no ingest of the source runs while it decides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ronghe.cli import replay as command
from ronghe.home import Home
from ronghe.job import DataStopped
from ronghe.quality import replay

FEED, DAG = "shenzhen.swipe", "ingest_shenzhen"


class Airflow:
    """Notes what it is asked, in its order."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    @contextmanager
    def held(self, dag_id: str) -> Iterator[None]:
        self.told.append(f"hold {dag_id}")
        try:
            yield
        finally:
            self.told.append(f"release {dag_id}")

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        states = ("queued", "running", "success")
        return [{"dag_run_id": f"run {state}", "state": state} for state in states]

    def follow(self, runs: list[tuple[str, str]], report: Callable[[object], None]) -> set[str]:
        self.told.extend(f"await {run}" for _, run in runs)
        return set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []

    @contextmanager
    def connect(home: Home) -> Iterator[Airflow]:
        yield Airflow(told)

    def run_job(run: object, name: str, **options: object) -> int:
        told.append(f"{name} {options['feed_id']} {options['days']}")
        return 3

    monkeypatch.setattr(command.service, "state", lambda home: object())
    monkeypatch.setattr(command.Airflow, "connect", connect)
    monkeypatch.setattr(command, "run_job", run_job)
    return told


def test_replay_waits_for_a_running_ingest_and_keeps_the_next_from_starting(
    told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.replay_feed(Home(tmp_path), FEED, "2026-11-02")
    # A queued run of a paused DAG does not start: nobody waits for it.
    assert told == [
        f"hold {DAG}",
        "await run running",
        f"replay_quarantine {FEED} 2026-11-02",
        f"release {DAG}",
    ]
    assert "3 records left quarantine, 0 stay" in capsys.readouterr().out


def test_ingest_may_run_again_after_a_replay_that_was_stopped(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> int:
        raise DataStopped("a check does not hold")

    monkeypatch.setattr(command, "run_job", stopped)
    with pytest.raises(DataStopped):
        command.replay_feed(Home(tmp_path), FEED, None)
    assert told[-1] == f"release {DAG}"


def test_replay_without_airflow_needs_none(told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.service, "state", lambda home: None)
    command.replay_feed(Home(tmp_path), FEED, None)
    assert told == [f"replay_quarantine {FEED} None"]


def test_what_was_destroyed_is_told(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = ("format:fare_cny", f"code:swipe_kind_code {replay.DESTROYED}")
    lines = [{"feed_id": FEED, "reasons": text} for text in reasons] + [{"feed_id": "other", "reasons": "x"}]
    monkeypatch.setattr(command.Lake, "rows", lambda *_: type("Rows", (), {"to_pylist": lambda self: lines})())
    command.replay_feed(Home(tmp_path), FEED, None)
    said = capsys.readouterr().out
    assert "2 stay" in said
    assert "of these 1 cannot be replayed" in said
