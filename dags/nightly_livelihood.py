"""### Livelihood, every night

Takes what was fused across to the open half, counts persons through the gate, and counts things. Parts (days, months,
terms) whose rows did not change are left alone. To rebuild past days, start a run with `days`.

| task | writes |
|---|---|
| desensitise_fused | `safe.organisation`, `safe.place`, `safe.asset`, `safe.division` |
| build_passenger_flow | `mart.passenger_flow`: place and quarter of an hour |
| build_social_security | `mart.social_security`: division, month and scheme |
| build_education | `mart.education`: division, term and kind of school |
| build_pipe_network | `mart.pipe_network`: division, kind of network and day |

**If a source is late** the night goes on without it, and its days are built in the run after it came. **If the gate
fails** ("cell below the minimum count") nothing of that part is published: keep the last version up and report it.
"""

from airflow.sdk import DAG

from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="nightly_livelihood",
    schedule=cron("30 3 * * *"),
    tags=["layer:mart", "tier:1"],
    doc_md=__doc__,
    **settings(),
):
    job_task("desensitise_fused")
    job_task("build_passenger_flow")
    job_task("build_social_security")
    job_task("build_education")
    job_task("build_pipe_network")
