"""### Release extracts, every morning

Runs after the nightly DAGs. Each extract (`schemas/extracts/`) whose tables changed becomes a data package under
`data/open/releases/<extract>/<release id>`; `current.json` beside it names the one that is up. Then the extract's
database is loaded, in one transaction.

| task | writes |
|---|---|
| release_extracts | `meta.release`, the packages, `current.json`, the databases |

**If the task fails**, its log names the extract and what its audit found. The last release stays up, and so do the
rows of the database: consumers never see half. Mend what is named and clear the task; an extract that did not change
is left alone. See docs/runbooks/release-failed.md; with a full disk, docs/runbooks/disk-full.md.
"""

from airflow.sdk import DAG

from ronghe_airflow.alerts import deadline
from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.tasks import job_task

with DAG(
    dag_id="release_extracts",
    schedule=cron("30 5 * * *"),
    tags=["layer:release", "tier:1"],
    deadline=deadline(minutes=90),
    **settings(__doc__),
):
    job_task("release_extracts", loads_databases=True)
