"""Bring landed records under the standard: each becomes a row of std, a line in quarantine, or a known duplicate.

Reads:  raw.<source>__<feed> (deliveries landed and not accepted yet), the feed's target table
Writes: meta.quarantine, meta.duplicate, then the feed's target table
Usage:  python jobs/standardise_deliveries.py --feed shenzhen.swipe
Returns the number of deliveries standardised.
"""

from ronghe.ingest.deliveries import Ledger
from ronghe.job import JobContext, job_main
from ronghe.lake import Part
from ronghe.privacy.keys import KeyStore
from ronghe.standardise import fates


def run(ctx: JobContext) -> int:
    """Judge the records once, then write quarantine, duplicates and rows, in this order."""
    feed, lake = ctx.feed, ctx.lake
    ledger = Ledger(lake, feed)
    deliveries = ledger.unclaimed()
    if not deliveries:
        return 0
    claim = ledger.claim(deliveries)
    part = Part("delivery_id", tuple(d.delivery_id for d in deliveries))
    found = fates.decide(lake, feed, deliveries, ledger.restated(deliveries), KeyStore(ctx.home.keys))
    for table, frame in (
        ("meta.quarantine", found.quarantined),
        ("meta.duplicate", found.duplicates),
        (feed.target, found.standing),
    ):
        declared = fates.rules(feed, ctx.catalogue)
        lake.replace(table, frame, lake.fingerprint(table, claim, [feed.raw_table], declared), part)
    return len(deliveries)


if __name__ == "__main__":
    job_main(run)
