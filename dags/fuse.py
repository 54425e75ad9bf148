"""### Fuse organisations, places and public assets

Runs when any feed was accepted, and takes whatever is accepted and not fused yet; an event that was lost or came
twice changes nothing. Start it by hand at any time: with nothing new it ends at once.

| task | writes |
|---|---|
| fuse_divisions | `fused.division`: codes with their years of validity |
| fuse_organisations | `fused.organisation`, one row per unified social credit code, and the links behind it |
| fuse_assets | `fused.asset`, one row per segment of pipe or other public asset, with its owner |
| fuse_places | `fused.place`, one row per station, stop or school, and the links behind it |

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
    job_task("fuse_divisions") >> job_task("fuse_organisations") >> job_task("fuse_assets")
    job_task("fuse_places")
