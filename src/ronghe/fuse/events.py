"""Events: every incident of every table that declares itself, keyed to its place, its asset and its division."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.organisations import with_division
from ronghe.fuse.records import newest_by_trust
from ronghe.standardise.normalisers import place_name
from ronghe.standardise.tokens import tokenise

# What tells an asset from another inside its source.
_ASSET = ("asset_kind_code", "asset_code")
# Attributes that are merged one by one over the states of an incident; a missing value never hides a known one.
ATTRIBUTES = (
    "event_kind_code",
    "severity_code",
    "occurred_at",
    "arrived_at",
    "ended_at",
    "longitude",
    "latitude",
    "division_code",
    "place_name",
    *_ASSET,
)
_METRES_PER_DEGREE = 111_320.0


def merge(records: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Merge the states of each incident into one event.

    The id is a keyed hash of table, source and number: numbers count up, and without the key nobody can try them all
    against the ids.

    Args:
        records: gathered records with `incident_code` and the attributes that their tables have.
        keys: the key as `tokens.key_frame` gives it.
        key_id: the key's id.

    Returns:
        One row per source, table and incident code: `event_id`, `source_code`, `incident_code`, the attributes
        (null where no table has one), `event_date` (UTC day of `occurred_at`) and `record_count`.
    """
    known = [name for name in ATTRIBUTES if name in records.columns]
    merged = newest_by_trust(records, ("source_code", "table_name", "incident_code"), known)
    named = merged.withColumns(
        {"event_id": F.concat_ws("|", "table_name", "source_code", "incident_code"), "key_id": F.lit(key_id)}
    )
    return (
        tokenise(named, "event_id", "key_id", keys, "event_id")
        .withColumns({"event_id": F.concat(F.lit("evt_"), F.col("event_id")), "event_date": F.to_date("occurred_at")})
        .select("event_id", "source_code", "incident_code", *known, "event_date", "record_count")
    )


def with_place(events: DataFrame, places: DataFrame, links: DataFrame, radius_metres: float) -> DataFrame:
    """Key events to the one place of their source that has their name or, where there is none, to the nearest.

    Args:
        events: rows with `event_id`, `source_code`, `longitude`, `latitude`, `place_name`.
        places: `fused.place`.
        links: `fused.link_place_source`.
        radius_metres: how far a place may lie from an event.

    Returns:
        The rows with `place_id`, null where neither is found.
    """
    near, named = _near(events, places, radius_metres), _named(events, links)
    return (
        events.join(near, "event_id", "left")
        .join(named, "event_id", "left")
        .withColumn("place_id", F.coalesce("named_id", "near_id"))
        .drop("near_id", "named_id")
    )


def _near(events: DataFrame, places: DataFrame, radius_metres: float) -> DataFrame:
    """Return the nearest place of each event that has one in reach: `event_id`, `near_id`.

    Both sides fall into square cells, a place into nine of them. A cell is twice the radius high, so that up to 60
    degrees of latitude, where it is half as wide, whatever is in reach lies in a neighbouring cell.
    """
    size = 2 * radius_metres / _METRES_PER_DEGREE
    around = F.array(*(F.lit(n) for n in (-1, 0, 1)))
    spread = (
        places.where("longitude IS NOT NULL AND latitude IS NOT NULL")
        .select("source_code", "place_id", F.col("longitude").alias("x"), F.col("latitude").alias("y"))
        .withColumn("cell_x", F.explode(F.transform(around, lambda n: _cell("x", size) + n)))
        .withColumn("cell_y", F.explode(F.transform(around, lambda n: _cell("y", size) + n)))
    )
    located = events.withColumns({"cell_x": _cell("longitude", size), "cell_y": _cell("latitude", size)})
    east = (F.col("longitude") - F.col("x")) * F.cos(F.radians("latitude"))
    metres = F.hypot(east, F.col("latitude") - F.col("y")) * _METRES_PER_DEGREE
    pairs = located.join(F.broadcast(spread), ["source_code", "cell_x", "cell_y"]).withColumn("metres", metres)
    return (
        pairs.where(F.col("metres") <= radius_metres)
        .groupBy("event_id")
        .agg(F.min_by("place_id", F.struct("metres", "place_id")).alias("near_id"))
    )


def _cell(degrees: str, size: float) -> Column:
    return F.floor(F.col(degrees) / size)


def _named(events: DataFrame, links: DataFrame) -> DataFrame:
    """Return the place of each event whose name exactly one place of its source has: `event_id`, `named_id`."""
    names = (
        links.select("source_code", place_name(F.col("place_name")).alias("name"), "place_id")
        .where("name IS NOT NULL")
        .groupBy("source_code", "name")
        .agg(F.min("place_id").alias("named_id"), F.count_distinct("place_id").alias("bearers"))
        .where("bearers = 1")
    )
    asked = events.withColumn("name", place_name(F.col("place_name")))
    return asked.join(F.broadcast(names), ["source_code", "name"]).select("event_id", "named_id")


def with_asset(events: DataFrame, assets: DataFrame) -> DataFrame:
    """Key events to the asset that their source names, if it is known; add `asset_id`."""
    key = ["source_code", *_ASSET]
    return events.join(assets.select(*key, "asset_id"), key, "left")


def fuse(
    records: DataFrame, known: Mapping[str, DataFrame], radius_metres: float, keys: DataFrame, key_id: str
) -> DataFrame:
    """Return one row per event, as the contract of `fused.event` says; see `merge`, `with_place`, `with_asset`.

    Args:
        records: gathered records.
        known: `fused.place`, `fused.link_place_source`, `fused.asset` and `fused.division` by their ids.
        radius_metres: how far a place may lie from an event.
        keys: see `merge`.
        key_id: see `merge`.
    """
    merged = merge(records, keys, key_id)
    missing: Sequence[str] = [name for name in ATTRIBUTES if name not in merged.columns]
    whole = merged.withColumns({name: F.lit(None) for name in missing}) if missing else merged
    placed = with_place(whole, known["fused.place"], known["fused.link_place_source"], radius_metres)
    return with_division(with_asset(placed, known["fused.asset"]), known["fused.division"], "event_date")
