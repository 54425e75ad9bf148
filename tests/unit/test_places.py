"""Places are linked by code and by name close by; everything here runs without an engine."""

from itertools import permutations
from typing import Any

import pytest

from ronghe.fuse.places import Sighting, link, link_rows, place_rows

RADIUS = 1500.0
# A thousandth of a degree of latitude is 111 m.
LONGITUDE, LATITUDE = 114.0, 22.5
FAR = LATITUDE + 0.02


def sighting(code: str | None = None, name: str | None = None, **other: Any) -> Sighting:
    """A metro station of one source; the name is compared as it is, unless said otherwise."""
    given = {
        "source_code": "shenzhen",
        "place_kind_code": "metro_station",
        "compared_name": name,
        "record_count": 1,
        "longitude": LONGITUDE,
        "latitude": LATITUDE,
        **other,
    }
    return Sighting(place_code=code, place_name=name, **given)


def groups(*found: Sighting) -> set[frozenset[Sighting]]:
    return {frozenset(items) for items in link(found, {}, RADIUS).values()}


def identity(item: Sighting) -> tuple[Any, ...]:
    return (item.source_code, item.place_kind_code, item.place_code, item.place_name)


def known(ids: dict[Sighting, str]) -> dict[tuple[Any, ...], str]:
    return {identity(item): place_id for item, place_id in ids.items()}


# What links --------------------------------------------------------------------------------------------------------


def test_link_joins_when_the_code_is_the_same_however_far() -> None:
    a, b = sighting("260011", "深圳北"), sighting("260011", "深圳北高铁", latitude=FAR)
    assert groups(a, b) == {frozenset({a, b})}


def test_link_joins_a_name_close_by_when_codes_differ() -> None:
    a, b = sighting("260011", "深圳北"), sighting("268011", "深圳北", latitude=LATITUDE + 0.013)
    assert groups(a, b) == {frozenset({a, b})}


def test_link_keeps_a_name_far_apart_as_two() -> None:
    a, b = sighting("1", "人民医院"), sighting("2", "人民医院", latitude=LATITUDE + 0.014)
    assert groups(a, b) == {frozenset({a}), frozenset({b})}


def test_link_measures_east_and_west_shorter_in_the_north() -> None:
    """At 60 degrees a degree of longitude is half of one at the equator."""
    equator = [sighting(code, "x", longitude=lon, latitude=0.0) for code, lon in (("1", 100.0), ("2", 100.02))]
    north = [sighting(code, "x", longitude=lon, latitude=60.0) for code, lon in (("1", 100.0), ("2", 100.02))]
    assert len(groups(*equator)) == 2
    assert len(groups(*north)) == 1


def test_link_joins_a_name_when_one_has_no_position() -> None:
    a, b = sighting("1", "会展中心"), sighting(None, "会展中心", longitude=None, latitude=None)
    assert groups(a, b) == {frozenset({a, b})}


def test_link_by_name_without_a_position_joins_no_two_places_far_apart() -> None:
    a, b = sighting("1", "建设路"), sighting("2", "建设路", latitude=LATITUDE + 0.4)
    lost = sighting("3", "建设路", longitude=None, latitude=None)
    assert groups(a, b, lost) == {frozenset({a}), frozenset({b}), frozenset({lost})}
    near = sighting("4", "建设路", latitude=LATITUDE + 0.001)
    assert groups(a, b, lost, near) == {frozenset({a, near}), frozenset({b}), frozenset({lost})}


def test_link_compares_the_normalised_name_when_spellings_differ() -> None:
    a, b = sighting("1", "深圳北"), sighting(None, "深圳北站", compared_name="深圳北")
    assert groups(a, b) == {frozenset({a, b})}


@pytest.mark.parametrize("other", [{"source_code": "nanjing"}, {"place_kind_code": "bus_stop"}], ids=str)
def test_link_stays_inside_one_source_and_kind(other: dict[str, str]) -> None:
    a, b = sighting("260011", "新街口"), sighting("260011", "新街口", **other)
    assert groups(a, b) == {frozenset({a}), frozenset({b})}


def test_link_takes_a_damaged_name_by_its_code_only() -> None:
    right = sighting("260011", "深圳北", record_count=1)
    damaged = sighting("260011", "深圳?", compared_name=None, record_count=99)
    nameless = sighting(None, "深圳?", compared_name=None)
    places = link([right, damaged, nameless], {}, RADIUS)
    assert {frozenset(items) for items in places.values()} == {frozenset({right, damaged}), frozenset({nameless})}
    names = {len(places[row["place_id"]]): row["place_name"] for row in place_rows(places)}
    assert names == {2: "深圳北", 1: None}


def test_link_joins_two_damaged_names_never_when_they_look_alike() -> None:
    a, b = sighting("1", "??", compared_name=None), sighting("2", "??", compared_name=None)
    assert len(groups(a, b)) == 2


def test_link_follows_a_chain_when_code_and_name_take_turns() -> None:
    chain = [sighting("1", "老街"), sighting("1", "东门老街"), sighting("2", "东门老街")]
    assert groups(*chain) == {frozenset(chain)}


def test_link_gives_the_same_places_in_any_order() -> None:
    found = [
        sighting("1", "老街"),
        sighting("1", "东门老街"),
        sighting("2", "东门老街", latitude=LATITUDE + 0.001),
        sighting(None, "车公庙"),
    ]
    given = known({found[2]: "plc_b", found[0]: "plc_a"})
    first = link(found, given, RADIUS)
    for order in permutations(found):
        again = link(order, given, RADIUS)
        assert again == first
        assert list(again) == list(first)


# Ids ---------------------------------------------------------------------------------------------------------------


def test_id_is_kept_when_a_new_code_joins() -> None:
    old, new = sighting("268011", "深圳北"), sighting("100000", "深圳北")
    (before,) = link([old], {}, RADIUS)
    (after,) = link([old, new], known({old: before}), RADIUS)
    assert after == before
    # Without the memory the new code, first in order, would have named the place.
    assert set(link([old, new], {}, RADIUS)) != {before}


def test_smallest_id_wins_when_places_merge() -> None:
    a, b, bridge = sighting("1", "老街"), sighting("2", "东门"), sighting("1", "东门")
    given = known({a: "plc_f", b: "plc_0"})
    assert set(link([a, b], given, RADIUS)) == {"plc_0", "plc_f"}
    assert set(link([a, b, bridge], given, RADIUS)) == {"plc_0"}


@pytest.mark.parametrize("named_after", ["1", "2"])
def test_no_sighting_is_lost_when_a_place_splits(named_after: str) -> None:
    """Medians move and radii change: sightings that were one place may become two, with one id behind both."""
    a, b = sighting("1", "人民医院"), sighting("2", "人民医院", latitude=FAR)
    (place_id,) = link([a if named_after == "1" else b], {}, RADIUS)
    places = link([a, b], known({a: place_id, b: place_id}), RADIUS)
    assert sorted(identity(item) for items in places.values() for item in items) == [identity(a), identity(b)]
    assert place_id in places
    assert len(places) == 2


def test_ids_tell_nothing_but_are_the_same_on_every_run() -> None:
    (first,) = link([sighting("1", "老街")], {}, RADIUS)
    (again,) = link([sighting("1", "老街", record_count=7, latitude=FAR)], {}, RADIUS)
    assert first == again
    assert first.startswith("plc_")
    assert "老街" not in first


# Rows --------------------------------------------------------------------------------------------------------------


def test_place_row_has_the_most_used_name_and_the_median_position() -> None:
    items = [
        sighting("1", "东门", record_count=3, longitude=114.1, latitude=22.1),
        sighting("1", "老街", record_count=2, longitude=114.2, latitude=22.3),
        sighting("2", "老街", record_count=2, longitude=114.9, latitude=None),
        sighting("1", None, compared_name=None, record_count=5, longitude=None, latitude=22.2),
    ]
    assert place_rows({"plc_1": items}) == [
        {
            "place_id": "plc_1",
            "place_name": "老街",
            "place_kind_code": "metro_station",
            "source_code": "shenzhen",
            "longitude": 114.2,
            "latitude": 22.2,
            "code_count": 2,
        }
    ]


def test_median_is_not_drawn_by_one_far_outlier() -> None:
    items = [sighting("1", "a", record_count=9), sighting("1", "b", record_count=8, longitude=0.0, latitude=0.0)]
    (row,) = place_rows({"plc_1": items})
    assert (row["longitude"], row["latitude"]) == (LONGITUDE, LATITUDE)


def test_place_row_takes_the_first_name_when_two_are_used_as_often() -> None:
    items = [sighting("1", "乙", record_count=2), sighting("1", "甲", record_count=2)]
    (row,) = place_rows({"plc_1": items})
    (turned,) = place_rows({"plc_1": items[::-1]})
    assert row["place_name"] == turned["place_name"] == min("甲", "乙")


def test_place_row_is_empty_where_nothing_is_known() -> None:
    nothing = sighting(None, None, longitude=None, latitude=None)
    (row,) = place_rows({"plc_1": [nothing]})
    assert [row[name] for name in ("place_name", "longitude", "latitude", "code_count")] == [None, None, None, 0]


def test_link_rows_name_every_sighting_as_the_source_writes_it() -> None:
    items = [sighting("1", "老街站", compared_name="老街", record_count=3), sighting("1", "老街?", compared_name=None)]
    rows = link_rows(link(items, {}, RADIUS))
    assert {(row["place_code"], row["place_name"], row["record_count"]) for row in rows} == {
        ("1", "老街站", 3),
        ("1", "老街?", 1),
    }
    assert len({row["place_id"] for row in rows}) == 1
