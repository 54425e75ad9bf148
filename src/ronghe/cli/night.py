"""The night by hand: every ingest, the fusion their events start, then the nightly outputs, with visible progress."""

import time

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
        states = airflow.follow([(dag, airflow.trigger(dag, days)) for dag in ingests], _report)
        states |= airflow.follow(_fusion(airflow, known), _report)
        states |= airflow.follow([(dag, airflow.trigger(dag, days)) for dag in NIGHTLY], _report)
    failed = sorted(dag for dag, state in states.items() if state != "success")
    typer.echo(f"\nThe night took {time.monotonic() - began:.0f} s.")
    show_built(home)
    if failed:
        typer.secho(f"Failed: {', '.join(failed)}. Open the run in Airflow; its page says what to do.", fg="red")
    return not failed


def _fusion(airflow: Airflow, known: set[str]) -> list[tuple[str, str]]:
    """Return the runs of the fusion that the ingests' events started and that did not end yet; start one if none."""
    deadline = time.monotonic() + _EVENT_SECONDS
    while time.monotonic() < deadline:
        started = [run for run in airflow.runs(FUSE) if run["dag_run_id"] not in known]
        pending = [(FUSE, str(run["dag_run_id"])) for run in started if run["state"] not in ENDED]
        if pending:
            return pending[:1]
        time.sleep(0.5)
    # Events are hints: whatever is accepted and not fused yet is taken now.
    return [(FUSE, airflow.trigger(FUSE))]


def _report(task: TaskState) -> None:
    """Print one line for a task that ended."""
    sign = _SIGNS.get(task.state, "!")
    said = _WORDS.get(task.state) or (f"{task.seconds:.0f} s" if task.state == "success" else task.state)
    typer.echo(f"  {sign} {task.dag_id + '.' + task.task_id:58} {said}")
