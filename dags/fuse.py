"""### Fuse organisations, places, service items and events

Runs when any feed was accepted, and takes whatever is accepted and not fused yet; an event that was lost or came
twice changes nothing. Start it by hand at any time: with nothing new it ends at once.

| task | writes |
|---|---|
| fuse_divisions | `fused.division`: codes with their years of validity |
| fuse_organisations | `fused.organisation`, one row per unified social credit code, and the links behind it |
| fuse_places | `fused.place`, one row per station or stop, and the links behind it |
| fuse_service_items | `fused.service_item`, one row per national basic code |
| fuse_service_requests | `fused.service_request`, one row per request, without who asked |
| fuse_events | `fused.event`, one row per incident, keyed to place and division |

**If a task fails**, its log names the cause; clear it. Tables are replaced in one commit, so readers never see half.
"""

from airflow.sdk import DAG, AssetAny

from ronghe.contracts import load_feeds
from ronghe_airflow.assets import accepted
from ronghe_airflow.defaults import settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="fuse",
    schedule=AssetAny(*(accepted(feed) for feed in load_feeds().values())),
    tags=["layer:fused", "tier:1"],
    doc_md=__doc__,
    **settings(),
):
    divisions, places = job_task("fuse_divisions"), job_task("fuse_places")
    divisions >> job_task("fuse_organisations")
    [divisions, job_task("fuse_service_items")] >> job_task("fuse_service_requests")
    [divisions, places] >> job_task("fuse_events")
