"""### Fuse organisations, places, assets, services and events

Runs when any feed was accepted, and before the nightly DAGs, and takes whatever is accepted and not fused yet; an event
that was lost or came twice changes nothing. Start it by hand at any time: with nothing new it ends at once.

| task | writes |
|---|---|
| fuse_divisions | `fused.division`: codes with their years of validity |
| fuse_organisations | `fused.organisation`, one row per unified social credit code; doubts go to `meta.link_review` |
| fuse_places | `fused.place`, one row per station, stop, school or other place, and the links behind it |
| fuse_assets | `fused.asset`, one row per segment of pipe or other public asset, with its owner |
| fuse_service_items | `fused.service_item`, one row per national basic code |
| fuse_service_requests | `fused.service_request`, one row per request, without who asked |
| fuse_events | `fused.event`, one row per incident, keyed to place, asset and division |
| fuse_vulnerabilities | `fused.vulnerability`, one row per CVE number |

**If a task fails**, its log names the cause; clear it. Tables are replaced in one commit, so readers never see half.
See docs/runbooks/failed-task.md.
"""

from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule

from ronghe.contracts import load_feeds
from ronghe_airflow.assets import accepted
from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="fuse",
    # A run of an ingest that accepts one delivery and is stopped by another fails, and sends no event.
    schedule=AssetOrTimeSchedule(
        timetable=cron("0 3 * * *"), assets=AssetAny(*(accepted(feed) for feed in load_feeds().values()))
    ),
    tags=["layer:fused", "tier:1"],
    **settings(__doc__),
):
    divisions, places, items = job_task("fuse_divisions"), job_task("fuse_places"), job_task("fuse_service_items")
    assets = job_task("fuse_assets")
    divisions >> job_task("fuse_organisations") >> assets
    [divisions, items] >> job_task("fuse_service_requests")
    [places, assets] >> job_task("fuse_events")
    job_task("fuse_vulnerabilities")
