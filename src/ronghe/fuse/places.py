"""Places: within one source and kind, records with one code, or with one name close by, are one place.

Names are compared without the suffix of a station, blanks and widths. A damaged name links by its code only and never
becomes the name of a place.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from math import cos, hypot, radians
from typing import Any

import networkx as nx
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.standardise.normalisers import place_name

_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class Sighting:
    """One way in which a source names a place: code and name, how often, and where (WGS-84)."""

    source_code: str
    place_kind_code: str
    place_code: str | None
    place_name: str | None
    compared_name: str | None
    record_count: int
    longitude: float | None
    latitude: float | None


def sightings(records: DataFrame) -> tuple[Sighting, ...]:
    """Count how sources name places: a few rows per place, small enough for one process.

    Args:
        records: gathered records with `place_kind_code`, `place_code`, `place_name`, `longitude`, `latitude`.
    """
    counted = (
        records.groupBy("source_code", "place_kind_code", "place_code", "place_name")
        .agg(
            F.count("*").alias("record_count"),
            F.median("longitude").alias("longitude"),
            F.median("latitude").alias("latitude"),
        )
        .withColumn("compared_name", place_name(F.col("place_name")))
    )
    found = [Sighting(**row.asDict()) for row in counted.collect()]
    return tuple(sorted(found, key=_order))


def _order(item: Sighting) -> tuple[str, ...]:
    return (item.source_code, item.place_kind_code, item.place_code or "", item.place_name or "")


def link(
    found: Iterable[Sighting], known: Mapping[tuple[Any, ...], str], radius_metres: float
) -> dict[str, list[Sighting]]:
    """Gather sightings into places.

    Args:
        found: the sightings.
        known: ids that sightings had before, by source, kind, code and name; a place keeps the smallest id of its
            sightings, so an id outlives new codes and spellings.
        radius_metres: how far apart two sightings of one name may lie and still be one place.

    Returns:
        The sightings of each place by its id.
    """
    graph: nx.Graph[Sighting] = nx.Graph()
    by_code, by_name = defaultdict(list), defaultdict(list)
    for item in found:
        graph.add_node(item)
        scope = (item.source_code, item.place_kind_code)
        if item.place_code:
            by_code[(*scope, item.place_code)].append(item)
        if item.compared_name:
            by_name[(*scope, item.compared_name)].append(item)
    for items in by_code.values():
        nx.add_path(graph, items)
    for items in by_name.values():
        graph.add_edges_from(_same_place(items, radius_metres))
    places: dict[str, list[Sighting]] = {}
    components = [sorted(component, key=_order) for component in nx.connected_components(graph)]
    for items in sorted(components, key=lambda found: _order(found[0])):
        places[_id(items, known, set(places))] = items
    return dict(sorted(places.items()))


def _id(items: Sequence[Sighting], known: Mapping[tuple[Any, ...], str], taken: set[str]) -> str:
    """Return the smallest id the sightings had; where a place has split and the other part took it, a new one."""
    had = sorted({known[_order_key(i)] for i in items if _order_key(i) in known} - taken)
    if had:
        return had[0]
    unfree = taken | set(known.values())
    return next(new for n in count() if (new := _new_id(items[0], n)) not in unfree)


def _order_key(item: Sighting) -> tuple[Any, ...]:
    return (item.source_code, item.place_kind_code, item.place_code, item.place_name)


def _new_id(first: Sighting, attempt: int) -> str:
    key = "|".join((*_order(first), *([str(attempt)] if attempt else [])))
    return "plc_" + hashlib.sha256(key.encode()).hexdigest()[:16]


def _same_place(bearers: Sequence[Sighting], radius_metres: float) -> list[tuple[Sighting, Sighting]]:
    """Return the pairs of bearers of one name that are one place.

    One without a position is any of the others, and so links them only where they all are near each other.
    """
    pairs = list(combinations(bearers, 2))
    far = [pair for pair in pairs if not _near(*pair, radius_metres)]
    known = [pair for pair in pairs if all(i.longitude is not None and i.latitude is not None for i in pair)]
    return [pair for pair in (known if far else pairs) if pair not in far]


def _near(a: Sighting, b: Sighting, radius_metres: float) -> bool:
    """Say whether two sightings may be one place; one without a position may."""
    if a.longitude is None or b.longitude is None or a.latitude is None or b.latitude is None:
        return True
    east = (a.longitude - b.longitude) * cos(radians(a.latitude))
    return hypot(east, a.latitude - b.latitude) * _METRES_PER_DEGREE <= radius_metres


def place_rows(places: Mapping[str, list[Sighting]]) -> list[dict[str, Any]]:
    """Return one row per place, as the contract of `fused.place` says."""
    return [
        {
            "place_id": place_id,
            "place_name": _most_used_name(items),
            "place_kind_code": items[0].place_kind_code,
            "source_code": items[0].source_code,
            "longitude": _weighted_median((i.longitude, i.record_count) for i in items),
            "latitude": _weighted_median((i.latitude, i.record_count) for i in items),
            "code_count": len({i.place_code for i in items if i.place_code}),
        }
        for place_id, items in places.items()
    ]


def _most_used_name(items: Iterable[Sighting]) -> str | None:
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        if item.compared_name:
            counts[item.compared_name] += item.record_count
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _weighted_median(values: Iterable[tuple[float | None, int]]) -> float | None:
    ordered = sorted((value, weight) for value, weight in values if value is not None)
    half, seen = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        seen += weight
        if seen >= half:
            return value
    return None


def link_rows(places: Mapping[str, list[Sighting]]) -> list[dict[str, Any]]:
    """Return one row per sighting, as the contract of `fused.link_place_source` says."""
    return [
        {
            "place_id": place_id,
            "source_code": item.source_code,
            "place_kind_code": item.place_kind_code,
            "place_code": item.place_code,
            "place_name": item.place_name,
            "record_count": item.record_count,
        }
        for place_id, items in places.items()
        for item in items
    ]
