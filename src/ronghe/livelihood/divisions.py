"""Divisions as of today: figures of many years side by side need one map."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def in_current_divisions(frame: DataFrame, divisions: DataFrame) -> DataFrame:
    """Return the rows with `division_code` as of today; a code whose successor is not certain stays as it is.

    Args:
        frame: rows with `division_code`.
        divisions: `fused.division`. Of a code that stood for several divisions the newest counts.
    """
    newest = F.struct(F.coalesce("valid_to_year", F.lit(9999)), F.coalesce("valid_from_year", F.lit(0)))
    known = divisions.groupBy("division_code").agg(F.max_by("current_code", newest).alias("newest_code"))
    code = F.coalesce("newest_code", "division_code")
    return (
        frame.join(F.broadcast(known), "division_code", "left").withColumn("division_code", code).select(*frame.columns)
    )
