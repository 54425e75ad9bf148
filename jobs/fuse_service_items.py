"""Fuse every source's list of service items into one row per national basic code.

Reads:  the tables the linkage `service_item` names (accepted deliveries)
Writes: fused.service_item
Usage:  python jobs/fuse_service_items.py
Returns 1, or 0 where nothing new was accepted.
"""

from ronghe.fuse import service_items
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main

TARGET = "fused.service_item"


def run(ctx: JobContext) -> int:
    """Merge each item's records by trust and recency."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("service_item")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = lake.fingerprint(TARGET, accepted, (), [linkage])
    if lake.is_current(TARGET, done):
        return 0
    return int(lake.merge(TARGET, service_items.merge(gather(lake, linkage)), done))


if __name__ == "__main__":
    job_main(run)
