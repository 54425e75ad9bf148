"""Road traffic: vehicles, speed and congestion by site, direction and hour. Vehicles are things; none is told apart."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KINDS = ("road_site",)
_KEY = ("source_code", "traffic_date", "place_id", "direction_code")
# "The free-flow speed is calculated as the 85th percentile of off-peak speeds" (FHWA, Urban Congestion Report,
# documentation and definitions). A day has windows enough off the peaks for the percentile of all of them to serve,
# and a part of the mart is a day.
_FREE_FLOW = 0.85
# Decimals are added exactly, so a total does not depend on how many machines share the work; doubles would.
_EXACT = "DECIMAL(24,9)"


def windows(counts: DataFrame, places: DataFrame) -> DataFrame:
    """Bring counts to places: several detectors of one place and direction are one window.

    Args:
        counts: accepted rows of `std.road_count`.
        places: place of each code, as `places_by_code` gives them.

    Returns:
        One row per source, day, place, direction and window: `window_start_at`, `window_minutes`, `vehicle_count`,
        `speed_sum` (vehicles times km/h), `speed_weight` (vehicles of known speed), `occupancy_pct`.
    """
    moving = F.when(F.col("mean_speed_kmh").isNotNull(), F.col("vehicle_count"))
    return (
        counts.join(F.broadcast(places), ["source_code", "place_code"])
        .groupBy(*_KEY, "window_start_at")
        .agg(
            F.max("window_minutes").alias("window_minutes"),
            F.sum("vehicle_count").alias("vehicle_count"),
            F.sum(moving * F.col("mean_speed_kmh").cast(_EXACT)).cast("double").alias("speed_sum"),
            F.sum(moving).alias("speed_weight"),
            F.avg(F.col("occupancy_pct").cast(_EXACT)).cast("double").alias("occupancy_pct"),
        )
    )


def _total(values: Column) -> Column:
    """Return the sum of numbers, the same in whatever order the engine adds them."""
    return F.sum(values.cast(_EXACT)).cast("double")


def hours(found: DataFrame) -> DataFrame:
    """Return the mart's rows from windows, as the contract of `mart.road_traffic` says."""
    # Zero vehicles have no speed; a quotient with nothing below it is null, never an error.
    speed = F.try_divide("speed_sum", "speed_weight")
    free_flow = found.groupBy(*_KEY).agg(F.percentile(speed, F.lit(_FREE_FLOW)).alias("free_flow_speed_kmh"))
    measured = F.when(F.col("occupancy_pct").isNotNull(), F.col("window_minutes"))
    by_hour = found.groupBy(*_KEY, F.date_trunc("hour", "window_start_at").alias("hour_start_at")).agg(
        F.sum("vehicle_count").alias("vehicle_count"),
        F.try_divide(_total(F.col("speed_sum")), F.sum("speed_weight")).alias("mean_speed_kmh"),
        F.try_divide(_total(measured * F.col("occupancy_pct")), F.sum(measured)).alias("occupancy_pct"),
        F.least(F.sum("window_minutes") / 60, F.lit(1.0)).alias("coverage_share"),
    )
    index = F.try_divide("free_flow_speed_kmh", "mean_speed_kmh")
    return by_hour.join(free_flow, list(_KEY)).withColumn("congestion_index", index)
