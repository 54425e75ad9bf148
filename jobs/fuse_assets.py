"""Fuse every source's records of public assets into one row per asset, keyed to its owner and division.

Reads:  the tables the linkage `asset` names (accepted deliveries), fused.link_organisation_source, fused.division
Writes: fused.asset
Usage:  python jobs/fuse_assets.py
Returns 1, or 0 where nothing new was accepted.
"""

from ronghe.fuse import assets
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main
from ronghe.privacy.keyed_hash import key_frame
from ronghe.privacy.keys import KeyStore

TARGET, OWNERS, DIVISIONS = "fused.asset", "fused.link_organisation_source", "fused.division"
KEY_ID = "purpose_asset_id"


def run(ctx: JobContext) -> int:
    """Link by source, kind and code, merge by trust and recency, find the owners."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("asset")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = lake.fingerprint(TARGET, accepted, [OWNERS, DIVISIONS], [linkage])
    if lake.is_current(TARGET, done):
        return 0
    keys = key_frame(ctx.spark, KeyStore(ctx.home.keys).ensure([KEY_ID]))
    records = assets.identified(gather(lake, linkage), keys, KEY_ID)
    lake.merge(TARGET, assets.merge(records, lake.read(OWNERS), lake.read(DIVISIONS)), done)
    return 1


if __name__ == "__main__":
    job_main(run)
