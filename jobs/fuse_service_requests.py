"""Fuse the states of requests to the administration into one row per request, without who asked.

Reads:  std.service_request (accepted deliveries), fused.service_item, fused.division
Writes: fused.service_request
Usage:  python jobs/fuse_service_requests.py
Returns 1, or 0 where nothing new was accepted or fused.
"""

from ronghe.fuse import service_requests
from ronghe.ingest.deliveries import accepted_ids, accepted_rows
from ronghe.job import JobContext, job_main
from ronghe.privacy.keyed_hash import key_frame
from ronghe.privacy.keys import KeyStore

REQUESTS, ITEMS, DIVISIONS, TARGET = (
    "std.service_request",
    "fused.service_item",
    "fused.division",
    "fused.service_request",
)
KEY_ID = "purpose_service_request_id"


def run(ctx: JobContext) -> int:
    """Take each request's newest state, give it its id, and key it to item and division."""
    lake = ctx.lake
    done = lake.fingerprint(TARGET, accepted_ids(lake, [REQUESTS]), [ITEMS, DIVISIONS])
    if lake.is_current(TARGET, done):
        return 0
    keys = key_frame(ctx.spark, KeyStore(ctx.home.keys).ensure([KEY_ID]))
    requests = accepted_rows(lake, REQUESTS)
    rows = service_requests.fuse(requests, lake.read(ITEMS), lake.read(DIVISIONS), keys, KEY_ID)
    return int(lake.merge(TARGET, rows, done))


if __name__ == "__main__":
    job_main(run)
