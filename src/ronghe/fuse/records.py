"""Records of one kind of thing, gathered from every table that speaks of it, as the linkage declares."""

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
