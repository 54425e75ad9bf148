"""Tasks: every one runs `jobs/<verb>.py` in its own process, against the engine the connection names."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from airflow.sdk import Asset, BaseHook, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from ronghe import engine
from ronghe.contracts import Feed, catalogue
from ronghe.home import Home
from ronghe.job import run_job
from ronghe_airflow import secrets
from ronghe_airflow.defaults import ENGINE_CONNECTION, ENGINE_POOL, ENGINE_SLOTS


def job_task(
    verb: str,
    *,
    feed: Feed | None = None,
    outlets: Sequence[Asset] = (),
    skip_if_none: bool = False,
    loads_databases: bool = False,
    **options: Any,
) -> Any:
    """Make a task of a job.

    Args:
        verb: the job's file name without its suffix; also the task's id, with the feed's name where there is one.
        feed: the feed the job works on.
        outlets: assets the task touches when it ends well.
        skip_if_none: whether the task and what follows are skipped when the job finds nothing to do.
        loads_databases: whether the job loads extracts into databases, whose addresses it needs.
        options: further options of the task.
    """

    def run() -> int:
        """Run the job and return how many things it worked on."""
        engine.revive_if_lost(Home.find())
        connection = BaseHook.get_connection(ENGINE_CONNECTION)
        wanted = secrets.of_extracts(catalogue().extracts.values()) if loads_databases else secrets.of_feed(feed)
        with secrets.provided(wanted):
            count = run_job(
                import_module(f"jobs.{verb}").run,
                verb,
                feed_id=feed.id if feed else None,
                days=get_current_context()["params"].get("days"),
                address=f"sc://{connection.host}:{connection.port}",
            )
        if skip_if_none and count == 0:
            raise AirflowSkipException("nothing new: deliveries in the landing zone are known and accepted")
        return count

    task_id = f"{verb}__{feed.name}" if feed else verb
    return task(task_id=task_id, pool=ENGINE_POOL, outlets=list(outlets), **options)(run)()


@task(pool=ENGINE_POOL, pool_slots=ENGINE_SLOTS)
def recycle_engine() -> bool:
    """Start an old or large engine afresh; all slots of the pool are taken, so no job is using it."""
    return engine.recycle_if_due(Home.find())
