"""The declarations: each is valid by the standard's own linter, and a wrong one is refused by name."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from datacontract.data_contract import DataContract

from ronghe.contracts import Catalogue, ContractError, catalogue, load_feeds, load_sources
from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.contracts.ddl import create_table
from ronghe.contracts.guard import forbidden

ROOT = builtin_folder()
CONTRACTS = sorted(ROOT.glob("schemas/**/*.odcs.yaml"))
SWIPE_FEED = "schemas/sources/shenzhen/swipe.odcs.yaml"
SWIPE_TABLE = "schemas/tables/std/swipe.odcs.yaml"

Slip = dict[str, Any]


def slips() -> list[Any]:
    declared = yaml.safe_load(Path(__file__).with_name("slips.yaml").read_text("utf-8"))
    return [pytest.param(s, id=when) for when, s in declared.items()]


def overlay(folder: Path, file: str, right: str, wrong: str) -> Path:
    text = (ROOT / file).read_text("utf-8")
    assert right in text, f"{file} does not hold {right!r} any more"
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text.replace(right, wrong, 1), "utf-8")
    return folder


@pytest.fixture(scope="module")
def found() -> Catalogue:
    return load_catalogue((ROOT,))


def test_catalogue_holds_every_kind_of_declaration(found: Catalogue) -> None:
    assert found.sources
    assert found.feeds
    assert found.tables
    assert found.elements
    assert found.codesets
    assert found.linkages
    assert found.declared
    assert {feed.raw_table for feed in found.feeds.values()} <= set(found.tables)


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: str(path.relative_to(ROOT / "schemas")))
def test_contract_passes_the_standards_linter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the linter reaches for the network")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    run = DataContract(data_contract_file=str(path)).lint()
    assert run.result == "passed", [(check.name, check.reason) for check in run.checks]


def test_linter_finds_a_contract_that_breaks_the_standard(tmp_path: Path) -> None:
    folder = overlay(tmp_path, SWIPE_TABLE, "logicalType: string", "logicalType: text")
    assert DataContract(data_contract_file=str(folder / SWIPE_TABLE)).lint().result != "passed"


@pytest.mark.parametrize(
    "file", ["tables/std/trip.yaml", "tables/std/trip.odcs.yml", "tables/trip.odcs.yaml", "codesets/swipe_sort.yml"]
)
def test_a_file_that_nobody_reads_is_named(file: str, tmp_path: Path) -> None:
    path = tmp_path / "schemas" / file
    path.parent.mkdir(parents=True)
    path.write_text("id: std.trip\n", "utf-8")
    with pytest.raises(ContractError, match=f"nobody reads {path}: declarations stand at schemas/"):
        load_catalogue((ROOT, tmp_path))


def test_an_element_that_is_declared_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "schemas" / "elements" / "own.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("- {id: own, name_zh: 自有, definition: Own, type: string}\n" * 2, "utf-8")
    with pytest.raises(ContractError, match="declared twice: own"):
        load_catalogue((ROOT, tmp_path))


@pytest.mark.parametrize("slip", slips())
def test_catalogue_names_the_slip_when(slip: Slip, tmp_path: Path) -> None:
    folder = overlay(tmp_path, slip["file"], slip["right"], slip["wrong"])
    with pytest.raises(ContractError) as error:
        load_catalogue((ROOT, folder))
    assert [word for word in slip["named"] if word not in str(error.value)] == []


def test_catalogue_names_every_fault_at_once_when_there_are_two(tmp_path: Path) -> None:
    overlay(tmp_path, SWIPE_FEED, "value: fare_cny", "value: fare_usd")
    overlay(tmp_path, "schemas/linkage/place.yaml", "table: std.place", "table: std.site")
    with pytest.raises(ContractError, match=r"fare_usd.*std\.site"):
        load_catalogue((ROOT, tmp_path))


def test_later_folder_wins_by_id_when_both_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, hours in (("first", "45 1"), ("second", "50 1")):
        (tmp_path / name).mkdir()
        overlay(tmp_path / name, "schemas/sources/shenzhen/source.yaml", "30 1", hours)
    for order, schedule in ((("first", "second"), "50 1 * * *"), (("second", "first"), "45 1 * * *")):
        monkeypatch.setenv("RONGHE_SCHEMAS", os.pathsep.join(["builtin", *(str(tmp_path / name) for name in order)]))
        declared = catalogue()
        assert declared.sources["shenzhen"].schedule == schedule
        assert set(declared.feeds) == set(load_catalogue((ROOT,)).feeds)


def test_own_feed_joins_the_builtin_ones_when_a_folder_adds_it(tmp_path: Path) -> None:
    overlay(tmp_path, SWIPE_FEED, "id: shenzhen.swipe", "id: shenzhen.tap")
    file = tmp_path / SWIPE_FEED
    text = file.read_text("utf-8").replace("raw.shenzhen__swipe", "raw.shenzhen__tap")
    file.unlink()
    file.with_name("tap.odcs.yaml").write_text(text, "utf-8")
    feeds = load_catalogue((ROOT, tmp_path)).feeds
    assert {"shenzhen.swipe", "shenzhen.tap"} <= set(feeds)
    assert list(feeds) == sorted(feeds)


def test_only_the_wanted_sources_are_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_SOURCES", "shenzhen, guiyang")
    found = catalogue()
    assert list(load_sources()) == list(found.sources) == ["guiyang", "shenzhen"]
    assert {feed.source_code for feed in found.feeds.values()} == {"guiyang", "shenzhen"}
    assert set(load_feeds()) == set(found.feeds)
    everything = load_catalogue((ROOT,))
    assert set(everything.tables) - set(found.tables) == {
        feed.raw_table for feed in everything.feeds.values() if feed.id not in found.feeds
    }


def test_wanted_source_that_is_not_declared_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_SOURCES", "shenzhen,atlantis")
    with pytest.raises(ContractError, match="RONGHE_SOURCES names atlantis; declared are chengdu,"):
        catalogue()


def test_folder_is_named_when_it_has_no_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_SCHEMAS", str(tmp_path))
    with pytest.raises(ContractError, match=str(tmp_path)):
        catalogue()


@pytest.mark.parametrize("look_up", [Catalogue.feed, Catalogue.table, Catalogue.linkage, Catalogue.codeset])
def test_unknown_id_is_named_beside_the_known_ones(look_up: Callable[..., Any], found: Catalogue) -> None:
    with pytest.raises(ContractError, match=r"'no\.such'; there are"):
        look_up(found, "no.such")


def test_every_element_is_used(found: Catalogue) -> None:
    assert set(found.elements) == {column.element for table in found.tables.values() for column in table.columns}


def test_every_code_set_is_used(found: Catalogue) -> None:
    assert set(found.codesets) == {c.codes for table in found.tables.values() for c in table.columns if c.codes}


def test_every_table_and_column_is_made_with_a_comment(found: Catalogue) -> None:
    for table in found.tables.values():
        statement = create_table(table, "/x", found.codesets)
        columns, _, rest = statement.partition("\n) USING delta\n")
        lines = columns.splitlines()[1:]
        assert len(lines) == len(table.columns)
        assert [line for line in lines if not re.search(r" COMMENT '.+'", line)] == [], table.id
        assert rest.startswith("COMMENT '")
        assert not rest.startswith("COMMENT ''")


def test_no_declared_column_is_about_what_guard_rail_5_keeps_out(found: Catalogue) -> None:
    columns = [(f.id, c.name) for f in found.feeds.values() for c in f.columns]
    columns += [(t.id, c.name) for t in found.tables.values() for c in t.columns]
    columns += [(k.id, name) for k in found.linkages.values() for i in k.inputs for name in i.columns]
    assert [(where, name) for where, name in columns if forbidden(name)] == []
