"""The fate of every landed record: a row that stands, a duplicate of one, or a line in quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Feed
from ronghe.ingest.closed import KEYS, closed_until
from ronghe.ingest.deliveries import Delivery, accepted_rows
from ronghe.lake import Lake
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.standardiser import judge, stands, with_standing, with_tokens


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


def decide(lake: Lake, feed: Feed, deliveries: Sequence[Delivery], keys: KeyStore) -> Fates:
    """Judge the records of deliveries and say what becomes of each.

    Args:
        lake: read for the feed's raw records and the rows its target has from other deliveries.
        feed: the feed's contract.
        deliveries: landed and not accepted yet.
        keys: where token keys are kept.
    """
    table = lake.catalogue.table(feed.target)
    rows = [(delivery.delivery_id, delivery.business_date) for delivery in deliveries]
    days = lake.spark.createDataFrame(rows, "delivery_id STRING, business_date DATE")
    # Each frame is read several times below; parsing and hashing once is worth the memory.
    judged = judge(lake.read(feed.raw_table), days, feed, lake.catalogue).persist()
    right = judged.where(F.size("reasons") == 0).drop("reasons", "record")
    right = with_tokens(right, feed, table, keys, closed_until(lake, KEYS))
    present = accepted_rows(lake, feed.target) if lake.exists(feed.target) else None
    standing = with_standing(right, present, table.primary_key).persist()
    named = F.lit(feed.id).alias("feed_id")
    quarantined = judged.where(F.size("reasons") > 0).select(
        "delivery_id", "record_number", named, F.concat_ws(" ", "reasons").alias("reasons"), "record"
    )
    duplicates = standing.where(~stands()).select(
        "delivery_id", "record_number", named, "kept_delivery_id", "kept_record_number"
    )
    return Fates(quarantined, duplicates, standing.where(stands()), (judged, standing))
