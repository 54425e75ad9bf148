"""### Risk index, every night

Measures the network-security risk of 31 provincial regions and 32 cities by week and ranks them, after the livelihood
marts. What an index is made of stands in `schemas/indices/`; weeks whose deliveries and declarations did not change
are left alone. To rebuild past weeks, start a run with `days`; a week is built if its Sunday is among them.

| task | writes |
|---|---|
| build_risk_index | `mart.risk_indicator`: week, unit and indicator; `mart.risk_index`: week and unit |
| judge_marts | `meta.quality`: every check of what was built; the pages about quality |

**If a source is late** its indicators are imputed or missing, and a unit with too few of them is not ranked; the week
is built again in the run after the delivery came. **If a rank jumps**, look at `rank_low` and `rank_high` first, then
at `mart.risk_indicator` for cells with `is_imputed` or `is_clamped`. A low score means that fewer threats were seen,
not that defence is better. **If `judge_marts` fails**: docs/runbooks/quality-stop.md; any other failed task:
docs/runbooks/failed-task.md.
"""

from airflow.sdk import DAG

from ronghe_airflow.alerts import deadline
from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="nightly_risk_index",
    schedule=cron("30 4 * * *"),
    tags=["layer:mart", "tier:1"],
    deadline=deadline(minutes=90),
    **settings(__doc__),
):
    job_task("build_risk_index") >> job_task("judge_marts")
