"""A division code leads to the code of today where that is certain, and to none where it is not."""

from collections.abc import Sequence
from typing import Any

import pytest

from ronghe.contracts import catalogue
from ronghe.contracts.codeset import CodeSet, Division, DivisionChange, divisions
from ronghe.fuse import divisions as fused


def county(code: str, name: str, valid_from: int | None = None, valid_to: int | None = None) -> Division:
    return Division(
        code=code,
        name=name,
        level="county",
        parent_code=f"{code[:4]}00",
        valid_from=valid_from,
        valid_to=valid_to,
    )


def current(
    monkeypatch: pytest.MonkeyPatch, found: Sequence[Division], changes: dict[str, tuple[str, ...]]
) -> dict[str, str | None]:
    """The code of today by name."""
    monkeypatch.setattr(fused, "divisions", lambda: tuple(found))
    codeset = CodeSet(
        id="division",
        name_zh="行政区划",
        source="this test",
        version="1",
        kind="division",
        changes=tuple(DivisionChange(code=c, year=2000, successors=s) for c, s in changes.items()),
    )
    rows = fused.division_rows(codeset)
    assert len(rows) == len(found)
    return {row["division_name"]: row["current_code"] for row in rows}


def test_code_in_force_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current(monkeypatch, [county("520111", "花溪区")], {}) == {"花溪区": "520111"}


def test_abolished_code_leads_to_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [county("520111", "花溪区"), county("520114", "小河区", 2000, 2012)]
    assert current(monkeypatch, found, {"520114": ("520111",)})["小河区"] == "520111"


def test_abolished_code_leads_on_until_a_code_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        county("1", "甲", None, 1990),
        county("2", "乙", 1990, 1992),
        county("3", "丙", 1992, 1995),
        county("4", "丁", 1995),
    ]
    changes = {"1": ("2",), "2": ("3",), "3": ("4",)}
    assert current(monkeypatch, found, changes) == dict.fromkeys(("甲", "乙", "丙", "丁"), "4")


def test_split_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [county("1", "甲", None, 2000), county("2", "乙", 2000), county("3", "丙", 2000)]
    assert current(monkeypatch, found, {"1": ("2", "3")})["甲"] is None


def test_chain_leads_nowhere_when_it_ends_in_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [county("1", "甲", None, 1990), county("2", "乙", 1990, 2000), county("3", "丙"), county("4", "丁")]
    assert current(monkeypatch, found, {"1": ("2",), "2": ("3", "4")})["甲"] is None


def test_abolished_code_leads_nowhere_when_nobody_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current(monkeypatch, [county("1", "甲", None, 1990)], {}) == {"甲": None}


def test_code_used_again_is_the_same_area_under_a_new_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [county("320102", "旧名", None, 1990), county("320102", "新名", 1990)]
    assert current(monkeypatch, found, {}) == {"旧名": "320102", "新名": "320102"}


def test_code_used_again_leads_to_its_declared_successor_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [county("1", "旧名", None, 1990), county("1", "新名", 1990), county("2", "乙")]
    assert current(monkeypatch, found, {"1": ("2",)}) == {"旧名": "2", "新名": "1", "乙": "2"}


def rows_of(code: str) -> list[dict[str, Any]]:
    return [row for row in fused.division_rows(catalogue().codeset("division")) if row["division_code"] == code]


@pytest.mark.parametrize(
    ("code", "name", "today"),
    [
        pytest.param("520114", "小河区", "520111", id="merged in 2012"),
        pytest.param("522525", "清镇县", "520181", id="county, city of one prefecture, city of another"),
        pytest.param("522502", "清镇市", "520181", id="second of the three"),
        pytest.param("520181", "清镇市", "520181", id="in force"),
        pytest.param("320103", "白下区", "320104", id="merged in 2013"),
    ],
)
def test_declared_changes_lead_to_the_code_of_today(code: str, name: str, today: str) -> None:
    assert [(row["division_name"], row["current_code"]) for row in rows_of(code)] == [(name, today)]


def test_rows_are_as_the_contract_says() -> None:
    rows = fused.division_rows(catalogue().codeset("division"))
    table = catalogue().table("fused.division")
    assert len(rows) == len(divisions()) > 3000
    assert all(tuple(row) == table.column_names for row in rows)
    keys = [tuple(row[name] for name in table.primary_key) for row in rows]
    assert len(set(keys)) == len(keys)
    in_force = {row["division_code"] for row in rows if row["valid_to_year"] is None}
    assert {row["current_code"] for row in rows} - {None} == in_force


def test_every_declared_change_names_a_code_that_was_given_up() -> None:
    in_force = {d.code for d in divisions() if d.valid_to is None}
    given_up = {d.code: d.valid_to for d in divisions() if d.valid_to is not None}
    changes = catalogue().codeset("division").changes
    assert changes
    for change in changes:
        assert change.code not in in_force
        assert given_up[change.code] == change.year
        assert set(change.successors) <= in_force | set(given_up)
