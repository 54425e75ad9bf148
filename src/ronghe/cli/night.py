"""The night by hand: every ingest, the fusion their events start, then the nightly outputs, with visible progress."""

import time
from datetime import UTC, datetime

import typer

from ronghe.cli.status import show_built
from ronghe.contracts import load_sources
from ronghe.home import Home
from ronghe.orchestration.client import ENDED, Airflow, TaskState

FUSE, NIGHTLY = "fuse", ("nightly_livelihood",)
# How long an asset's event may take to become a run; after that the fusion is started by hand.
_EVENT_SECONDS = 5.0

_SIGNS = {"success": "+", "skipped": "-", "up_for_retry": "~"}
_WORDS = {"skipped": "nothing new", "up_for_retry": "failed, will try again"}


def run_night(home: Home, days: str | None) -> bool:
    """Run ingest, fuse and nightly DAGs one after the other; say whether all ended well."""
    ingests = [f"ingest_{code}" for code in load_sources()]
    began = time.monotonic()
    with Airflow.connect(home) as airflow:
        airflow.await_dags({*ingests, FUSE, *NIGHTLY})
        known = {run["dag_run_id"] for run in airflow.runs(FUSE)}
        failed = airflow.follow([(dag, airflow.trigger(dag, days)) for dag in ingests], _report)
        failed |= _fuse(airflow, known)
        failed |= airflow.follow([(dag, airflow.trigger(dag, days)) for dag in NIGHTLY], _report)
    typer.echo(f"\nThe night took {time.monotonic() - began:.0f} s.")
    show_built(home)
    if failed:
        named = ", ".join(sorted(failed))
        typer.secho(f"Failed: {named}. Open the run in Airflow; the DAG's page says what to do.", fg="red")
    return not failed


def _fuse(airflow: Airflow, known: set[str]) -> set[str]:
    """Follow the fusions that the ingests' events start, until one began after the ingests had ended.

    Events are hints: where none comes in time, the fusion is started by hand and takes what was accepted.

    Returns:
        The DAGs of which a run failed.
    """
    ended, failed = datetime.now(UTC), set()
    deadline = time.monotonic() + _EVENT_SECONDS
    while time.monotonic() < deadline:
        runs = [run for run in airflow.runs(FUSE) if run["dag_run_id"] not in known]
        pending = [(FUSE, str(run["dag_run_id"])) for run in runs if run["state"] not in ENDED]
        if pending:
            failed |= airflow.follow(pending, _report)
            deadline = time.monotonic() + _EVENT_SECONDS
        elif any(datetime.fromisoformat(run["start_date"]) >= ended for run in runs):
            return failed
        else:
            time.sleep(0.5)
    return failed | airflow.follow([(FUSE, airflow.trigger(FUSE))], _report)


def _report(task: TaskState) -> None:
    """Print one line for a task that ended."""
    sign = _SIGNS.get(task.state, "!")
    said = _WORDS.get(task.state) or (f"{task.seconds:.0f} s" if task.state == "success" else task.state)
    typer.echo(f"  {sign} {task.dag_id + '.' + task.task_id:58} {said}")
