"""Accept what may be used: conservation is asserted, the table's checks are run, the verdict is the last event.

Reads:  the feed's target table, meta.duplicate, meta.quarantine, meta.delivery
Writes: meta.quality (what became of each check), meta.delivery (accepted or stopped; superseded or reopened of others)
Usage:  python jobs/accept_deliveries.py --feed shenzhen.swipe
Returns the number of deliveries accepted.
"""

from ronghe.ingest.deliveries import Ledger
from ronghe.job import DataStopped, JobContext, job_main
from ronghe.monitoring.notify import Event as Notice
from ronghe.monitoring.notify import notify
from ronghe.quality import acceptance, judgements


def run(ctx: JobContext) -> int:
    """Count, judge, record; a stopped delivery stays out of every later step."""
    feed, lake = ctx.feed, ctx.lake
    ledger = Ledger(lake, feed)
    deliveries = ledger.unclaimed()
    if not deliveries:
        return 0
    std, read = lake.read(feed.target), ledger.read_counts()
    counts = acceptance.count_fates(
        std, lake.read("meta.duplicate"), lake.read("meta.quarantine"), [d.delivery_id for d in deliveries]
    )
    acceptance.refuse_loss(deliveries, read, counts)
    checks = ctx.catalogue.expectations(feed.target)
    found = acceptance.judge_deliveries(feed, deliveries, counts, std, ctx.catalogue.table(feed.target), checks)
    for judged, results in found.judged.items():
        scope = judgements.deliveries_scope(judged)
        state = judgements.judgement_state(lake, feed.target, scope, checks)
        judgements.record(lake, judgements.Judgement(feed.target, scope, state, results))
    events = [
        acceptance.verdict(feed, d, found.broken[d.delivery_id], counts[d.delivery_id], read[d.delivery_id])
        for d in deliveries
    ]
    stopped = [event for event in events if event.event_code == "stopped"]
    # Rows called duplicates of what is stopped now are none: their delivery waits and is standardised again, and so
    # does whatever leans on it in turn.
    duplicate, quarantine = lake.read("meta.duplicate"), lake.read("meta.quarantine")
    waiting = acceptance.leaning(duplicate, quarantine, [event.delivery.delivery_id for event in stopped])
    events = [e for e in events if e in stopped or e.delivery.delivery_id not in waiting]
    accepted = [event.delivery for event in events if event.event_code == "accepted"]
    gone = [*ledger.restated(accepted), *(event.delivery for event in stopped)]
    newer = {delivery.path: delivery.delivery_id for delivery in accepted}
    for event in stopped:  # told before it is recorded: a run that is killed here tells it twice, and not never
        said = f"{event.delivery.path} stopped: {event.reason}"
        notify(Notice("delivery_stopped", feed.id, said, "stopped-delivery"))
    told = ledger.record([*events, *acceptance.consequences(lake, deliveries, gone, newer)])
    if stopped:
        raise DataStopped("; ".join(f"{e.delivery.path} stopped: {e.reason}" for e in stopped))
    return len(accepted) if told else 0


if __name__ == "__main__":
    job_main(run)
