"""Passenger flow: swipes counted by place, direction and quarter of an hour."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

KINDS = ("metro_station", "bus_stop")
MEASURES = {
    "in_count": "count_if(direction = 'in')",
    "out_count": "CASE WHEN first(place_kind_code) = 'bus_stop' THEN NULL ELSE count_if(direction = 'out') END",
}


def contributions(swipes: DataFrame, links: DataFrame) -> DataFrame:
    """Return each swipe with its place, direction and time slots.

    Args:
        swipes: accepted rows of `std.swipe`.
        links: `fused.link_place_source`.

    Returns:
        One row per swipe: `source_code`, `place_kind_code`, `service_date`, `place_id`, `hour_at`, `quarter_at` (UTC,
        start of the slot), `direction` (in, out) and `card_token`.
    """
    kind = F.when(F.col("swipe_kind_code") == "bus_in", "bus_stop").otherwise("metro_station")
    direction = F.when(F.col("swipe_kind_code") == "metro_out", "out").otherwise("in")
    named = swipes.withColumns({"place_kind_code": kind, "direction": direction})
    same_place = (
        (F.col("s.source_code") == F.col("l.source_code"))
        & (F.col("s.place_kind_code") == F.col("l.place_kind_code"))
        & F.col("s.place_code").eqNullSafe(F.col("l.place_code"))
        & F.col("s.place_name").eqNullSafe(F.col("l.place_name"))
    )
    return (
        named.alias("s")
        .join(F.broadcast(links.alias("l")), same_place)
        .select(
            "s.source_code",
            "s.place_kind_code",
            "s.service_date",
            "l.place_id",
            F.date_trunc("hour", "s.swiped_at").alias("hour_at"),
            F.window("s.swiped_at", "15 minutes")["start"].alias("quarter_at"),
            "s.direction",
            "s.card_token",
        )
    )


def as_table(published: DataFrame) -> DataFrame:
    """Return published cells as the contract of `mart.passenger_flow` says."""
    return published.withColumn("window_start_at", F.coalesce("quarter_at", "hour_at"))
