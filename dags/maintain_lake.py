"""### Maintain the lake, every day

Destroys what has to go: day keys, identifiers and original deliveries when a lateness window has closed, rows whose
retention is over. Then compacts small files and removes those that no version of the retention period needs; rows stay
as they are. Then an engine that is old or large is started afresh while no job uses it and all went well.

**If it fails** nothing is lost: clear it, or wait for the next day; a destruction that was cut off is taken up. See
docs/runbooks/failed-task.md; with a full disk, docs/runbooks/disk-full.md.
"""

from airflow.sdk import DAG

from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task, recycle_engine

with DAG(
    dag_id="maintain_lake",
    schedule=cron("0 6 * * *"),
    tags=["layer:lake", "tier:2"],
    **settings(__doc__),
):
    # What stopped the destruction is told by its own task; the rest is maintained all the same.
    destroy, maintain = job_task("destroy_due"), job_task("maintain_lake", trigger_rule="all_done")
    destroy >> maintain
    # A run is what its last task is: it follows both, or the run would be green though nothing was destroyed.
    [destroy, maintain] >> recycle_engine()
