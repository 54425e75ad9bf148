"""The last word on a delivery: conservation is counted, the checks are run, then it is accepted or stopped."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Feed
from ronghe.contracts.expectations import Expectation
from ronghe.ingest.deliveries import Delivery, Event
from ronghe.job import DataStopped
from ronghe.quality.checks import Failure, failures

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
                f"{sum(counts.values())} ({counts}). Nothing of it is published; run the standardise task again, "
                "and file an issue if the counts stay apart."
            )


def judge_deliveries(
    feed: Feed,
    deliveries: Sequence[Delivery],
    counts: dict[str, dict[str, int]],
    std: DataFrame,
    expectations: Sequence[Expectation],
) -> dict[str, tuple[Failure, ...]]:
    """Judge how much of each delivery is in quarantine, and run the table's checks on the rows that are new.

    Returns:
        By delivery id: the checks that do not hold; one bad delivery does not hold back the others.
    """
    held_back = {d.delivery_id: _quarantine_failure(feed, counts[d.delivery_id]) for d in deliveries}
    filled = [d for d in deliveries if counts[d.delivery_id]["accepted"]]
    judged = _judge_rows(feed, filled, std, expectations) if filled else {}
    return {d.delivery_id: (*held_back[d.delivery_id], *judged.get(d.delivery_id, ())) for d in deliveries}


def _quarantine_failure(feed: Feed, counts: dict[str, int]) -> tuple[Failure, ...]:
    """Return a failure where so many records are in quarantine that the source must have changed its ways."""
    records = sum(counts.values())
    share = 100 * counts["quarantined"] / max(records, 1)
    if records < SHARE_FROM_RECORDS or share <= feed.max_quarantined_pct:
        return ()
    found = f"{counts['quarantined']} of {records} records, more than {feed.max_quarantined_pct:g} %"
    return (Failure("quarantined records", None, "stop", found),)


def _judge_rows(
    feed: Feed, deliveries: Sequence[Delivery], std: DataFrame, expectations: Sequence[Expectation]
) -> dict[str, tuple[Failure, ...]]:
    """Run the checks on the rows of the deliveries together and, where they stop, on each by itself."""
    together = failures(feed.target, _rows_of(std, deliveries), expectations)
    if len(deliveries) == 1 or not any(failure.severity == "stop" for failure in together):
        return {delivery.delivery_id: together for delivery in deliveries}
    return {d.delivery_id: failures(feed.target, _rows_of(std, [d]), expectations) for d in deliveries}


def leaning(duplicate: DataFrame, stopped: Sequence[str]) -> frozenset[str]:
    """Return the ids of deliveries of which a row was called a duplicate of a row of the given deliveries."""
    if not stopped:
        return frozenset()
    found = duplicate.where(F.col("kept_delivery_id").isin(*stopped)).select("delivery_id").distinct()
    return frozenset(row["delivery_id"] for row in found.collect())


def _rows_of(std: DataFrame, deliveries: Sequence[Delivery]) -> DataFrame:
    return std.where(F.col("delivery_id").isin(*(d.delivery_id for d in deliveries)))


def verdict(feed: Feed, delivery: Delivery, found: Sequence[Failure], counts: dict[str, int], read: int) -> Event:
    """Return the event that ends the intake of a delivery."""
    stopping = [failure for failure in found if failure.severity == "stop"]
    said = "; ".join(str(failure) for failure in (stopping or found)) or None
    event = "stopped" if stopping else "accepted"
    return Event(delivery, event, feed.version, counts={"read": read, **counts}, reason=said)
