"""The client of Airflow's API, against answers made here."""

from collections.abc import Callable

import httpx
import pytest

from ronghe.cli import night
from ronghe.orchestration import client
from ronghe.orchestration.client import Airflow, TaskState
from ronghe.orchestration.service import AirflowError

TASKS = [
    {"task_id": task_id, "state": state, "duration": None}
    for task_id, state in (("land", "success"), ("judge", "running"), ("accept", None))
]


def airflow(scheduler: str, states: Callable[[], str]) -> Airflow:
    """Return a connection to an Airflow whose scheduler is so and whose run's state is asked for each time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/monitor/health"):
            return httpx.Response(200, json={"scheduler": {"status": scheduler}})
        if request.url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": TASKS})
        return httpx.Response(200, json={"state": states()})

    return Airflow(httpx.Client(base_url="http://localhost", transport=httpx.MockTransport(answer)))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_QUIET_SECONDS", 0.8)
    monkeypatch.setattr(client, "_ASKED_SECONDS", 0.0)
    monkeypatch.setattr(client, "_STOPPED_SECONDS", 0.1)


def test_run_is_not_waited_for_when_the_scheduler_has_stopped() -> None:
    with pytest.raises(AirflowError, match="scheduler has stopped"):
        airflow("unhealthy", lambda: "running").follow([("fuse", "run")], lambda _: None)


def test_run_is_followed_while_the_scheduler_is_well() -> None:
    states = iter(["running", "running", "success"])
    assert airflow("healthy", lambda: next(states)).follow([("fuse", "run")], lambda _: None) == set()


def test_a_task_is_told_once_when_it_ends_and_the_others_when_nothing_does() -> None:
    states = iter(["running", "running", "running", "success"])
    ended, going = [], []
    airflow("healthy", lambda: next(states)).follow([("fuse", "run")], ended.append, going.append)
    assert [task.task_id for task in ended] == ["land"]
    assert [[(task.task_id, task.state) for task in tasks] for tasks in going] == [
        [("judge", "running"), ("accept", "waiting")]
    ]


def test_tasks_that_go_on_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    states = (("land", "running"), ("judge", "queued"), ("accept", "up_for_retry"))
    night.report_going([TaskState("ingest_guiyang", task, state, None) for task, state in states])
    night.report_going([])
    assert capsys.readouterr().out.splitlines() == [
        "  . running: ingest_guiyang.land; waiting: 2",
        "  . running: none; waiting: 0",
    ]


@pytest.mark.parametrize(("lives", "answers"), [(True, True), (False, False)], ids=["kept", "ended"])
def test_question_is_asked_again_while_somebody_starts_what_died(lives: bool, answers: bool) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"state": "success", "dag_run_id": "run"})

    found = Airflow(httpx.Client(base_url="http://localhost", transport=httpx.MockTransport(answer)), lambda: lives)
    if answers:
        assert found.run_state("fuse", "run") == "success"
    else:
        with pytest.raises(AirflowError, match="answers no more"):
            found.run_state("fuse", "run")
    assert len(asked) == 1 + answers


def test_order_is_given_once() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        raise httpx.ReadTimeout("late")

    with pytest.raises(AirflowError, match="answers no more"):
        Airflow(httpx.Client(base_url="http://localhost", transport=httpx.MockTransport(answer))).trigger("fuse")
    assert asked == ["POST"]
