"""Pipe networks: incidents and repairs by division, kind of network and day, against the length of the network."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.livelihood.divisions import in_current_divisions

INCIDENT = ("source_code", "incident_code")
_CELL = ("source_code", "division_code", "asset_kind_code")
_SEVERITIES = ("minor", "major", "serious", "extreme")


def dated(states: DataFrame, clocks: Mapping[str, str]) -> DataFrame:
    """Add the day of the report on the clock of its source.

    Args:
        states: accepted rows of `std.pipe_incident`.
        clocks: time zone by source.

    Returns:
        The rows with `event_date`.
    """
    own = (F.when(F.col("source_code") == source, F.lit(zone)) for source, zone in clocks.items())
    # No source in force may have such incidents.
    zone = F.coalesce(*own, F.lit(None).cast("string"))
    return states.withColumn("event_date", F.from_utc_timestamp("occurred_at", zone).cast("date"))


def network(assets: DataFrame) -> DataFrame:
    """Return the length of each network in each division of today.

    Args:
        assets: `fused.asset`.

    Returns:
        One row per `source_code`, `division_code`, `asset_kind_code`: `network_km`.
    """
    division = F.coalesce("current_division_code", "division_code").alias("division_code")
    return (
        assets.where(F.col("length_m").isNotNull())
        .groupBy("source_code", division, "asset_kind_code")
        .agg((F.sum("length_m") / 1000).cast("DECIMAL(14,5)").alias("network_km"))
    )


def as_table(states: DataFrame, lengths: DataFrame, divisions: DataFrame) -> DataFrame:
    """Count the standing state of each incident, and set it against the network.

    Args:
        states: rows with `event_date`, as `dated` gives them.
        lengths: as `network` gives it.
        divisions: `fused.division`.

    Returns:
        The rows of `mart.pipe_network`: on each day of a source, every network, and what happened outside of any.
    """
    counted = _counted(in_current_divisions(_standing(states), divisions))
    days = states.select("source_code", "event_date").distinct()
    every = (
        days.join(lengths.select(*_CELL), "source_code").unionByName(counted.select("event_date", *_CELL)).distinct()
    )
    counts = [name for name in counted.columns if name.endswith("_count")]
    return (
        every.join(counted, ["event_date", *_CELL], "left")
        .join(lengths, list(_CELL), "left")
        .fillna(0, counts)
        .withColumn(
            "incidents_per_100_km", F.try_divide(F.col("incident_count") * 100, F.col("network_km").cast("double"))
        )
    )


def _standing(states: DataFrame) -> DataFrame:
    """Return each incident as it was published last."""
    last = F.struct("published_date", "delivery_id", "record_number")
    state = F.struct("event_date", "division_code", "asset_kind_code", "severity_code", "occurred_at", "ended_at")
    return states.groupBy(*INCIDENT).agg(F.max_by(state, last).alias("last")).select("source_code", "last.*")


def _counted(incidents: DataFrame) -> DataFrame:
    """Return counts and the mean time to repair of each cell and day."""
    hours = (F.unix_seconds("ended_at") - F.unix_seconds("occurred_at")) / 3600
    return incidents.groupBy("event_date", *_CELL).agg(
        F.count("*").alias("incident_count"),
        *(F.count_if(F.col("severity_code") == name).alias(f"{name}_count") for name in _SEVERITIES),
        F.count("ended_at").alias("repaired_count"),
        F.avg(hours).alias("mean_repair_hours"),
    )
