"""Assets: hints that something was accepted. A lost or doubled one changes nothing."""

from airflow.sdk import Asset

from ronghe.contracts import Feed


def accepted(feed: Feed) -> Asset:
    """Return the asset that an ingest touches when deliveries of the feed were accepted."""
    return Asset(name=f"accepted:{feed.id}", uri=f"x-ronghe://accepted/{feed.source_code}/{feed.name}")
