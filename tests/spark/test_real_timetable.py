"""A timetable as an agency publishes it, taken in by the declarations of the simulated one."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import accept_deliveries, build_transit_supply, fuse_places, land_deliveries, standardise_deliveries
from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from tests.oracles import database
from tests.oracles.transit_supply import transit_supply_faults

ARCHIVE = Path(os.environ.get("RONGHE_SHARED_DATA", "/work/shared/data")) / "feeds" / "gtfs" / "calitp_schedule.zip"
# Columns of the reference that this agency sends and ours does not; each is refused before raw.
OTHERS = {
    "stop": (
        *("stop_code", "platform_code", "tts_stop_name", "stop_desc", "zone_id", "stop_url", "wheelchair_boarding"),
        *("city_name", "area_name", "direction_id", "ext_id", "ext_userfield1"),
    ),
    "stop_time": ("timepoint", "stop_headsign", "pickup_type", "drop_off_type", "shape_dist_traveled"),
}
JOBS = (land_deliveries, standardise_deliveries, accept_deliveries)

pytestmark = [pytest.mark.spark, pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"{ARCHIVE} is not there")]


def overlay(folder: Path) -> Path:
    """Declare the two feeds for another source, whose clock and columns differ and nothing else."""
    own = folder / "schemas" / "sources" / "valley"
    own.mkdir(parents=True)
    source = "{code: valley, name_zh: 山谷公交, name_en: Valley Transit, admin_level: city, division_code: '510100', "
    source += "timezone: America/Los_Angeles, schedule: '0 1 * * *', owner: the agency}"
    (own / "source.yaml").write_text(source, "utf-8")
    for feed, others in OTHERS.items():
        text = (builtin_folder() / "schemas" / "sources" / "chengdu" / f"{feed}.odcs.yaml").read_text("utf-8")
        text = text.replace("chengdu", "valley")
        refused = f"      - {{property: refuse, value: [{', '.join(others)}]}}\n    properties:"
        (own / f"{feed}.odcs.yaml").write_text(text.replace("    properties:", refused, 1), "utf-8")
    return folder


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("real")
    found, home = load_catalogue((builtin_folder(), overlay(folder / "own"))), Home(folder / "home").make()
    delivery = home.landing / "valley" / "gtfs" / "2026-11-02" / ARCHIVE.name
    delivery.parent.mkdir(parents=True)
    delivery.write_bytes(ARCHIVE.read_bytes())
    for feed in OTHERS:
        ctx = JobContext(home, found, spark, Lake(home, found, spark), f"valley.{feed}")
        assert [job.run(ctx) for job in JOBS] == [1, 1, 1]
    ctx = JobContext(home, found, spark, Lake(home, found, spark))
    assert all(job.run(ctx) for job in (fuse_places, build_transit_supply))
    return home


def test_every_line_is_a_row(home: Home) -> None:
    tables = database(home, "std.place", "std.stop_time", "meta.quarantine")
    assert tables.sql("SELECT * FROM meta_quarantine").fetchall() == []
    assert tables.sql("SELECT count(*), count(longitude) FROM std_place").fetchall() == [(35, 35)]
    assert tables.sql("SELECT count(*), count(departure_seconds) FROM std_stop_time").fetchall() == [(1600, 1600)]


def test_stops_are_places_where_the_agency_is(home: Home) -> None:
    rows = database(home, "fused.place").sql(
        "SELECT place_kind_code, count(*) > 20, min(latitude) > 34, max(latitude) < 35, max(longitude) < -119 "
        "FROM fused_place GROUP BY 1"
    )
    assert rows.fetchall() == [("bus_stop", True, True, True, True)]


def test_supply_equals_a_recount(home: Home) -> None:
    assert transit_supply_faults(home) == []
