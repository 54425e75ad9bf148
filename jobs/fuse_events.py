"""Fuse incidents of every source into events, keyed to places, assets and divisions.

Reads:  the tables the linkage `event` names (accepted deliveries), fused.place, fused.link_place_source, fused.asset,
        fused.division
Writes: fused.event
Usage:  python jobs/fuse_events.py
Returns 1, or 0 where nothing new was accepted or fused.
"""

from ronghe.fuse import events
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main
from ronghe.privacy.keyed_hash import key_frame
from ronghe.privacy.keys import KeyStore

TARGET = "fused.event"
KEY_ID = "purpose_event_id"
KNOWN = ("fused.place", "fused.link_place_source", "fused.asset", "fused.division")


def run(ctx: JobContext) -> int:
    """Merge the states of each incident, then key it to the place close by, its asset and the division of its day."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("event")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = lake.fingerprint(TARGET, accepted, KNOWN, [linkage])
    if lake.is_current(TARGET, done):
        return 0
    keys, known = key_frame(ctx.spark, KeyStore(ctx.home.keys).ensure([KEY_ID])), {n: lake.read(n) for n in KNOWN}
    rows = events.fuse(gather(lake, linkage), known, linkage.name_radius_metres, keys, KEY_ID)
    return int(lake.merge(TARGET, rows, done))


if __name__ == "__main__":
    job_main(run)
