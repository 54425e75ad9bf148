"""The night by hand: every ingest, then the fusion, then the nightly outputs, with visible progress."""

import time
from collections.abc import Iterable

import typer

from ronghe.cli.status import show_built, show_late
from ronghe.contracts import load_sources
from ronghe.home import Home
from ronghe.job import Days
from ronghe.orchestration import service
from ronghe.orchestration.client import Airflow, TaskState

FUSE = "fuse"
# One after the other: the index may read what the livelihood's night made, a release everything.
NIGHTLY = ("nightly_livelihood", "nightly_risk_index", "release_extracts")

_SIGNS = {"success": "+", "skipped": "-", "up_for_retry": "~"}
_WORDS = {"skipped": "nothing new", "up_for_retry": "failed, will try again"}


def run_night(home: Home, days: str | None) -> bool:
    """Run ingest, fuse and nightly DAGs one after the other; say whether all ended well.

    Raises:
        AirflowError: Airflow does not run, refuses, or reads other declarations than this process.
        ContractError: `days` is no day and no range of days.
    """
    if days:
        Days.parse(days)  # every task would fail of it, and be told
    if running := service.state(home):
        service.refuse_other_declarations(running)
    ingests = [f"ingest_{code}" for code in load_sources()]
    began = time.monotonic()
    with Airflow.connect(home) as airflow:
        airflow.await_dags({*ingests, FUSE, *NIGHTLY})
        # Every accepted feed would start a fusion of its own; one that comes after all of them takes everything.
        with airflow.held(FUSE):
            failed = _follow(airflow, ingests, days)
        for dag_id in (FUSE, *NIGHTLY):
            failed |= _follow(airflow, [dag_id], days)
    typer.echo(f"\nThe night took {time.monotonic() - began:.0f} s.")
    show_built(home)
    show_late(home)
    if failed:
        named = ", ".join(sorted(failed))
        typer.secho(f"Failed: {named}. Open the run in Airflow; the DAG's page says what to do.", fg="red")
    return not failed


def _follow(airflow: Airflow, dag_ids: Iterable[str], days: str | None) -> set[str]:
    """Start DAGs side by side and follow them; return those of which the run failed."""
    return airflow.follow([(dag_id, airflow.trigger(dag_id, days)) for dag_id in dag_ids], _report, report_going)


def _report(task: TaskState) -> None:
    """Print one line for a task that ended."""
    sign = _SIGNS.get(task.state, "!")
    said = _WORDS.get(task.state) or (f"{task.seconds:.0f} s" if task.state == "success" else task.state)
    typer.echo(f"  {sign} {task.dag_id + '.' + task.task_id:58} {said}")


def report_going(tasks: list[TaskState]) -> None:
    """Print one line for the tasks that have not ended."""
    running = [f"{task.dag_id}.{task.task_id}" for task in tasks if task.state == "running"]
    typer.echo(f"  . running: {', '.join(running) or 'none'}; waiting: {len(tasks) - len(running)}")
