"""Fuse what sources call stations, stops and other places into one row per place.

Reads:  the tables the linkage `place` names (accepted deliveries), fused.link_place_source (for ids to keep)
Writes: fused.link_place_source, fused.place
Usage:  python jobs/fuse_places.py
Returns the number of places, or 0 where nothing new was accepted.
"""

from ronghe.contracts.ddl import schema_ddl
from ronghe.fuse import places
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main

LINKS, TARGET = "fused.link_place_source", "fused.place"
IDENTITY = ["source_code", "place_kind_code", "place_code", "place_name"]


def run(ctx: JobContext) -> int:
    """Link sightings by code and by name close by, keep the ids they had, write links and places."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("place")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = {name: lake.fingerprint(name, accepted, (), [linkage]) for name in (LINKS, TARGET)}
    if all(lake.is_current(name, fingerprint) for name, fingerprint in done.items()):
        return 0
    known = {tuple(row[k] for k in IDENTITY): row["place_id"] for row in lake.rows(LINKS).to_pylist()}
    found = places.link(places.sightings(gather(lake, linkage)), known, linkage.name_radius_metres)
    for name, rows in ((LINKS, places.link_rows(found)), (TARGET, places.place_rows(found))):
        lake.replace(name, ctx.spark.createDataFrame(rows, schema_ddl(ctx.catalogue.table(name))), done[name])
    return len(found)


if __name__ == "__main__":
    job_main(run)
