"""The lake without an engine: where a table lies, what a part is called, what makes a write the same write."""

import re
from pathlib import Path

import pytest

from ronghe.contracts import ContractError, catalogue
from ronghe.contracts.checks import quoted
from ronghe.contracts.rules import limits, literal
from ronghe.home import Home
from ronghe.lake import Lake, Part, digest

HOSTILE = ["plain", "it's", "a`b", "\\", "\\'", "'; DROP TABLE x; --", "x' OR '1'='1", "两\n行", "", "100%_"]
IN_QUOTES = r"'(?:[^'\\]|\\.)*'"


def test_bounds_are_compared_as_they_are_declared() -> None:
    column = catalogue().table("safe.place").column("code_count")

    def said(**bounds: float) -> str | None:
        options = column.options.model_copy(update={"minimum": None, "maximum": None} | bounds)
        return limits(column.model_copy(update={"options": options}))

    assert said(maximum=999_999_999) == "`code_count` <= 999999999"
    assert said(minimum=-0.000001, maximum=1234567.0) == "`code_count` >= -0.000001 AND `code_count` <= 1234567"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(Home(tmp_path), catalogue())


@pytest.mark.parametrize("value", HOSTILE)
def test_literal_is_one_string_whatever_it_holds(value: str) -> None:
    text = literal(value)
    assert re.fullmatch(IN_QUOTES, text, re.DOTALL)
    assert re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) == value


@pytest.mark.parametrize("name", HOSTILE)
def test_part_is_one_predicate_whatever_its_names_hold(name: str) -> None:
    predicate = Part(name, ("first", name)).predicate()
    column = re.escape(quoted(name))
    assert re.fullmatch(rf"{column} IN \('first', {IN_QUOTES}\)", predicate, re.DOTALL)
    assert re.fullmatch(r"`(?:[^`]|``)*`", quoted(name), re.DOTALL)


@pytest.mark.parametrize("table_id", catalogue().tables)
def test_zone_decides_the_half_of_the_path(table_id: str, lake: Lake) -> None:
    half = lake.home.root / catalogue().table(table_id).zone / "lake"
    layer, _, name = table_id.partition(".")
    assert Path(lake.path(table_id)) == half / layer / name


def test_no_two_tables_share_a_path(lake: Lake) -> None:
    paths = [lake.path(table_id) for table_id in catalogue().tables]
    assert len(set(paths)) == len(paths)


def test_unknown_table_is_named(lake: Lake) -> None:
    with pytest.raises(ContractError, match=r"'std\.nothing'"):
        lake.path("std.nothing")


def test_table_is_empty_and_of_no_version_when_it_was_not_made(lake: Lake) -> None:
    assert not lake.exists("std.swipe")
    assert lake.version("std.swipe") == -1
    assert not lake.is_done("std.swipe", "0" * 64)
    assert lake.rows("std.swipe").column_names == list(catalogue().table("std.swipe").column_names)
    assert lake.rows("std.swipe", ["delivery_id"]).to_pylist() == []


def test_lake_refuses_to_read_when_it_has_no_engine(lake: Lake) -> None:
    with pytest.raises(RuntimeError, match="without an engine"):
        lake.read("std.swipe")


def test_fingerprint_is_equal_for_equal_work_and_another_otherwise(lake: Lake) -> None:
    feed = catalogue().feed("shenzhen.swipe")
    other_feed = feed.model_copy(update={"lateness_days": 8})
    same = [lake.fingerprint("std.swipe", ("a", "b"), ["meta.delivery"], [feed]) for _ in range(2)]
    others = [
        lake.fingerprint("std.place", ("a", "b"), ["meta.delivery"], [feed]),
        lake.fingerprint("std.swipe", ("a",), ["meta.delivery"], [feed]),
        lake.fingerprint("std.swipe", ("a", "b"), ["meta.quarantine"], [feed]),
        lake.fingerprint("std.swipe", ("a", "b"), ["meta.delivery"], [other_feed]),
        lake.fingerprint("std.swipe", ("a", "b"), ["meta.delivery"]),
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 6


def test_fingerprint_is_another_when_the_contract_or_the_code_changed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lake.fingerprint("std.swipe")
    monkeypatch.setattr("ronghe.lake.code_version", lambda: "another")
    assert lake.fingerprint("std.swipe") != before
    monkeypatch.undo()
    table = catalogue().table("std.swipe").model_copy(update={"version": "9.9.9"})
    monkeypatch.setitem(lake.catalogue.tables, "std.swipe", table)
    assert lake.fingerprint("std.swipe") != before


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest("ab", "c") != digest("a", "bc")
