"""Transit supply: what the timetable plans at each stop, hour by hour of the service day."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

KINDS = ("metro_station", "bus_stop")


def departures(stop_times: DataFrame, places: DataFrame) -> DataFrame:
    """Return each planned departure with its place and how long the one before it lies back.

    A trip ends at its last stop, which is no departure. The departure before is the last one at the same platform or
    stop and on the same service day, whatever its line; two at one moment have no time between them.

    Args:
        stop_times: accepted rows of `std.stop_time`.
        places: place of each code, as `places_by_code` gives them.

    Returns:
        One row per departure: `source_code`, `feed_date`, `place_id`, `service_hour`, `gap_minutes` (null for the
        first of the day).
    """
    trip = Window.partitionBy("source_code", "feed_date", "trip_code")
    platform = Window.partitionBy("source_code", "feed_date", "stop_code").orderBy("departure_seconds", "trip_code")
    last = F.max("stop_sequence").over(trip)
    going = stop_times.withColumn("last_sequence", last).where(
        (F.col("stop_sequence") < F.col("last_sequence")) & F.col("departure_seconds").isNotNull()
    )
    gap = (F.col("departure_seconds") - F.lag("departure_seconds").over(platform)) / 60
    located = places.withColumnRenamed("place_code", "stop_code")
    return (
        going.withColumn("gap_minutes", gap)
        .join(F.broadcast(located), ["source_code", "stop_code"])
        .select(
            "source_code",
            "feed_date",
            "place_id",
            F.floor(F.col("departure_seconds") / 3600).cast("int").alias("service_hour"),
            "gap_minutes",
        )
    )


def hours(found: DataFrame) -> DataFrame:
    """Return the mart's rows from departures, as the contract of `mart.transit_supply` says."""
    return found.groupBy("source_code", "feed_date", "place_id", "service_hour").agg(
        F.count("*").alias("departure_count"), F.avg("gap_minutes").alias("headway_minutes")
    )
