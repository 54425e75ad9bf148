"""One DAG per declared source: land each feed, bring it under the standard, accept it."""

from airflow.sdk import DAG

from ronghe.contracts import load_feeds, load_sources
from ronghe_airflow.alerts import deadline
from ronghe_airflow.assets import accepted
from ronghe_airflow.defaults import cron, settings
from ronghe_airflow.docs import ingest_markdown
from ronghe_airflow.tasks import job_task

feeds = load_feeds().values()

for source in load_sources().values():
    own = [feed for feed in feeds if feed.source_code == source.code]
    with DAG(
        dag_id=f"ingest_{source.code}",
        schedule=cron(source.schedule, source.timezone),
        tags=["layer:raw", f"source:{source.code}", "tier:1"],
        deadline=deadline(minutes=90),
        **settings(ingest_markdown(source, own)),
    ):
        for feed in own:
            job_task("ingest_deliveries", feed=feed, skip_if_none=True, outlets=[accepted(feed)])
