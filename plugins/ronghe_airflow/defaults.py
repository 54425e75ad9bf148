"""Defaults of every DAG: one place for owners, retries, the pool and the closed list of tags."""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, ExceptionRetryPolicy, Param, RetryAction, RetryRule

from ronghe import engine
from ronghe_airflow.alerts import task_failed

TIMEZONE = "Asia/Shanghai"

ENGINE_POOL, ENGINE_SLOTS = engine.POOL, engine.POOL_SLOTS
ENGINE_CONNECTION = "spark_connect"

# What a retry cannot mend fails at once; what may pass is tried again after a short wait.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["ronghe.contracts.base.ContractError", "ronghe.job.DataStopped"],
            action=RetryAction.FAIL,
            reason="data or declarations must be mended first",
        ),
        RetryRule(
            exception="ronghe.engine.EngineError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=30),
            reason="the engine does not answer",
        ),
        RetryRule(
            exception="ronghe.ingest.transports.SourceUnavailable",
            action=RetryAction.RETRY,
            retry_delay=timedelta(minutes=5),
            reason="the source does not answer",
        ),
    ]
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "ronghe",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": task_failed,
}

# The business days a person may ask for; by default a run takes whatever is due.
DAYS_PARAM = Param(
    None,
    type=["null", "string"],
    pattern=r"^\d{4}-\d{2}-\d{2}(\.\.\d{4}-\d{2}-\d{2})?$",
    title="Business days",
    description="2026-11-01..2026-11-07 or one day; empty: whatever is due",
)

# kind -> values; a test refuses any other tag. Sources are added by their code.
TAGS = {"layer": ("raw", "fused", "mart", "release", "lake"), "tier": ("1", "2")}


def cron(expression: str, timezone: str = TIMEZONE) -> CronTriggerTimetable:
    """Return a schedule whose first run is the next tick.

    Airflow's default starts the last tick too if it is less than a tenth of the period ago, beside the run a person
    has just asked for.
    """
    return CronTriggerTimetable(expression, timezone=timezone, run_immediately=timedelta(0))


def settings(page: str | None) -> dict[str, Any]:
    """Return what every DAG is made with, beside its own settings; no start date, so that `cron` holds.

    Args:
        page: what an operator reads of it, in Markdown; its heading stands in the list of DAGs.
    """
    page = page or ""
    return {
        "doc_md": page,
        "description": page.partition("\n")[0].lstrip("# "),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": DEFAULT_ARGS,
        "params": {"days": DAYS_PARAM},
    }
