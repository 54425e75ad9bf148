"""Records in quarantine, decided again by the rules in force now: what passes moves to where it belongs.

Quarantine keeps what broke a rule until somebody mends the rule. The records are read from raw, never from the
landing zone; those of their deliveries that stand keep their fates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Feed
from ronghe.ingest.deliveries import Delivery, Event, Ledger
from ronghe.job import DataStopped, JobContext
from ronghe.lake import Lake, Part, digest
from ronghe.privacy.keys import KeyStore
from ronghe.quality import judgements
from ronghe.quality.acceptance import count_fates, refuse_loss
from ronghe.quality.checks import judge
from ronghe.standardise.fates import OTHER_SIDE, RECORD, Fates, decide, rules

QUARANTINE, DUPLICATE = "meta.quarantine", "meta.duplicate"
# A line of quarantine whose raw record, or the key of whose day, was destroyed.
DESTROYED = "destroyed:record"


@dataclass(frozen=True)
class Again:
    """What quarantined records become by the rules in force.

    `deliveries` are those of which a record has another fate or other reasons than before; `kept` holds the lines that
    stay in quarantine of these.
    """

    deliveries: tuple[Delivery, ...]
    fates: Fates
    kept: DataFrame


def run(ctx: JobContext) -> int:
    """Decide, judge, move, record; return how many records left quarantine.

    What is built from the deliveries is built again by the next run: their state is another one.
    """
    feed, lake = ctx.feed, ctx.lake
    ledger = Ledger(lake, feed)
    deliveries = ledger.with_quarantine(ctx.days)
    if not deliveries:
        return 0
    again = decide_again(lake, feed, deliveries, KeyStore(ctx.home.keys))
    if again.deliveries:
        refuse_unsound(lake, feed, again)
        move(lake, feed, again, ledger.read_counts())
    before = ledger.quarantined_counts()
    events = replayed(lake, feed, ledger, deliveries)
    ledger.record(events)
    return sum(before[e.delivery.delivery_id] - e.counts["quarantined"] for e in events)


def decide_again(lake: Lake, feed: Feed, deliveries: Sequence[Delivery], keys: KeyStore) -> Again:
    """Decide the quarantined records of accepted deliveries once more.

    Args:
        lake: read for raw records, quarantine, and the rows that stand.
        feed: the feed's contract as it is now.
        deliveries: accepted ones with records in quarantine.
        keys: where token keys are kept.
    """
    lines = lake.read(QUARANTINE).where(F.col("delivery_id").isin(*(d.delivery_id for d in deliveries)))
    found = decide(lake, feed, deliveries, (), keys, lines)
    left = (
        found.standing.select(*RECORD).unionByName(found.duplicates.select(*RECORD)).withColumn("leaves", F.lit(True))
    )
    still = found.quarantined.select(*RECORD, F.struct("reasons", "record", *OTHER_SIDE).alias("now"))
    # A record of which raw, or the key of its day, is gone is neither right nor wrong.
    without_raw = F.concat_ws(" ", F.regexp_replace("reasons", f" ?{DESTROYED}", ""), F.lit(DESTROYED))
    as_it_was = F.struct(without_raw.alias("reasons"), "record", *OTHER_SIDE)
    decided = (
        lines.join(left, list(RECORD), "left")
        .join(still, list(RECORD), "left")
        .withColumn("now", F.coalesce("now", F.when(F.col("leaves").isNull(), as_it_was)))
        .localCheckpoint()
    )
    changed = decided.where(F.col("leaves") | (F.col("now.reasons") != F.col("reasons")))
    ids = {row["delivery_id"] for row in changed.select("delivery_id").distinct().collect()}
    stays = F.col("leaves").isNull() & F.col("delivery_id").isin(*ids)
    kept = decided.where(stays).select(*RECORD, "feed_id", "now.*")
    return Again(tuple(d for d in deliveries if d.delivery_id in ids), found, kept)


def refuse_unsound(lake: Lake, feed: Feed, again: Again) -> None:
    """Run the checks of the target on the deliveries as they would be, before a row moves.

    Raises:
        DataStopped: a check that must hold does not; nothing was moved.
    """
    ids = [d.delivery_id for d in again.deliveries]
    table, checks = lake.catalogue.table(feed.target), lake.catalogue.expectations(feed.target)
    there = lake.read(feed.target).where(F.col("delivery_id").isin(*ids))
    new = _missing(again.fates.standing, there).select(*there.columns)
    results = judge(table, there.unionByName(new), checks)
    scope = judgements.deliveries_scope(ids)
    state = digest(judgements.judgement_state(lake, feed.target, scope, checks), lake.state(QUARANTINE))
    judgements.record(lake, judgements.Judgement(feed.target, scope, state, results))
    if broken := [str(result) for result in results if result.stops]:
        raise DataStopped(
            f"{feed.id}: with what would come out of quarantine {'; '.join(broken)} does not hold. Nothing was moved: "
            "mend the rule, or replay fewer days (--days); docs/runbooks/quality-stop.md."
        )


def move(lake: Lake, feed: Feed, again: Again, read: dict[str, int]) -> None:
    """Put what passes where it belongs, count that nothing is missing, and only then take it out of quarantine.

    Killed anywhere, a record is in quarantine or where it belongs, or in both; the same done again leaves it in one.

    Args:
        lake: written.
        feed: the feed's contract.
        again: what is to be moved.
        read: records of each delivery, by its id.

    Raises:
        DataStopped: a record would have no fate, or two; names the delivery.
    """
    ids = tuple(d.delivery_id for d in again.deliveries)
    declared, inputs = rules(feed, lake.catalogue), [feed.raw_table, QUARANTINE]
    for table, frame in ((feed.target, again.fates.standing), (DUPLICATE, again.fates.duplicates)):
        new = _missing(frame, lake.read(table).where(F.col("delivery_id").isin(*ids)))
        if not new.isEmpty():
            lake.append(table, new, lake.fingerprint(table, ["replayed", *ids], inputs, declared))
    counts = count_fates(lake.read(feed.target), lake.read(DUPLICATE), again.kept, ids)
    refuse_loss(again.deliveries, read, counts)
    scope = lake.fingerprint(QUARANTINE, ["replayed", *ids], inputs, declared)
    lake.replace(QUARANTINE, again.kept, scope, Part("delivery_id", ids))


def _missing(frame: DataFrame, there: DataFrame) -> DataFrame:
    """Return the records that are not there: a replay that was cut off has put some of them in."""
    return frame.join(there.select(*RECORD), list(RECORD), "left_anti")


def replayed(lake: Lake, feed: Feed, ledger: Ledger, deliveries: Sequence[Delivery]) -> tuple[Event, ...]:
    """Return an event for each delivery of which fewer records are in quarantine than the ledger says.

    A replay that was cut off before its last step is told by the next one.
    """
    ids = [d.delivery_id for d in deliveries]
    found = count_fates(lake.read(feed.target), lake.read(DUPLICATE), lake.read(QUARANTINE), ids)
    known, read = ledger.quarantined_counts(), ledger.read_counts()
    changed = [d for d in deliveries if found[d.delivery_id]["quarantined"] != known[d.delivery_id]]
    refuse_loss(changed, read, found)
    return tuple(
        Event(d, "replayed", feed.version, counts={"read": read[d.delivery_id], **found[d.delivery_id]})
        for d in changed
    )
