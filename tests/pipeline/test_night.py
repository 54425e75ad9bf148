"""A whole night through Airflow: nothing lost, nothing leaked, nothing done twice."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import frictionless
import pytest
from deltalake import DeltaTable

from ronghe.cli.query import run_query
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from tests import canary, oracles
from tests.leaks import find_leaks, identifiers
from tests.oracles.night import ORACLES
from tests.oracles.organisations import linkage_quality
from tests.oracles.risk import rank_correlation
from tests.oracles.texts import text_recall
from tests.pipeline.conftest import Night
from tests.queries import queries

pytestmark = [pytest.mark.pipeline, pytest.mark.long]

# Direct identifiers in free text, of which next to none may be left.
DIRECT = ("CN_RESIDENT_ID", "CN_RESIDENT_ID_15", "CN_MOBILE", "CN_LANDLINE", "CN_BANK_CARD", "EMAIL_ADDRESS")


def test_night_that_was_cut_off_says_so_and_is_taken_up(night: Night) -> None:
    assert "Airflow answers no more" in night.cut_off
    assert "Tables" not in night.cut_off
    assert "Failed" not in night.without_late


def test_late_source_holds_nobody_up_and_comes_in_with_the_next_run(night: Night) -> None:
    assert "xinjiang.road_count" in night.without_late
    assert "1 day late" in night.without_late
    assert "late:" not in night.complete
    assert "ingest_xinjiang.ingest_deliveries__road_count" in night.complete


def test_the_truth_holds_deliveries_and_defects_of_every_feed(night: Night) -> None:
    for name in ("deliveries", "defects"):
        assert {row["feed"] for row in oracles.truth(night.home, name)} == set(catalogue().feeds)


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
        "SELECT any_value(p.source_code), list(DISTINCT l.place_code ORDER BY l.place_code), any_value(p.longitude), "
        "any_value(p.latitude) FROM fused_place p JOIN fused_link_place_source l USING (place_id) GROUP BY p.place_id"
    ).fetchall()
    known = {
        (row["source"], *sorted(row["codes"])): (row["longitude"], row["latitude"])
        for row in oracles.truth(night.home, "places")
    }
    assert {(source, *codes) for source, codes, _, _ in found} == set(known)
    for source, codes, longitude, latitude in found:
        true_longitude, true_latitude = known[(source, *codes)]
        # 1e-5 degrees are a metre; the feed gives six decimals of GCJ-02.
        assert abs(longitude - true_longitude) < 2e-5
        assert abs(latitude - true_latitude) < 2e-5


def test_links_of_permits_are_the_true_ones(night: Night) -> None:
    precision, recall = linkage_quality(night.home)
    assert precision >= 0.99
    assert recall >= 0.9


def test_rank_of_a_region_follows_its_true_risk(night: Night) -> None:
    assert rank_correlation(night.home) >= 0.9


def test_texts_lose_every_direct_identifier(night: Night) -> None:
    found = text_recall(night.home)
    assert set(DIRECT) <= set(found)
    assert {kind: found[kind] for kind in DIRECT if found[kind] < 0.999} == {}


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_night_is_right(oracle: Callable[[Home], list[str]], night: Night) -> None:
    assert oracle(night.home) == []


@pytest.mark.parametrize(("title", "sql"), queries(), ids=[title for title, _ in queries()])
def test_documented_query_has_an_answer(title: str, sql: str, night: Night) -> None:
    assert len(run_query(night.home, sql, "csv").splitlines()) > 1


def test_quality_pages_name_every_judged_table(night: Night) -> None:
    pages = night.home.docs / "quality"
    index = (pages / "index.html").read_text("utf-8")
    judged = {
        row["table_name"] for row in Lake(night.home, catalogue()).rows("meta.quality", ["table_name"]).to_pylist()
    }
    assert judged == {table.id for table in catalogue().tables.values() if table.layer in ("std", "mart", "safe")}
    assert [table_id for table_id in judged if table_id not in index] == []
    assert not re.search(r'(?:src|href)="(?:https?:)?//', index)


def test_extracts_are_released_as_packages_and_in_a_database(night: Night) -> None:
    for extract in catalogue().extracts.values():
        folder = night.home.releases / extract.id
        current = json.loads((folder / "current.json").read_text("utf-8"))
        package = folder / current["release_id"]
        assert frictionless.validate(str(package / "datapackage.json")).valid, extract.id
        assert (night.home.releases / f"{extract.id}.sqlite").is_file()


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
    assert {"meta.destruction"} >= catalogue().tables.keys() - {table.id for table in built}
    for table in built:
        delta = DeltaTable(lake.path(table.id))
        assert delta.to_pyarrow_dataset().count_rows() == delta.count()
        assert delta.metadata().description
        assert all(field.metadata.get("comment") for field in delta.schema().fields), table.id


def test_status_sql_and_quarantine_answer(night: Night) -> None:
    status = night.ronghe("status")
    assert "mart.passenger_flow" in status.stdout
    assert "shenzhen.swipe" in status.stdout
    assert "check:uscc" in night.ronghe("quarantine").stdout
    total = night.ronghe("sql", "-f", "csv", "SELECT sum(in_count) AS n FROM mart.passenger_flow")
    assert int(total.stdout.split()[1]) > 0
    refused = night.ronghe("sql", "SELECT * FROM std.swipe")
    assert refused.returncode == 1
    assert "std" in refused.stderr
    held = night.ronghe("quarantine", "guiyang.enterprise", "--limit", "1")
    assert held.returncode == 0, held.stderr
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
    assert any("ronghe.orchestration.servers" in line for line in night.processes())
    night.ronghe("down")
    assert night.processes() == []


def test_secrets_of_the_services_are_told_nowhere(night: Night) -> None:
    secrets = canary.secrets_of(night.home)
    assert {"engine.token", "airflow.jwt_secret", "airflow.api_secret", "airflow.fernet_key"} <= set(secrets)
    assert any(name.endswith(".key") for name in secrets)
    assert canary.told(night.home, secrets) == []


def test_what_up_made_is_closed_to_others(night: Night) -> None:
    assert canary.open_to_others(night.home) == []
