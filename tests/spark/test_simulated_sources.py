"""Permits, places, timetables and road counts as they are simulated: delivered, fused, measured and recounted."""

from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

from jobs import (
    accept_deliveries,
    build_road_traffic,
    build_transit_supply,
    desensitise_fused,
    fuse_divisions,
    fuse_organisations,
    fuse_places,
    land_deliveries,
    standardise_deliveries,
)
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.simulate import simulate
from tests import oracles
from tests.leaks import find_leaks, identifiers
from tests.oracles.organisations import linkage_faults, linkage_quality
from tests.oracles.road_traffic import road_traffic_faults
from tests.oracles.transit_supply import transit_supply_faults

pytestmark = [pytest.mark.spark, pytest.mark.long]

OWN = (
    *("chengdu.permit", "chengdu.poi", "chengdu.stop", "chengdu.stop_time"),
    *("xinjiang.road_count", "xinjiang.service_office"),
)
# Of the places of their sources these are from them.
KINDS = {
    *("school", "kindergarten", "hospital", "clinic", "social_security_office", "park", "library"),
    *("metro_station", "bus_stop", "road_site", "service_office"),
}
# Where the holders of permits are known too, and where the schools are that insure people.
FEEDS = (*OWN, "guiyang.enterprise", "nanjing.school", "nanjing.social_security")
INGEST = (land_deliveries, standardise_deliveries, accept_deliveries)
FUSE = (fuse_divisions, fuse_organisations, fuse_places)
BUILD = (build_road_traffic, build_transit_supply, desensitise_fused)


def run(home: Home, spark: SparkSession, *jobs: ModuleType, feed: str | None = None) -> list[int]:
    found = catalogue()
    ctx = JobContext(home, found, spark, Lake(home, found, spark), feed)
    return [job.run(ctx) for job in jobs]


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home after eight days of a fifth of the size, so that weekly lists come twice."""
    home = Home(tmp_path_factory.mktemp("home")).make()
    simulate(home.landing, home.truth, scale=0.2, days=8)
    for feed in FEEDS:
        assert all(run(home, spark, *INGEST, feed=feed)), feed
    assert all(run(home, spark, *FUSE, *BUILD))
    return home


def test_every_record_meets_its_fate(home: Home) -> None:
    faults = [*oracles.conservation_faults(home), *oracles.fate_faults(home)]
    assert [fault for fault in faults if any(feed in fault for feed in OWN)] == []
    assert oracles.twice_faults(home) == []


def test_permits_are_linked_to_their_holders(home: Home) -> None:
    precision, recall = linkage_quality(home)
    assert precision >= 0.99
    assert recall >= 0.9


def test_permits_without_a_code_are_linked_by_name_where_it_can_be_told(home: Home) -> None:
    precision, recall = linkage_quality(home, by_name=True)
    assert precision >= 0.99
    assert recall >= 0.8


def test_what_is_not_linked_waits_for_a_person(home: Home) -> None:
    assert linkage_faults(home) == []


def test_organisations_are_the_true_ones(home: Home) -> None:
    rows = oracles.database(home, "fused.organisation").sql(
        "SELECT uscc, organisation_name, is_sole_trader, division_code, source_count FROM fused_organisation"
    )
    known = {
        (o["uscc"], o["name"], o["sole_trader"], o["division_code"], len(o["sources"]))
        for o in oracles.truth(home, "organisations")
    }
    assert set(rows.fetchall()) == known


def test_places_are_the_true_ones(home: Home) -> None:
    sources = {feed.split(".")[0] for feed in OWN}
    known = {
        (row["source"], row["kind"], tuple(row["codes"])): (row["longitude"], row["latitude"])
        for row in oracles.truth(home, "places")
        if row["source"] in sources and row["kind"] in KINDS
    }
    rows = oracles.database(home, "fused.place", "fused.link_place_source").sql(
        "SELECT p.source_code, p.place_kind_code, list(DISTINCT l.place_code ORDER BY l.place_code), "
        "any_value(p.longitude), any_value(p.latitude) "
        "FROM fused_place p JOIN fused_link_place_source l USING (place_id) GROUP BY p.place_id, 1, 2"
    )
    found = {(s, kind, tuple(codes)): position for s, kind, codes, *position in rows.fetchall() if s in sources}
    assert found.keys() == known.keys()
    # A thousandth of a thousandth of a degree is a tenth of a metre; the lists give six decimals.
    assert [key for key, position in found.items() if position != pytest.approx(known[key], abs=2e-6)] == []


def test_marts_equal_a_recount_from_std(home: Home) -> None:
    assert road_traffic_faults(home) == []
    assert transit_supply_faults(home) == []


def test_recount_finds_a_figure_that_is_wrong(home: Home, spark: SparkSession) -> None:
    lake = Lake(home, catalogue(), spark)
    for table, column, faults in (
        ("mart.road_traffic", "congestion_index", road_traffic_faults),
        ("mart.transit_supply", "headway_minutes", transit_supply_faults),
    ):
        before = lake.version(table)
        spark.sql(f"UPDATE delta.`{lake.path(table)}` SET {column} = {column} + 0.001 WHERE {column} > 1").collect()
        assert faults(home)
        spark.sql(f"RESTORE TABLE delta.`{lake.path(table)}` TO VERSION AS OF {before}").collect()
        assert faults(home) == []


def test_hours_go_on_after_midnight(home: Home) -> None:
    hours = oracles.database(home, "mart.transit_supply").sql("SELECT max(service_hour) FROM mart_transit_supply")
    assert hours.fetchall()[0][0] == 24


def test_nothing_personal_is_outside_the_restricted_half(home: Home) -> None:
    names = identifiers(home)
    assert find_leaks(home, names) == []
    assert find_leaks(home, names, [Path(Lake(home, catalogue()).path("raw.chengdu__permit"))])


def test_a_second_night_does_nothing(home: Home, spark: SparkSession) -> None:
    assert not any(run(home, spark, *(job for job in (*FUSE, *BUILD) if job is not fuse_divisions)))
