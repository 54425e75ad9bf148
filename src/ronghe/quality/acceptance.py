"""The last word on a delivery: conservation is counted, the checks are run, then it is accepted or stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Feed, Table
from ronghe.contracts.expectations import Expectation
from ronghe.ingest.closed import KEYS, closed_until, purged_ids
from ronghe.ingest.deliveries import Delivery, Event, accepted_among
from ronghe.job import DataStopped
from ronghe.lake import Lake
from ronghe.quality.checks import Result, judge
from ronghe.standardise.standardiser import of_open_key_days

FATES = ("accepted", "deduplicated", "quarantined")
# A share of fewer records than this says little; each of them is in quarantine with its reason all the same.
SHARE_FROM_RECORDS = 50


def count_fates(
    std: DataFrame, duplicate: DataFrame, quarantine: DataFrame, delivery_ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count the records of each fate in each delivery, from the three tables that hold them.

    Returns:
        By delivery id: `accepted`, `deduplicated`, `quarantined`.
    """
    counted = [
        frame.where(F.col("delivery_id").isin(*delivery_ids))
        .groupBy("delivery_id")
        .count()
        .withColumn("fate", F.lit(fate))
        for fate, frame in zip(FATES, (std, duplicate, quarantine), strict=True)
    ]
    found = {delivery_id: dict.fromkeys(FATES, 0) for delivery_id in delivery_ids}
    for row in counted[0].unionByName(counted[1]).unionByName(counted[2]).collect():
        found[row["delivery_id"]][row["fate"]] = row["count"]
    return found


def refuse_loss(deliveries: Sequence[Delivery], read: dict[str, int], fates: dict[str, dict[str, int]]) -> None:
    """Check that every record has exactly one fate.

    Raises:
        DataStopped: read differs from accepted + deduplicated + quarantined; names the delivery and the counts.
    """
    for delivery in deliveries:
        counts = fates[delivery.delivery_id]
        if sum(counts.values()) != read[delivery.delivery_id]:
            raise DataStopped(
                f"{delivery.feed_id}: {delivery.path} has {read[delivery.delivery_id]} records and fates for "
                f"{sum(counts.values())} ({counts}). Nothing more is done with it; run the task again, and file an "
                "issue if the counts stay apart."
            )


@dataclass
class Verdicts:
    """What does not hold of each delivery, by its id; and every judgement behind it, by the ids judged together."""

    broken: dict[str, tuple[Result, ...]]
    judged: dict[tuple[str, ...], tuple[Result, ...]] = field(default_factory=dict)


def judge_deliveries(
    feed: Feed,
    deliveries: Sequence[Delivery],
    counts: dict[str, dict[str, int]],
    std: DataFrame,
    table: Table,
    expectations: Sequence[Expectation],
) -> Verdicts:
    """Judge how much of each delivery is in quarantine, and run the table's checks on the rows that are new.

    One bad delivery does not hold back the others: where the checks of all rows together stop, each delivery is judged
    by itself.
    """
    held_back = {d.delivery_id: _too_many_quarantined(feed, counts[d.delivery_id]) for d in deliveries}
    filled = [d.delivery_id for d in deliveries if counts[d.delivery_id]["accepted"]]
    judged = _judge_rows(filled, std, table, expectations) if filled else {}
    # Later judgements are of single deliveries and know better than those of all together.
    broken = {i: tuple(r for r in results if not r.success) for ids, results in judged.items() for i in ids}
    return Verdicts({i: (*found, *broken.get(i, ())) for i, found in held_back.items()}, judged)


def _too_many_quarantined(feed: Feed, counts: dict[str, int]) -> tuple[Result, ...]:
    """Return a failure where so many records are in quarantine that the source must have changed its ways."""
    records, quarantined = sum(counts.values()), counts["quarantined"]
    if records < SHARE_FROM_RECORDS or 100 * quarantined / records <= feed.max_quarantined_pct:
        return ()
    limit = f"quarantined records (more than {feed.max_quarantined_pct:g} %)"
    return (Result("", limit, None, "stop", False, element_count=records, unexpected_count=quarantined),)


def _judge_rows(
    delivery_ids: Sequence[str], std: DataFrame, table: Table, expectations: Sequence[Expectation]
) -> dict[tuple[str, ...], tuple[Result, ...]]:
    """Run the checks on the rows of the deliveries together and, where they stop, on each by itself."""
    every = tuple(sorted(delivery_ids))
    judged = {every: judge(table, _rows_of(std, every), expectations)}
    if len(every) > 1 and any(result.stops for result in judged[every]):
        judged |= {(one,): judge(table, _rows_of(std, [one]), expectations) for one in every}
    return judged


def leaning(duplicate: DataFrame, quarantine: DataFrame, gone: Sequence[str]) -> frozenset[str]:
    """Return the ids of deliveries with a row that is held for a duplicate, or the other side, of a given one's.

    A delivery that leans on one of those leans on the given ones too, and so on.

    Args:
        duplicate: `meta.duplicate`.
        quarantine: `meta.quarantine`.
        gone: ids of deliveries whose rows stand no more.
    """
    found: frozenset[str] = frozenset()
    if not gone:
        return found
    sides = quarantine.select("delivery_id", F.col("other_delivery_id").alias("kept_delivery_id"))
    leans = duplicate.select("delivery_id", "kept_delivery_id").unionByName(sides)
    newest = frozenset(gone)
    while newest:
        rows = leans.where(F.col("kept_delivery_id").isin(*newest)).select("delivery_id").distinct().collect()
        newest = frozenset(row["delivery_id"] for row in rows) - found
        found |= newest
    return found - frozenset(gone)


def _rows_of(std: DataFrame, delivery_ids: Sequence[str]) -> DataFrame:
    return std.where(F.col("delivery_id").isin(*delivery_ids))


def verdict(feed: Feed, delivery: Delivery, found: Sequence[Result], counts: dict[str, int], read: int) -> Event:
    """Return the event that ends the intake of a delivery."""
    stopping = [result for result in found if result.stops]
    said = "; ".join(str(result) for result in (stopping or found)) or None
    event = "stopped" if stopping else "accepted"
    return Event(delivery, event, feed.version, counts={"read": read, **counts}, reason=said)


def consequences(
    lake: Lake, claimed: Sequence[Delivery], gone: Sequence[Delivery], newer: Mapping[str, str]
) -> list[Event]:
    """Return what follows for other deliveries from verdicts on some.

    Args:
        lake: read for the ledger and for who leans on whom.
        claimed: what the verdicts are on.
        gone: deliveries whose rows stand no more: those that were restated, and those that were stopped.
        newer: id of the delivery that restates them, by the path of those that were restated.

    Returns:
        `superseded` for each that was restated, `reopened` for each that leans on one that is gone: a row that was a
        duplicate of another, or contradicted it, may stand now.
    """
    versions = {feed.id: feed.version for feed in lake.catalogue.feeds.values()}

    def event(delivery: Delivery, code: str, said: str) -> Event:
        return Event(delivery, code, versions[delivery.feed_id], reason=said)

    found = [
        event(d, "superseded", f"delivery {newer[d.path]} of the same name restates it")
        for d in gone
        if d.path in newer
    ]
    ids = leaning(lake.read("meta.duplicate"), lake.read("meta.quarantine"), [d.delivery_id for d in gone])
    told = "it leans on a delivery that was restated or stopped; it is standardised again"
    # What was purged, or has lost the key of a day, cannot be standardised again as it was; its rows stand as they are.
    leaners = accepted_among(lake, ids)
    known = {d.delivery_id for d in claimed} | purged_ids(lake) | _keyless(lake, leaners)
    return found + [event(d, "reopened", told) for d in leaners if d.delivery_id not in known]


def _keyless(lake: Lake, deliveries: Sequence[Delivery]) -> set[str]:
    """Return the ids of deliveries with a row, or a duplicate of one, of a service day whose key was destroyed.

    They would get other tokens, and pair with nothing that they paired with.
    """
    closed, found = closed_until(lake, KEYS), set[str]()
    if closed is None:
        return found
    for target in sorted({lake.catalogue.feed(d.feed_id).target for d in deliveries}):
        rows = lake.read(target).where(~of_open_key_days(lake.catalogue.table(target), closed))
        kept = rows.select(
            F.col("delivery_id").alias("kept_delivery_id"), F.col("record_number").alias("kept_record_number")
        )
        leaning_on = lake.read("meta.duplicate").join(kept, kept.columns, "left_semi")
        with_such = rows.select("delivery_id").unionByName(leaning_on.select("delivery_id"))
        asked = with_such.where(F.col("delivery_id").isin(*(d.delivery_id for d in deliveries))).distinct()
        found |= {row["delivery_id"] for row in asked.collect()}
    return found
