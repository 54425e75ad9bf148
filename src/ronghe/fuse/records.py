"""Records of one kind of thing, gathered from every table that speaks of it, as the linkage declares."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts.linkage import Linkage
from ronghe.ingest.deliveries import accepted_rows
from ronghe.lake import Lake


def gather(lake: Lake, linkage: Linkage) -> DataFrame:
    """Return the accepted records of a linkage's inputs under one set of columns.

    Returns:
        One row per record: the linkage's columns (null where an input has none), `source_code`, `table_name`,
        `trust`, `delivery_id` and `record_number`.
    """
    frames = [
        accepted_rows(lake, item.table).select(
            *(F.expr(expression).alias(name) for name, expression in item.columns.items()),
            "source_code",
            F.lit(item.table).alias("table_name"),
            F.lit(item.trust).alias("trust"),
            "delivery_id",
            "record_number",
        )
        for item in linkage.inputs
    ]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)


def newest_by_trust(records: DataFrame, key: Sequence[str], attributes: Sequence[str]) -> DataFrame:
    """Merge the records of each key: each attribute from the most trusted source that knows it, newest state first.

    Args:
        records: gathered records with the key, the attributes and `updated_date`.
        key: columns that tell one thing from another.
        attributes: columns merged one by one; a missing value never hides a known one.

    Returns:
        One row per key: the attributes, `updated_date` (newest), `source_count` and `record_count`.
    """
    # Of equal states that of one source stands for every attribute, on every night.
    newest_first = F.struct("trust", "updated_date", "source_code", "delivery_id", "record_number")
    best = [F.max_by(name, F.when(F.col(name).isNotNull(), newest_first)).alias(name) for name in attributes]
    return records.groupBy(*key).agg(
        *best,
        F.max("updated_date").alias("updated_date"),
        F.count_distinct("source_code").alias("source_count"),
        F.count("*").alias("record_count"),
    )
