"""A whole night through Airflow: nothing lost, nothing leaked, nothing done twice."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from ronghe.contracts import catalogue
from ronghe.lake import Lake
from tests import oracles
from tests.leaks import find_leaks, identifiers
from tests.pipeline.conftest import Night

pytestmark = pytest.mark.pipeline


def test_night_that_was_cut_off_says_so_and_is_taken_up(night: Night) -> None:
    assert "Airflow answers no more" in night.cut_off
    assert "Tables" not in night.cut_off
    assert "Failed" not in night.without_late


def test_late_source_holds_nobody_up_and_comes_in_with_the_next_run(night: Night) -> None:
    assert "xinjiang.road_count" in night.without_late
    assert "1 day late" in night.without_late
    assert "late" not in night.complete.partition("Tables")[0]
    assert "ingest_xinjiang.ingest_deliveries__road_count" in night.complete


def test_every_delivery_is_accepted_with_the_true_counts(night: Night) -> None:
    assert oracles.truth(night.home, "deliveries")
    assert oracles.conservation_faults(night.home) == []


def test_every_defect_meets_its_fate_and_nothing_else_does(night: Night) -> None:
    assert oracles.truth(night.home, "defects")
    assert oracles.fate_faults(night.home) == []
    assert oracles.twice_faults(night.home) == []


def test_organisations_are_the_true_ones(night: Night) -> None:
    tables = oracles.database(night.home, "fused.organisation")
    found = {
        row[0]: row[1:]
        for row in tables.sql(
            "SELECT uscc, organisation_name, is_sole_trader, division_code, current_division_code, source_count "
            "FROM fused_organisation"
        ).fetchall()
    }
    known = {
        row["uscc"]: (
            row["name"],
            row["sole_trader"],
            row["division_code"],
            row["current_division_code"],
            len(row["sources"]),
        )
        for row in oracles.truth(night.home, "organisations")
    }
    assert found == known


def test_places_are_the_true_ones(night: Night) -> None:
    tables = oracles.database(night.home, "fused.place", "fused.link_place_source")
    found = tables.sql(
        "SELECT list(DISTINCT l.place_code ORDER BY l.place_code), any_value(p.longitude), any_value(p.latitude) "
        "FROM fused_place p JOIN fused_link_place_source l USING (place_id) GROUP BY p.place_id"
    ).fetchall()
    known = {
        tuple(sorted(row["codes"])): (row["longitude"], row["latitude"]) for row in oracles.truth(night.home, "places")
    }
    assert {tuple(codes) for codes, _, _ in found} == set(known)
    for codes, longitude, latitude in found:
        true_longitude, true_latitude = known[tuple(codes)]
        # 1e-5 degrees are a metre; the feed gives six decimals of GCJ-02.
        assert abs(longitude - true_longitude) < 2e-5
        assert abs(latitude - true_latitude) < 2e-5


def test_marts_equal_a_recount_from_std(night: Night) -> None:
    assert oracles.passenger_flow_faults(night.home) == []
    assert oracles.social_security_faults(night.home) == []


def test_no_small_cell_is_shown_or_follows_by_subtraction(night: Night) -> None:
    assert oracles.disclosure_faults(night.home) == []


def test_nothing_personal_is_outside_the_restricted_half(night: Night) -> None:
    names = identifiers(night.home)
    assert len(names) > 1000
    assert find_leaks(night.home, names) == []


def test_leak_scan_finds_what_is_there(night: Night) -> None:
    raw = Path(Lake(night.home, catalogue()).path("raw.shenzhen__swipe"))
    assert find_leaks(night.home, identifiers(night.home), [raw])


def test_every_table_opens_with_delta_rs_and_is_commented(night: Night) -> None:
    lake = Lake(night.home, catalogue())
    built = [table for table in catalogue().tables.values() if lake.exists(table.id)]
    assert len(built) == len(catalogue().tables) - 1, "std.place has no feed yet; every other table is built"
    for table in built:
        delta = DeltaTable(lake.path(table.id))
        assert delta.to_pyarrow_dataset().count_rows() == delta.count()
        assert delta.metadata().description
        assert all(field.metadata.get("comment") for field in delta.schema().fields), table.id


def test_status_sql_and_quarantine_answer(night: Night) -> None:
    status = night.ronghe("status")
    assert "mart.passenger_flow" in status.stdout
    assert "check:uscc" in status.stdout
    total = night.ronghe("sql", "-f", "csv", "SELECT sum(in_count) AS n FROM mart.passenger_flow")
    assert int(total.stdout.split()[1]) > 0
    refused = night.ronghe("sql", "SELECT * FROM std.swipe")
    assert refused.returncode == 1
    assert "std" in refused.stderr
    held = night.ronghe("quarantine", "guiyang", "--limit", "1")
    assert "enterprise_" in held.stdout


def test_a_second_night_does_no_work_twice(night: Night) -> None:
    lake = Lake(night.home, catalogue())
    layers = ("raw", "std", "fused", "safe", "mart")
    ids = [t.id for t in catalogue().tables.values() if t.layer in layers and lake.exists(t.id)]
    before = {table_id: DeltaTable(lake.path(table_id)).version() for table_id in ids}
    done = night.ronghe("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing new" in done.stdout
    assert {table_id: DeltaTable(lake.path(table_id)).version() for table_id in ids} == before


def test_down_leaves_no_process(night: Night) -> None:
    """Runs last in its file: it ends the services of the fixture."""
    assert any("standalone" in line for line in night.processes())
    night.ronghe("down")
    assert night.processes() == []
