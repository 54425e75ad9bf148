"""Places have the ids they were given when they were first seen, and keep them: ids tell of days, not of deliveries."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from tests.oracles.soundness import versions_of

LINKS = "fused.link_place_source"
_SIGHTING = ("source_code", "place_kind_code", "place_code", "place_name")
# How a source names a place; the place's id by each.
Ids = dict[tuple[Any, ...], str]


def names(home: Home) -> dict[str, tuple[Any, ...]]:
    """Return for each id what the place is called in every home that links as this one: all of its sightings."""
    found = defaultdict(list)
    for sighting, place_id in _ids(stores.open_table(Lake(home, catalogue()).path(LINKS))).items():
        found[place_id].append(tuple(cell or "" for cell in sighting))
    return {place_id: tuple(sorted(sightings)) for place_id, sightings in found.items()}


def identity_faults(home: Home) -> list[str]:
    """From one version of the links to the next that has any no place got another id; what vanishes may come as new."""
    path = Lake(home, catalogue()).path(LINKS)
    every = (_ids(DeltaTable(path, version=version)) for version in versions_of(Path(path) / "_delta_log"))
    versions = [ids for ids in every if ids]
    return [fault for before, after in pairwise(versions) for fault in _changes(before, after)]


def _changes(before: Ids, after: Ids) -> Iterator[str]:
    """Yield the ids that went although their place stayed: where places join or part, one keeps the id."""
    kept = {place_id for sighting, place_id in after.items() if before.get(sighting) == place_id}
    for sighting in before.keys() & after.keys():
        old, new = before[sighting], after[sighting]
        if new != old and old not in kept and new not in kept:
            yield f"{old} became {new}"


def _ids(table: DeltaTable) -> Ids:
    rows = stores.dataset(table).to_table(columns=[*_SIGHTING, "place_id"]).to_pylist()
    return {tuple(row[name] for name in _SIGHTING): row["place_id"] for row in rows}
