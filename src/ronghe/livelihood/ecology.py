"""Ecology: a day's readings of each station and indicator, held against the limits of the standards."""

from collections.abc import Iterable
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ronghe.contracts.limits import LimitSet

# The standards count days by Beijing time, wherever a station lies (GB 3095-2012, HJ 663-2013).
CLOCK: Final = "Asia/Shanghai"
VALID_FLAGS: Final = ("valid", "below_detection")
# Means over eight hours that end inside the day, each of at least six readings (HJ 663-2013, table 1).
_WINDOW_HOURS, _WINDOW_READINGS = 8, 6
_KEY: Final = ("source_code", "place_id", "indicator_code", "reading_date")
_LIMITS: Final = (
    "place_kind_code STRING, indicator_code STRING, unit_code STRING, statistic STRING, lower_limit DOUBLE, "
    "upper_limit DOUBLE, least_readings INT, readings_per_day INT"
)


def limit_frame(spark: SparkSession, limits: Iterable[LimitSet]) -> DataFrame:
    """Return one row per kind of place and indicator with its limits; see `_LIMITS`."""
    rows: list[tuple[Any, ...]] = [
        (
            found.place_kind_code,
            limit.indicator_code,
            limit.unit,
            limit.statistic,
            limit.minimum,
            limit.maximum,
            limit.least_readings,
            found.readings_per_day,
        )
        for found in limits
        for limit in found.limits
    ]
    return spark.createDataFrame(rows, _LIMITS)


def by_day(readings: DataFrame) -> DataFrame:
    """Return readings with `reading_date`, the day by Beijing time, and the `hour` in it."""
    local = F.from_utc_timestamp("measured_at", CLOCK)
    return readings.withColumns({"reading_date": F.to_date(local), "hour": F.hour(local)})


def figures(readings: DataFrame, links: DataFrame, limits: DataFrame) -> DataFrame:
    """Return a day's figures of each station and indicator.

    Args:
        readings: accepted rows of `std.environment_reading`, as `by_day` gives them.
        links: `fused.link_place_source`.
        limits: as `limit_frame` gives them; an indicator without one has no figure.

    Returns:
        The columns of `mart.ecology`.
    """
    same_place = ["source_code", "place_kind_code", "place_code", "place_name"]
    sighted = readings.join(F.broadcast(links.select(*same_place, "place_id")), same_place)
    known = sighted.join(F.broadcast(limits), ["place_kind_code", "indicator_code"])
    is_valid = F.col("reading_flag_code").isin(*VALID_FLAGS) & F.col("reading_value").isNotNull()
    judged = known.withColumn("value", F.when(is_valid, F.col("reading_value")))
    names = [field.name for field in limits.schema if field.name not in ("place_kind_code", "indicator_code")]
    days = judged.groupBy(*_KEY).agg(
        *(F.first(name).alias(name) for name in names),
        F.avg("value").alias("mean_value"),
        F.max("value").alias("maximum_value"),
        F.count("*").alias("reading_count"),
        F.count("value").alias("valid_count"),
    )
    return _assessed(days.join(_windows(judged), list(_KEY), "left"))


def _windows(judged: DataFrame) -> DataFrame:
    """Return the largest mean over eight hours of each day and how many such means there are."""
    last = 24 - _WINDOW_HOURS
    starts = F.sequence(
        F.greatest(F.col("hour") - _WINDOW_HOURS + 1, F.lit(0)), F.least(F.col("hour"), F.lit(last)), F.lit(1)
    )
    means = (
        judged.where("statistic = 'largest_8h_mean' AND value IS NOT NULL")
        .withColumn("start", F.explode(starts))
        .groupBy(*_KEY, "start")
        .agg(F.avg("value").alias("window_mean"), F.count("*").alias("window_readings"))
    )
    return (
        means.where(F.col("window_readings") >= _WINDOW_READINGS)
        .groupBy(*_KEY)
        .agg(F.max("window_mean").alias("largest_mean"), F.count("*").alias("window_count"))
    )


def _assessed(days: DataFrame) -> DataFrame:
    """Add what the limit is about, where readings suffice, and whether it lies outside the limit."""
    by_windows = F.col("statistic") == "largest_8h_mean"
    enough = F.coalesce(F.when(by_windows, F.col("window_count")).otherwise(F.col("valid_count")), F.lit(0))
    value = F.when(by_windows, F.col("largest_mean")).otherwise(F.col("mean_value")).cast("DECIMAL(14,4)")
    # A day with too few windows counts all the same if one of them is over the limit (HJ 663-2013).
    is_exceeded_anyway = by_windows & F.coalesce(value > F.col("upper_limit"), F.lit(False))
    # A limit that there is not is one that nothing exceeds.
    too_low = F.coalesce(F.col("assessed_value") < F.col("lower_limit"), F.lit(False))
    too_high = F.coalesce(F.col("assessed_value") > F.col("upper_limit"), F.lit(False))
    return days.withColumns(
        {
            "assessed_value": F.when((enough >= F.col("least_readings")) | is_exceeded_anyway, value),
            "valid_share": F.col("valid_count") / F.col("readings_per_day"),
        }
    ).withColumn("is_exceeded", F.when(F.col("assessed_value").isNotNull(), too_low | too_high))
