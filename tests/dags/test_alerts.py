"""What Airflow calls when a task fails or a run is late: it can be imported where it is called, and quotes no row."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ronghe.monitoring.notify import Event

pytestmark = pytest.mark.dags

ROW = "13800001111 张三"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from ronghe_airflow import alerts

    events: list[Event] = []
    monkeypatch.setattr(alerts, "notify", events.append)
    return events


def test_failed_task_is_told_by_the_kind_of_its_error(told: list[Event]) -> None:
    from ronghe_airflow.alerts import task_failed

    task = SimpleNamespace(dag_id="fuse", task_id="fuse_places", run_id="r1", try_number=3)
    task_failed({"task_instance": task, "exception": ValueError(ROW)})
    [event] = told
    assert (event.kind, event.subject, event.runbook) == ("task_failed", "fuse.fuse_places", "failed-task")
    assert event.text == "run r1 failed with ValueError in try 3; the task's log names the cause"


def test_missed_deadline_is_told_by_the_path_that_the_triggerer_imports(told: list[Event]) -> None:
    from airflow.sdk._shared.module_loading import import_string

    from ronghe_airflow.alerts import deadline

    callback = deadline(minutes=90).callback
    # As Airflow keeps it between scheduler and triggerer, and calls it there with the run it is about.
    kept = json.loads(json.dumps(callback.serialize()))
    context: dict[str, Any] = {"dag_run": {"dag_id": "fuse", "dag_run_id": "r1"}, "deadline": {"id": "d"}}
    asyncio.run(import_string(kept["path"])(**kept["kwargs"], context=context))
    [event] = told
    assert (event.kind, event.subject) == ("deadline_missed", "fuse")
    assert event.text == "run r1 was not done 90 min after it was queued"


def test_every_dag_but_the_event_driven_and_the_weekly_one_has_a_deadline() -> None:
    folder = Path(__file__).parents[2] / "dags"
    without = {path.stem for path in folder.glob("*.py") if "deadline=deadline(" not in path.read_text("utf-8")}
    assert without == {"fuse", "maintain_lake"}
