"""What Airflow calls when a task fails or a run misses its deadline: a notification, and never a row's content."""

import asyncio
from datetime import timedelta
from typing import Any

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

from ronghe.monitoring.notify import Event, notify


def task_failed(context: Any) -> None:
    """Tell that a task has failed for good: its name and the kind of its error; the task's log says the rest."""
    task = context["task_instance"]
    kind = type(context.get("exception")).__name__
    text = f"run {task.run_id} failed with {kind} in try {task.try_number}; the task's log names the cause"
    notify(Event("task_failed", f"{task.dag_id}.{task.task_id}", text, "failed-task"))


async def deadline_missed(minutes: int, context: dict[str, Any]) -> None:
    """Tell that a run is not done in time; Airflow's triggerer calls it, so it must not block."""
    run = context.get("dag_run") or {}
    text = f"run {run.get('dag_run_id', '?')} was not done {minutes} min after it was queued"
    event = Event("deadline_missed", str(run.get("dag_id", "?")), text, "failed-task")
    await asyncio.to_thread(notify, event)


def deadline(minutes: int) -> DeadlineAlert:
    """Return the deadline of a DAG: its runs are done so many minutes after they were queued."""
    callback = AsyncCallback(deadline_missed, {"minutes": minutes})
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(minutes=minutes), callback)
