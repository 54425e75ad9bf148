"""The oracles of a sound home find nothing in one, and each finds what it is for in one that was damaged."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from deltalake import write_deltalake

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.orchestration import service
from ronghe.release import package
from tests import canary
from tests.open_tables import FLOW, Row, append, record, small_extract, write, write_livelihood
from tests.oracles import places, soundness

FLOWS = "mart.passenger_flow"
EVENT: Row = {
    "delivery_id": "d1",
    "feed_id": "shenzhen.swipe",
    "source_code": "shenzhen",
    "business_date": date(2026, 11, 1),
    "path": "shenzhen/swipe/2026-11-01/a.csv",
    "content_sha256": "0",
    "byte_count": 1,
    "contract_version": "1.0.0",
    "recorded_at": datetime(2026, 11, 2, tzinfo=UTC),
}
NONE = {"accepted_count": 0, "deduplicated_count": 0, "quarantined_count": 0}
ACCEPTED = {
    **EVENT,
    **NONE,
    "event_code": "accepted",
    "read_count": 0,
    "recorded_at": datetime(2026, 11, 3, tzinfo=UTC),
}
REOPENED = {**EVENT, "event_code": "reopened", "recorded_at": datetime(2026, 11, 4, tzinfo=UTC)}


def sound(root: Path) -> Home:
    """Make a home with a release, a ledger, and a run in its lineage."""
    home = Home(root).make()
    write_livelihood(home)
    write(home, "meta.delivery", [{**EVENT, "event_code": "landed", "read_count": 0}])
    append(home, "meta.delivery", [ACCEPTED])
    package.release_extract(Lake(home, catalogue()), small_extract(), record)
    lineage(home, "START", "COMPLETE")
    service.password(home)
    service.environment(home)
    key = home.keys / "day.key"
    key.touch(0o600)
    key.write_bytes(bytes(range(100, 132)))
    return home


def lineage(home: Home, *kinds: str, run: str = "r1") -> None:
    home.lineage.mkdir(exist_ok=True)
    with (home.lineage / "2026-11.jsonl").open("a") as file:
        for kind in kinds:
            file.write(json.dumps({"eventType": kind, "run": {"runId": run}, "job": {"name": "build"}}) + "\n")


def version_file(home: Home, version: int, table_id: str = FLOWS) -> Path:
    return Path(Lake(home, catalogue()).path(table_id)) / "_delta_log" / f"{version:020}.json"


def released(home: Home) -> Path:
    [folder] = [p for p in home.releases.glob("*/*") if p.is_dir()]
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return sound(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def homes(reference: Home, tmp_path: Path) -> tuple[Home, Home]:
    shutil.copytree(reference.root, tmp_path / "home")
    return Home(tmp_path / "home"), reference


def test_nothing_is_found_in_a_sound_home(homes: tuple[Home, Home]) -> None:
    assert soundness.faults_after(*homes, [FLOWS], soundness.watched(homes[0]), {"kill": 1}) == []


def test_a_fault_that_never_fired_is_one_of_the_test(homes: tuple[Home, Home]) -> None:
    assert soundness.faults_after(*homes, [FLOWS], fired={"kill": 0}) == ["fired: kill never fired"]


def test_a_delivery_that_was_reopened_may_be_accepted_again(homes: tuple[Home, Home]) -> None:
    append(homes[0], "meta.delivery", [REOPENED])
    append(homes[0], "meta.delivery", [{**ACCEPTED, "recorded_at": datetime(2026, 11, 5, tzinfo=UTC)}])
    assert soundness.ledger_faults(homes[0]) == []


def write_version_again(home: Home) -> None:
    file = version_file(home, 0)
    content = file.read_text("utf-8")
    file.unlink()
    file.write_text(content + "\n")


def airflow_task(home: Home) -> None:
    (home.service / "airflow").mkdir()
    with sqlite3.connect(home.service / "airflow" / "airflow.db") as connection:
        connection.execute("CREATE TABLE task_instance (dag_id, task_id, state)")
        connection.execute("INSERT INTO task_instance VALUES ('fuse', 'fuse_places', 'running')")


def lose_a_file(home: Home) -> None:
    next(Path(Lake(home, catalogue()).path(FLOWS)).glob("*.parquet")).unlink()


DAMAGE: dict[str, Callable[[Home], object]] = {
    "content: mart.passenger_flow: 0 of 2 rows are lost, 1 are too many": lambda home: append(home, FLOWS, [FLOW]),
    "content: mart.passenger_flow: 1 of 2 rows are lost, 0 are too many": lambda home: write(home, FLOWS, [FLOW]),
    "ledger: accepted of d1 is in the ledger again": lambda home: append(home, "meta.delivery", [ACCEPTED]),
    "ledger: shenzhen/swipe/2026-11-01/a.csv was reopened and came to no verdict": lambda home: append(
        home, "meta.delivery", [REOPENED]
    ),
    "ledger: a.csv was landed and came to no verdict": lambda home: append(
        home, "meta.delivery", [{**EVENT, "delivery_id": "d2", "path": "a.csv", "event_code": "landed"}]
    ),
    "ledger: shenzhen/swipe/2026-11-01/a.csv: the tables have": lambda home: append(
        home, "meta.duplicate", [dict.fromkeys(catalogue().table("meta.duplicate").column_names) | DUPLICATE]
    ),
    "twice: std.swipe: 1 keys have more than one of fates": lambda home: append(
        home, "meta.duplicate", [dict.fromkeys(catalogue().table("meta.duplicate").column_names) | DUPLICATE] * 2
    ),
    "log: open/lake/mart/passenger_flow/_delta_log/00000000000000000000.json was written twice": write_version_again,
    "log: open/lake/mart/passenger_flow: versions [1] are missing": lambda home: (
        append(home, FLOWS, [FLOW]),
        append(home, FLOWS, [FLOW]),
        version_file(home, 1).unlink(),
    ),
    "log: open/lake/mart/passenger_flow: version 0 is no JSON": lambda home: version_file(home, 0).write_text("{"),
    "log: open/lake/mart/passenger_flow: it cannot be read": lose_a_file,
    "release: open/releases/livelihood/.staging-x is no recorded release": lambda home: (
        home.releases / "livelihood" / ".staging-x"
    ).mkdir(),
    "has other bytes": lambda home: (released(home) / "README.md").write_text("else"),
    "left.csv is not in the manifest": lambda home: (released(home) / "left.csv").touch(),
    "README.md is missing": lambda home: (released(home) / "README.md").unlink(),
    "the manifest's hash is not the release's id": lambda home: (released(home) / "manifest.json").write_text(
        (released(home) / "manifest.json").read_text("utf-8") + " "
    ),
    "release: livelihood: current.json names another release": lambda home: (
        home.releases / "livelihood" / "current.json"
    ).write_text('{"release_id": "x"}'),
    "lineage: a run of build has 1 starts and 0 ends": lambda home: lineage(home, "START", run="r2"),
    "lineage: a run of build has 1 starts and 2 ends": lambda home: lineage(home, "FAIL"),
    "airflow: 1 of fuse.fuse_places are running": airflow_task,
    "secrets: engine.token in service/logs/job.log": lambda home: (home.logs / "job.log").write_text(
        f"token {(home.service / 'engine.token').read_text()}"
    ),
    "leaks: card in service/logs/job.log": lambda home: (
        home.truth.mkdir(),
        (home.truth / "identifiers.json").write_text('{"card": ["FCA00000001234"], "canary_name": ["金丝雀"]}'),
        (home.logs / "job.log").write_text("FCA00000001234"),
    ),
}
DUPLICATE: Row = {
    "delivery_id": "d1",
    "record_number": 1,
    "feed_id": "shenzhen.swipe",
    "kept_delivery_id": "d1",
    "kept_record_number": 2,
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_found(homes: tuple[Home, Home], said: str) -> None:
    home, reference = homes
    watch = soundness.watched(home)
    DAMAGE[said](home)
    found = soundness.faults_after(home, reference, [FLOWS], soundness.watched(home, watch))
    assert any(said in fault for fault in found), found


def test_every_secret_is_found_where_it_is_told(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    made = {"engine.token", "airflow.api_secret", "airflow.fernet_key", "airflow.jwt_secret", "airflow.passwords.json"}
    secrets = canary.secrets_of(home)
    assert set(secrets) == made | {"day.key"}
    told = {name: secret.encode() for name, secret in secrets.items()}
    for name, form in [*told.items(), ("day.key", bytes.fromhex(secrets["day.key"]))]:
        (home.logs / "job.log").write_bytes(b"said " + form)
        assert soundness.secret_faults(home) == [f"{name} in service/logs/job.log"]


def test_a_manifest_that_counts_other_rows_is_found(homes: tuple[Home, Home]) -> None:
    folder = released(homes[0])
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["tables"][0]["rows"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("rows, the manifest says" in fault for fault in soundness.package_faults(folder))


def test_a_log_without_versions_is_found(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    assert list(soundness.version_faults(tmp_path / "_delta_log")) == ["the log has no version"]


def test_rows_that_others_read_are_those_of_the_log(tmp_path: Path) -> None:
    import pyarrow as pa

    write_deltalake(tmp_path, pa.table({"n": [1, 2]}))
    assert list(soundness.reader_faults(tmp_path)) == []


def links(home: Home, **ids: str) -> Home:
    """Write how a source calls its stations: the place of each by its name."""
    common: Row = {"source_code": "shenzhen", "place_kind_code": "metro_station", "place_code": None, "record_count": 1}
    write(home, places.LINKS, [{**common, "place_name": name, "place_id": place} for name, place in ids.items()])
    return home


def test_homes_may_give_a_place_other_ids_but_not_link_it_otherwise(tmp_path: Path) -> None:
    one = links(Home(tmp_path / "one").make(), 东站="plc_1", 西站="plc_2", 西="plc_2")
    same = links(Home(tmp_path / "same").make(), 东站="plc_8", 西站="plc_9", 西="plc_9")
    other = links(Home(tmp_path / "other").make(), 东站="plc_1", 西站="plc_2", 西="plc_3")
    assert soundness.content_faults(one, same, [places.LINKS], places.names) == []
    assert soundness.content_faults(one, same, [places.LINKS], lambda _: {}) != []
    assert soundness.content_faults(one, other, [places.LINKS], places.names) != []


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ({"东站": "plc_1", "西站": "plc_2", "西": "plc_2"}, []),
        ({"东站": "plc_1", "西站": "plc_1"}, []),
        ({"东站": "plc_1", "西站": "plc_2", "东": "plc_4"}, []),
        ({"东站": "plc_3", "西站": "plc_2", "东": "plc_4"}, ["plc_1 became plc_3", "plc_1 became plc_4"]),
        ({"东站": "plc_3", "西站": "plc_2"}, ["plc_1 became plc_3"]),
        ({"东站": "plc_2", "西站": "plc_1"}, ["plc_1 became plc_2", "plc_2 became plc_1"]),
    ],
    ids=["came to", "joined", "parted", "parted and neither keeps it", "another", "exchanged"],
)
def test_a_place_keeps_its_id(tmp_path: Path, after: dict[str, str], found: list[str]) -> None:
    home = links(Home(tmp_path).make(), 东站="plc_1", 东="plc_1", 西站="plc_2")
    links(home)  # emptied: what stood before is what counts
    assert sorted(set(places.identity_faults(links(home, **after)))) == found
