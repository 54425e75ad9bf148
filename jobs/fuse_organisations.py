"""Fuse every source's organisation records into one row per organisation.

Reads:  the tables the linkage `organisation` names (accepted deliveries), fused.division
Writes: fused.link_organisation_source, fused.organisation
Usage:  python jobs/fuse_organisations.py
Returns 1, or 0 where nothing new was accepted.
"""

from ronghe.fuse import organisations
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.tokens import key_frame

LINKS, TARGET = "fused.link_organisation_source", "fused.organisation"
KEY_ID = "purpose_organisation_id"


def run(ctx: JobContext) -> int:
    """Link by unified social credit code, then merge each organisation's records by trust and recency."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("organisation")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = {name: lake.fingerprint(name, accepted, ["fused.division"], [linkage]) for name in (LINKS, TARGET)}
    if all(lake.is_current(name, fingerprint) for name, fingerprint in done.items()):
        return 0
    keys = key_frame(ctx.spark, KeyStore(ctx.home.keys).ensure([KEY_ID]))
    records = organisations.identified(gather(lake, linkage), keys, KEY_ID)
    lake.replace(LINKS, organisations.links(records), done[LINKS])
    lake.merge(TARGET, organisations.merge(records, lake.read("fused.division")), done[TARGET])
    return 1


if __name__ == "__main__":
    job_main(run)
