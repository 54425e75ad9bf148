"""Releases: packages a stranger can check, equal for equal tables, up in one step or not at all."""

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from frictionless import Package, system

from ronghe.contracts import Catalogue, Extract, catalogue
from ronghe.home import Home
from ronghe.job import JobFailed
from ronghe.lake import Lake
from ronghe.release import audit, files, package
from ronghe.release.files import read_file, write_files
from ronghe.release.package import ReleaseHeldBack, basis_of, release_extract, releases
from tests.open_tables import COMPANY, FLOW, LIVELIHOOD, PLACE, TRADER, record, small_extract, write, write_livelihood


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path).make()
    write_livelihood(home)
    write(home, "safe.organisation", [TRADER, COMPANY])
    return home


@pytest.fixture
def lake(home: Home) -> Lake:
    return Lake(home, catalogue())


def extract_of(name: str, **changes: Any) -> Extract:
    return small_extract(name).model_copy(update=changes)


def release(lake: Lake, name: str = "livelihood", **changes: Any) -> str | None:
    return release_extract(lake, extract_of(name, **changes), record)


def current(home: Home, name: str = "livelihood") -> dict[str, Any]:
    return json.loads((home.releases / name / "current.json").read_text("utf-8"))


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What a consumer gets ----------------------------------------------------------------------------------------------


def test_package_is_up_under_the_hash_of_its_manifest(lake: Lake, home: Home) -> None:
    release_id = release(lake)
    folder = home.releases / "livelihood" / str(release_id)
    assert hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() == release_id
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert set(content(folder)) == {"manifest.json", *(file["path"] for file in manifest["files"])}
    for file in manifest["files"]:
        data = (folder / file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert {t["table"]: t["rows"] for t in manifest["tables"]} == {name: len(rows) for name, rows in LIVELIHOOD.items()}
    assert current(home) == {
        "extract": "livelihood",
        "release_number": 1,
        "release_id": release_id,
        "package": f"{release_id}/datapackage.json",
    }


def test_stranger_finds_the_package_valid_in_every_format(lake: Lake, home: Home) -> None:
    release(lake)
    path = home.releases / "livelihood" / current(home)["package"]
    with system.use_context(trusted=True):
        report = Package(str(path)).validate()
    assert report.valid, report.flatten(["note"])
    assert {task.name: task.stats["rows"] for task in report.tasks if task.type == "table"} == {
        f"{table}.csv": len(rows) for table, rows in LIVELIHOOD.items()
    }
    assert len(report.tasks) == 2 * len(LIVELIHOOD)


def test_stranger_finds_a_changed_cell(lake: Lake, home: Home) -> None:
    """The control of the test above."""
    release(lake)
    path = home.releases / "livelihood" / current(home)["package"]
    file = path.parent / "data" / "mart.passenger_flow.csv"
    file.write_text(file.read_text("utf-8").replace("plc_1", "plc_9"), "utf-8")
    with system.use_context(trusted=True):
        errors = {error.type for task in Package(str(path)).validate().tasks for error in task.errors}
    assert {"hash-count", "foreign-key"} <= errors


def test_descriptor_says_what_the_contract_says(lake: Lake, home: Home) -> None:
    release(lake)
    resources = json.loads((home.releases / "livelihood" / current(home)["package"]).read_text("utf-8"))["resources"]
    named = {resource["name"]: resource for resource in resources}
    security = named["mart.social_security.csv"]["schema"]
    employer = next(field for field in security["fields"] if field["name"] == "employer_cny")
    assert (employer["type"], employer["unit"], employer["constraints"]) == ("number", "CNY", {"required": True})
    assert security["primaryKey"] == list(catalogue().table("mart.social_security").primary_key)
    flow = named["mart.passenger_flow.parquet"]["schema"]
    assert flow["uniqueKeys"] == [list(catalogue().table("mart.passenger_flow").primary_key)]
    assert flow["foreignKeys"] == [
        {"fields": ["place_id"], "reference": {"resource": "safe.place.parquet", "fields": ["place_id"]}}
    ]


def test_files_hold_the_rows_in_the_order_of_the_key(lake: Lake, home: Home) -> None:
    release(lake)
    data = home.releases / "livelihood" / current(home)["release_id"] / "data"
    flow = cells(data / "mart.passenger_flow.csv")
    assert [(row["place_id"], row["window_start_at"], row["out_count"]) for row in flow] == [
        ("", "", ""),
        ("plc_1", "2026-11-01T00:15:00Z", "11"),
    ]
    assert cells(data / "mart.social_security.csv")[0]["employer_cny"] == "12345678901.57"
    assert pq.read_table(data / "mart.passenger_flow.parquet").to_pylist() == LIVELIHOOD["mart.passenger_flow"]


@pytest.mark.parametrize("text", ["=1+1", "+86", "-5", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "'quoted", "'=1"])
def test_no_text_is_a_formula_and_every_text_comes_back(text: str, lake: Lake, home: Home) -> None:
    write(home, "safe.place", [PLACE, {**PLACE, "place_id": "plc_2", "place_name": text}])
    release(lake)
    folder = home.releases / "livelihood" / current(home)["release_id"]
    file = folder / "data" / "safe.place.csv"
    assert cells(file)[1]["place_name"] == f"'{text}"
    schema = files.arrow_schema(catalogue().table("safe.place").columns)
    assert files.read_file(file, "csv", schema).read_all().column("place_name").to_pylist() == ["深圳北", text]
    assert pq.read_table(folder / "data" / "safe.place.parquet").column("place_name").to_pylist() == ["深圳北", text]


def test_numbers_keep_their_sign(lake: Lake, home: Home) -> None:
    write(home, "safe.place", [{**PLACE, "longitude": -114.02}])
    write(home, "mart.passenger_flow", [FLOW])
    release(lake)
    data = home.releases / "livelihood" / current(home)["release_id"] / "data"
    assert cells(data / "safe.place.csv")[0]["longitude"] == "-114.02"


def test_only_the_columns_that_are_asked_for_leave(lake: Lake, home: Home) -> None:
    tables = catalogue().extract("organisations").tables
    narrow = tables[0].model_copy(update={"columns": ("organisation_id", "division_code")})
    release(lake, "organisations", tables=(narrow,))
    data = home.releases / "organisations" / current(home, "organisations")["release_id"] / "data"
    assert list(cells(data / "safe.organisation.csv")[0]) == ["organisation_id", "division_code"]
    assert pq.read_schema(data / "safe.organisation.parquet").names == ["organisation_id", "division_code"]


# Equal tables ------------------------------------------------------------------------------------------------------


def test_equal_rows_give_equal_bytes_whatever_their_files(tmp_path: Path) -> None:
    """Many groups of rows, in two orders and in one file or many."""
    table = catalogue().table("safe.place")
    rows = [{**PLACE, "place_id": f"plc_{n:06}", "place_name": f"站{n % 7}"} for n in range(250_000)]
    written = []
    for name, ordered, size in (("one", rows, 250_000), ("many", rows[::-1], 30_000)):
        home = Home(tmp_path / name).make()
        for start in range(0, len(ordered), size):
            schema = files.arrow_schema(table.columns)
            from deltalake import write_deltalake

            batch = pa.Table.from_pylist(ordered[start : start + size], schema)
            write_deltalake(Lake(home, catalogue()).path(table.id), batch, mode="append")
        snapshot = Lake(home, catalogue()).snapshot(table.id)
        groups = list(files.sorted_groups(snapshot, table, table.columns, tmp_path / name / "spill"))
        assert [group.num_rows for group in groups] == [100_000, 100_000, 50_000]
        paths = {"csv": tmp_path / f"{name}.csv", "parquet": tmp_path / f"{name}.parquet"}
        assert files.write_files(iter(groups), schema, paths) == len(rows)  # type: ignore[arg-type]
        written.append([path.read_bytes() for path in paths.values()])
    assert written[0] == written[1]


def test_lines_end_inside_texts_wherever_a_block_of_the_file_ends(tmp_path: Path) -> None:
    """A reader that takes every end of a line for the end of a row fails where it stands at the end of a block."""
    schema = pa.schema([("address", pa.string()), ("number", pa.int64())])
    rows = pa.table({"address": [f"一号楼\n{n}" for n in range(200_000)], "number": range(200_000)}, schema)
    path = tmp_path / "rows.csv"
    assert write_files(iter([rows]), schema, {"csv": path}) == rows.num_rows
    assert read_file(path, "csv", schema).read_all() == rows


def test_tables_written_since_they_were_judged_are_not_released(lake: Lake, home: Home) -> None:
    judged = basis_of(lake, extract_of("livelihood"))
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 99}])
    with pytest.raises(JobFailed, match="written while"):
        release_extract(lake, extract_of("livelihood"), record, judged)
    assert not (home.releases / "livelihood" / "current.json").exists()
    assert release(lake)


def test_what_gives_the_same_release_is_staged_once(lake: Lake, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spelling more in a code set changes what a release is made from, and not the release."""
    release(lake)
    place_kind = lake.catalogue.codeset("place_kind")
    more = place_kind.model_copy(
        update={"codes": (*place_kind.codes, place_kind.codes[0].model_copy(update={"code": "x"}))}
    )
    other = Lake(home, replace(lake.catalogue, codesets={**lake.catalogue.codesets, "place_kind": more}))
    extract = extract_of("livelihood", tables=small_extract("livelihood").tables[1:2])
    release_extract(lake, extract, record)
    [*_, last] = package.releases(lake, extract.id)
    assert not package.is_current(other, extract, last)
    staged = []
    stage = package.stage
    monkeypatch.setattr(package, "stage", lambda *args: staged.append(1) or stage(*args))
    for _ in range(2):
        assert release_extract(other, extract, record) is None
        assert package.is_current(other, extract, last)
    assert staged == [1]


def test_equal_tables_are_nothing_to_do(lake: Lake, home: Home) -> None:
    first = release(lake)
    before = content(home.releases)
    assert release(lake) is None
    assert content(home.releases) == before
    assert [row["release_id"] for row in releases(lake, "livelihood")] == [first]


def test_compacting_a_table_is_nothing_to_do(lake: Lake, home: Home) -> None:
    first = release(lake)
    DeltaTable(lake.path("safe.place")).optimize.compact()
    assert release(lake) is None
    assert current(home)["release_id"] == first


def test_changed_table_is_a_new_release_beside_the_old_one(lake: Lake, home: Home) -> None:
    first = release(lake)
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 13}])
    second = release(lake)
    assert second not in (None, first)
    assert current(home)["release_number"] == 2
    assert {p.name for p in (home.releases / "livelihood").iterdir() if p.is_dir()} == {first, second}


def test_old_packages_go_and_their_manifests_stay(lake: Lake, home: Home) -> None:
    made = []
    for count in (12, 13, 14):
        write(home, "mart.passenger_flow", [{**FLOW, "in_count": count}])
        made.append(release(lake, keep=2))
    assert {p.name for p in (home.releases / "livelihood").iterdir() if p.is_dir()} == set(made[1:])
    assert [row["release_id"] for row in releases(lake, "livelihood")] == made


# What does not go up -----------------------------------------------------------------------------------------------


def held_back(lake: Lake, home: Home, name: str) -> str:
    """Release twice with a fault in between; the first stays up, and nothing is left lying about."""
    first = current(home, name)
    with pytest.raises(ReleaseHeldBack) as error:
        release(lake, name)
    assert current(home, name) == first
    folders = {path.name for path in (home.releases / name).iterdir() if path.is_dir()}
    assert folders == {first["release_id"]}
    assert len(releases(lake, name)) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**COMPANY, "legal_representative_name": "张三"}, "legal_representative_name: 1 values are not as 'redact'"),
        ({**COMPANY, "contact_phone": "13800001111"}, "contact_phone: 1 values are not as 'redact'"),
        ({**TRADER, "organisation_name": "李四面馆"}, "organisation_name: 1 values are not as 'replace'"),
        ({**TRADER, "uscc": "92520103MA000001A4"}, "uscc: 1 values are not as 'replace'"),
        ({**TRADER, "address": "某路1号"}, "address: 1 values are not as 'redact'"),
        ({**COMPANY, "organisation_kind_code": "no_such_kind"}, "constraint-error"),
    ],
)
def test_untreated_value_holds_the_release_back_and_is_not_quoted(
    row: dict[str, Any], said: str, lake: Lake, home: Home
) -> None:
    release(lake, "organisations")
    write(home, "safe.organisation", [{**row, "organisation_id": "org_9"}, COMPANY])
    message = held_back(lake, home, "organisations")
    assert said in message
    secrets = ("张三", "13800001111", "李四面馆", "92520103MA000001A4", "某路1号", "no_such_kind")
    assert [secret for secret in secrets if secret in message] == []


def test_figure_without_its_place_holds_the_release_back(lake: Lake, home: Home) -> None:
    release(lake)
    write(home, "mart.passenger_flow", [{**FLOW, "place_id": "plc_gone"}])
    message = held_back(lake, home, "livelihood")
    assert "mart.passenger_flow.csv: foreign-key" in message
    assert "mart.passenger_flow.place_id: 1 values are no place_id of safe.place" in message
    assert "plc_gone" not in message


@pytest.mark.parametrize(
    ("table", "row"), [("safe.place", PLACE), ("mart.passenger_flow", LIVELIHOOD["mart.passenger_flow"][0])]
)
def test_key_that_stands_twice_holds_the_release_back(table: str, row: dict[str, Any], lake: Lake, home: Home) -> None:
    release(lake)
    write(home, table, [row, row])
    assert f"{table}: the key" in held_back(lake, home, "livelihood")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_file_with_other_rows_than_the_table_is_found(
    kind: str, lake: Lake, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Break each writer: the audit reads files and tables, not the writers' word."""
    release(lake)
    write(home, "safe.place", [{**PLACE, "code_count": 3}, {**PLACE, "place_id": "plc_2"}])
    writer = {"csv": files.CsvFile, "parquet": files.ParquetFile}[kind]
    add = writer.add

    def lossy(self: Any, group: pa.Table) -> None:
        add(self, group.slice(0, 1))

    monkeypatch.setattr(writer, "add", lossy)
    assert f"safe.place.{kind} holds other rows (1) than safe.place (2)" in held_back(lake, home, "livelihood")


def test_file_that_is_not_in_the_manifest_is_found(lake: Lake, home: Home) -> None:
    release_id = release(lake)
    folder = home.releases / "livelihood" / str(release_id)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert list(audit.file_faults(folder, manifest)) == []
    (folder / "note.txt").write_text("x")
    (folder / "README.md").write_text("x")
    assert list(audit.file_faults(folder, manifest)) == [
        "note.txt is not in the manifest",
        "README.md is not as the manifest says",
    ]


def test_column_that_must_not_leave_is_found_in_whatever_table_it_stands(lake: Lake) -> None:
    table = catalogue().table("safe.organisation")
    graded = table.columns[1].model_copy(update={"classification": "L3"})
    found = list(audit.leaks(table, [graded], catalogue(), lake.snapshot(table.id)))
    assert found == ["safe.organisation.uscc is graded L3"]


# Killed on the way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["staged", "named", "recorded"])
def test_killed_release_is_finished_by_the_next_run(
    point: str, lake: Lake, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(name: str) -> None:
        if name == f"release.livelihood:{point}":
            raise Killed

    first = release(lake)
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 13}])
    with monkeypatch.context() as patch:
        patch.setattr(package, "crash_point", kill)
        patch.setattr(package.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            release(lake)
    assert current(home)["release_id"] == first
    release(lake)
    assert current(home)["release_number"] == 2
    assert len(releases(lake, "livelihood")) == 2
    assert current(home)["release_id"] == releases(lake, "livelihood")[-1]["release_id"]
    assert not list((home.releases / "livelihood").glob(".staging-*"))
    folder = home.releases / "livelihood" / current(home)["release_id"]
    assert list(audit.file_faults(folder, json.loads((folder / "manifest.json").read_text("utf-8")))) == []


def test_package_that_is_gone_is_made_again(lake: Lake, home: Home) -> None:
    release_id = release(lake)
    (home.releases / "livelihood" / str(release_id)).rename(home.root / "elsewhere")
    release(lake)
    folder = home.releases / "livelihood" / current(home)["release_id"]
    assert folder.name == release_id
    assert (folder / "datapackage.json").is_file()


def test_extract_waits_for_tables_that_were_not_built(tmp_path: Path) -> None:
    found: Catalogue = catalogue()
    lake = Lake(Home(tmp_path).make(), found)
    assert package.missing_tables(lake, found.extract("organisations")) == ["safe.organisation"]
