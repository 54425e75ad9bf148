"""Fuse every source's organisation records into one row per organisation.

Reads:  the tables the linkage `organisation` names (accepted deliveries), fused.division
Writes: fused.link_organisation_record, meta.link_review, fused.link_organisation_source, fused.organisation
Usage:  python jobs/fuse_organisations.py
Returns 1, or 0 where nothing new was accepted.
"""

from ronghe.fuse import organisations
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main
from ronghe.privacy.keyed_hash import key_frame
from ronghe.privacy.keys import KeyStore

RECORDS, REVIEW = "fused.link_organisation_record", "meta.link_review"
LINKS, TARGET = "fused.link_organisation_source", "fused.organisation"
KEY_ID = "purpose_organisation_id"


def run(ctx: JobContext) -> int:
    """Link by unified social credit code, else by name; merge each organisation's records by trust and recency."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("organisation")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = {
        name: lake.fingerprint(name, accepted, ["fused.division"], [linkage])
        for name in (RECORDS, REVIEW, LINKS, TARGET)
    }
    if all(lake.is_current(name, fingerprint) for name, fingerprint in done.items()):
        return 0
    keys = key_frame(ctx.spark, KeyStore(ctx.home.keys).ensure([KEY_ID]))
    gathered = gather(lake, linkage)
    # Everything below is made from these: read, hashed and matched once.
    records = organisations.identified(gathered, keys, KEY_ID).persist()
    matched = organisations.match_names(gathered, records).persist()
    lake.replace(RECORDS, organisations.by_name(matched), done[RECORDS])
    lake.replace(REVIEW, organisations.to_review(matched), done[REVIEW])
    lake.replace(LINKS, organisations.links(records, matched), done[LINKS])
    lake.merge(TARGET, organisations.merge(records, lake.read("fused.division")), done[TARGET])
    for held in (matched, records):
        held.unpersist()
    return 1


if __name__ == "__main__":
    job_main(run)
