"""Land what a source has delivered: every record as read, numbered, without the columns the contract refuses.

Reads:  the feed's folder of the landing zone, filled first from the source's own system where the feed has a transport
Writes: raw.<source>__<feed>, meta.delivery (landed, rejected, duplicate)
Usage:  python jobs/land_deliveries.py --feed shenzhen.swipe
Returns the number of deliveries that wait to be standardised.
"""

from ronghe.crash import crash_point
from ronghe.ingest.closed import times_cleared
from ronghe.ingest.deliveries import Ledger, discover
from ronghe.ingest.landing import stage
from ronghe.ingest.transports import fetch
from ronghe.job import JobContext, job_main
from ronghe.lake import Part
from ronghe.monitoring.notify import Event as Notice
from ronghe.monitoring.notify import notify
from ronghe.stores import hand_over, take_back


def run(ctx: JobContext) -> int:
    """Fetch, stage new deliveries, write them to raw in one commit, then say so in the ledger."""
    feed, lake, shared = ctx.feed, ctx.lake, ctx.home.shared_staging(ctx.feed.id)
    take_back(shared)  # of a run that was killed: nothing else would remove it where its deliveries are landed
    fetch(feed, ctx.home)
    crash_point("ingest:fetched")
    ledger = Ledger(lake, feed)
    new = ledger.unseen(d for d in discover(feed, ctx.home.landing) if ctx.days is None or d.business_date in ctx.days)
    known, newest = ledger.landed_content(), ledger.newest()
    staged = stage(feed, new, ctx.home.landing, ctx.home.staging(feed.id), known, newest)
    crash_point("ingest:staged")
    if staged.files:
        paths = hand_over(tuple(staged.files.values()), shared)
        crash_point("ingest:shared")
        raw = ctx.spark.read.parquet(*paths)
        part = Part("delivery_id", tuple(sorted(staged.files)))
        scope = [part.values, times_cleared(lake, feed.id)]
        lake.replace(feed.raw_table, raw, lake.fingerprint(feed.raw_table, scope, declarations=[feed]), part)
        take_back(shared)
    for event in staged.events:  # told before it is recorded: a run that is killed here tells it twice, and not never
        if event.event_code == "rejected":
            said = f"{event.delivery.path} rejected: {event.reason}"
            notify(Notice("delivery_rejected", feed.id, said, "stopped-delivery"))
    ledger.record(staged.events)
    crash_point("ingest:recorded")
    for path in staged.files.values():
        path.unlink()
    return len(ledger.unclaimed())


if __name__ == "__main__":
    job_main(run)
