"""The fate of every landed record: a row that stands, a duplicate of one, or a line in quarantine.

A record in quarantine broke a rule, or contradicts another one of its business day; then both are there and name each
other. Where one of them was published before, it stays until its delivery is restated, and the other one names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue, Feed
from ronghe.contracts.base import Declaration
from ronghe.ingest.closed import KEYS, closed_until
from ronghe.ingest.deliveries import Delivery, accepted_rows
from ronghe.job import JobFailed
from ronghe.lake import Lake
from ronghe.ledger import accepted_events
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.standardiser import (
    as_read,
    judge,
    of_open_key_days,
    stands,
    with_other_side,
    with_standing,
    with_tokens,
)

# What names a record.
RECORD = ("delivery_id", "record_number")
# The reason against a record that another one of its business day contradicts, and where that one is named.
CONTRADICTION = "contradiction"
OTHER_SIDE = ("other_delivery_id", "other_record_number")


@dataclass(frozen=True)
class Fates:
    """The three frames a batch of deliveries falls into; together they hold every record once."""

    quarantined: DataFrame
    duplicates: DataFrame
    standing: DataFrame


def rules(feed: Feed, catalogue: Catalogue) -> tuple[Declaration, ...]:
    """Return the declarations that decide a record's fate, beside the target's own contract."""
    codes = sorted({column.codes for column in catalogue.table(feed.target).columns if column.codes})
    return (feed, *(catalogue.codeset(name) for name in codes))


def decide(
    lake: Lake,
    feed: Feed,
    deliveries: Sequence[Delivery],
    restated: Sequence[Delivery],
    keys: KeyStore,
    only: DataFrame | None = None,
) -> Fates:
    """Judge the records of deliveries and say what becomes of each.

    Args:
        lake: read for the feed's raw records and the rows its target has from other deliveries.
        feed: the feed's contract.
        deliveries: landed and not accepted yet; or accepted, with `only`.
        restated: deliveries that these restate; their rows stand no more.
        keys: where token keys are kept.
        only: `delivery_id` and `record_number` of the records to judge, none for all of the deliveries; of these, right
            ones of a day whose key was destroyed have no fate.
    """
    table = lake.catalogue.table(feed.target)
    rows = [(delivery.delivery_id, delivery.business_date) for delivery in deliveries]
    days = lake.spark.createDataFrame(rows, "delivery_id STRING, business_date DATE")
    raw = lake.read(feed.raw_table)
    if only is not None:
        raw = raw.join(F.broadcast(only.select(*RECORD)), list(RECORD), "left_semi")
    # Each frame is read several times below; parsing and hashing once is worth the memory. It is a checkpoint, not a
    # cache: no later plan holds the rules' expressions, and no write to a table they read makes them run again.
    judged = judge(raw, days, feed, lake.catalogue).localCheckpoint()
    right = judged.where(F.size("reasons") == 0).drop("reasons", "record")
    closed = closed_until(lake, KEYS)
    if only is not None and closed:
        # A late key would tell such a row from the same one that stands: it could be counted twice.
        right = right.where(of_open_key_days(table, closed))
    right = with_tokens(right, feed, table, keys, closed)
    if closed_until(lake, KEYS) != closed:
        raise JobFailed(f"{feed.id}: keys of days were destroyed meanwhile; nothing was decided. Run the task again.")
    present = accepted_rows(lake, feed.target) if lake.exists(feed.target) else None
    if present is not None and restated:
        present = present.where(~F.col("delivery_id").isin(*(delivery.delivery_id for delivery in restated)))
    sides = with_other_side(right, _of_days(lake, feed, present, deliveries), table)
    believed = F.col("other_delivery_id").isNull()
    standing = with_standing(sides, present, table.primary_key, believed).localCheckpoint()
    named = F.lit(feed.id).alias("feed_id")
    broken = judged.where(F.size("reasons") > 0).withColumn("reasons", F.concat_ws(" ", "reasons"))
    contradicted = standing.where(~believed).select("delivery_id", "record_number", *OTHER_SIDE)
    both_sides = (
        lake.read(feed.raw_table)
        .where(F.col("delivery_id").isin(*(delivery.delivery_id for delivery in deliveries)))
        .join(F.broadcast(contradicted), ["delivery_id", "record_number"])
        .withColumns({"reasons": F.lit(CONTRADICTION), "record": as_read(feed)})
    )
    line = ("delivery_id", "record_number", named, "reasons", "record")
    quarantined = broken.select(*line).unionByName(both_sides.select(*line, *OTHER_SIDE), allowMissingColumns=True)
    duplicates = standing.where(believed & ~stands()).select(
        "delivery_id", "record_number", named, "kept_delivery_id", "kept_record_number"
    )
    return Fates(quarantined, duplicates, standing.where(believed & stands()))


def _of_days(lake: Lake, feed: Feed, present: DataFrame | None, deliveries: Sequence[Delivery]) -> DataFrame | None:
    """Return the rows that stand from deliveries of the same business days, with `business_date`; most nights none."""
    days = {delivery.business_date for delivery in deliveries}
    feeds = {other.id for other in lake.catalogue.feeds.values() if other.target == feed.target}
    found = [
        (row["delivery_id"], row["business_date"])
        for row in accepted_events(lake, "feed_id", "business_date")
        if row["feed_id"] in feeds and row["business_date"] in days
    ]
    if present is None or not found:
        return None
    known = lake.spark.createDataFrame(found, "delivery_id STRING, business_date DATE")
    return present.drop("business_date").join(F.broadcast(known), "delivery_id")
