"""The fate of every landed record: a row that stands, a duplicate of one, or a line in quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue, Feed
from ronghe.contracts.base import Declaration
from ronghe.ingest.deliveries import Delivery, accepted_rows
from ronghe.lake import Lake
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.standardiser import judge, stands, with_standing, with_tokens

# What names a record.
RECORD = ("delivery_id", "record_number")


@dataclass(frozen=True)
class Fates:
    """The three frames a batch of deliveries falls into; together they hold every record once."""

    quarantined: DataFrame
    duplicates: DataFrame
    standing: DataFrame
    held: tuple[DataFrame, ...]

    def release(self) -> None:
        """Give back the memory the engine holds for the frames."""
        for frame in self.held:
            frame.unpersist()


def rules(feed: Feed, catalogue: Catalogue) -> tuple[Declaration, ...]:
    """Return the declarations that decide a record's fate, beside the target's own contract."""
    codes = sorted({column.codes for column in catalogue.table(feed.target).columns if column.codes})
    return (feed, *(catalogue.codeset(name) for name in codes))


def decide(
    lake: Lake, feed: Feed, deliveries: Sequence[Delivery], keys: KeyStore, only: DataFrame | None = None
) -> Fates:
    """Judge the records of deliveries and say what becomes of each.

    Args:
        lake: read for the feed's raw records and the rows its target has from other deliveries.
        feed: the feed's contract.
        deliveries: landed and not accepted yet; or accepted, with `only`.
        keys: where token keys are kept.
        only: `delivery_id` and `record_number` of the records to judge; none for all of the deliveries.
    """
    table = lake.catalogue.table(feed.target)
    rows = [(delivery.delivery_id, delivery.business_date) for delivery in deliveries]
    days = lake.spark.createDataFrame(rows, "delivery_id STRING, business_date DATE")
    raw = lake.read(feed.raw_table)
    if only is not None:
        raw = raw.join(F.broadcast(only.select(*RECORD)), list(RECORD), "left_semi")
    # Each frame is read several times below; parsing and hashing once is worth the memory.
    judged = judge(raw, days, feed, lake.catalogue).persist()
    right = with_tokens(judged.where(F.size("reasons") == 0).drop("reasons", "record"), feed, table, keys)
    present = accepted_rows(lake, feed.target) if lake.exists(feed.target) else None
    standing = with_standing(right, present, table.primary_key).persist()
    named = F.lit(feed.id).alias("feed_id")
    quarantined = judged.where(F.size("reasons") > 0).select(
        *RECORD, named, F.concat_ws(" ", "reasons").alias("reasons"), "record"
    )
    duplicates = standing.where(~stands()).select(*RECORD, named, "kept_delivery_id", "kept_record_number")
    return Fates(quarantined, duplicates, standing.where(stands()), (judged, standing))
