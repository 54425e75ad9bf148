"""### Livelihood, every night

Takes what was fused across to the open half, counts persons through the gate, and counts things. Parts (days, months,
terms) whose rows did not change are left alone. To rebuild past days, start a run with `days`.

| task | writes |
|---|---|
| record_inputs | `meta.night_input`: which sources were in, and which are late |
| desensitise_fused | every table of `safe`; free text goes through the analyzer |
| build_passenger_flow | `mart.passenger_flow`: place and quarter of an hour |
| build_social_security | `mart.social_security`: division, month and scheme |
| build_education | `mart.education`: division, term and kind of school |
| build_service_request | `mart.service_request`: division, topic and day |
| build_road_traffic | `mart.road_traffic`: road site, direction and hour |
| build_transit_supply | `mart.transit_supply`: stop and hour of the service day, from the timetable |
| build_pipe_network | `mart.pipe_network`: division, kind of network and day |
| build_ecology | `mart.ecology`: station, indicator and day |
| judge_marts | `meta.quality`: every check of the open tables that changed; pages in `data/open/docs/quality` |

**If a source is late** the night goes on without it, says so, and builds its days in the run after it came: see
docs/runbooks/late-source.md. **If the gate fails** ("cell below the minimum count") nothing of that part is published
and the last version stays up: docs/runbooks/gate-failed.md. **If `judge_marts` fails**, its log and the pages name the
checks that do not hold, and nothing is released: docs/runbooks/quality-stop.md. Any other failed task:
docs/runbooks/failed-task.md.
"""

from airflow.sdk import DAG

from ronghe_airflow.alerts import deadline
from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="nightly_livelihood",
    schedule=cron("30 3 * * *"),
    tags=["layer:mart", "tier:1"],
    deadline=deadline(minutes=90),
    **settings(__doc__),
):
    built = [
        job_task("desensitise_fused"),
        job_task("build_passenger_flow"),
        job_task("build_social_security"),
        job_task("build_education"),
        job_task("build_service_request"),
        job_task("build_road_traffic"),
        job_task("build_transit_supply"),
        job_task("build_pipe_network"),
        job_task("build_ecology"),
    ]
    job_task("record_inputs") >> built
    built >> job_task("judge_marts")
