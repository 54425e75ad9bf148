"""The client of Airflow's API, against answers made here."""

from collections.abc import Callable

import httpx
import pytest

from ronghe.orchestration import client
from ronghe.orchestration.client import Airflow
from ronghe.orchestration.service import AirflowError


def airflow(scheduler: str, states: Callable[[], str]) -> Airflow:
    """Return a connection to an Airflow whose scheduler is so and whose run's state is asked for each time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/monitor/health"):
            return httpx.Response(200, json={"scheduler": {"status": scheduler}})
        if request.url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": []})
        return httpx.Response(200, json={"state": states()})

    return Airflow(httpx.Client(base_url="http://localhost", transport=httpx.MockTransport(answer)))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ASKED_SECONDS", 0.0)
    monkeypatch.setattr(client, "_STOPPED_SECONDS", 0.1)


def test_run_is_not_waited_for_when_the_scheduler_has_stopped() -> None:
    with pytest.raises(AirflowError, match="scheduler has stopped"):
        airflow("unhealthy", lambda: "running").follow([("fuse", "run")], lambda _: None)


def test_run_is_followed_while_the_scheduler_is_well() -> None:
    states = iter(["running", "running", "success"])
    assert airflow("healthy", lambda: next(states)).follow([("fuse", "run")], lambda _: None) == set()
