"""Great Expectations' suites: each holds every declared check, once, with its severity."""

from dataclasses import replace
from pathlib import Path

import pytest

from ronghe.contracts import Catalogue, ContractError, catalogue
from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.contracts.expectations import Expectation, contract_expectations, overlap
from ronghe.contracts.odcs import TypeOptions
from ronghe.quality.checks import build_suite  # first: it tells Great Expectations not to phone home

import great_expectations as gx  # isort: skip

FOUND = load_catalogue((builtin_folder(),))
CHECKED = [t.id for t in FOUND.tables.values() if t.layer in ("std", "safe", "mart") or t.id in FOUND.declared]

MEAN = Expectation(expectation="ExpectColumnMeanToBeBetween", kwargs={"column": "fare_cny", "min_value": 1})
ROWS = Expectation(expectation="ExpectTableRowCountToBeBetween", kwargs={"min_value": 1})


@pytest.fixture(scope="module", autouse=True)
def context() -> None:
    """Great Expectations builds nothing before a context is there."""
    gx.get_context(mode="ephemeral")


def test_every_declared_table_is_checked() -> None:
    assert set(FOUND.declared) <= set(CHECKED)
    assert {feed.target for feed in FOUND.feeds.values()} <= set(FOUND.declared), "a target without checks of its own"


@pytest.mark.parametrize("table_id", CHECKED)
def test_no_check_is_dropped_from_the_suite(table_id: str) -> None:
    wanted = FOUND.expectations(table_id)
    suite = build_suite(table_id, wanted)
    assert len(suite.expectations) == len(wanted)
    built = [(type(e).__name__, e.meta["severity"]) for e in suite.expectations]
    assert sorted(built) == sorted((e.expectation, e.severity) for e in wanted)


@pytest.mark.parametrize("table_id", CHECKED)
def test_check_asks_only_for_columns_the_table_has(table_id: str) -> None:
    asked = {e.kwargs["column"] for e in FOUND.expectations(table_id) if "column" in e.kwargs}
    assert asked <= set(FOUND.table(table_id).column_names)


@pytest.mark.parametrize("table_id", sorted(FOUND.declared))
def test_nothing_is_declared_that_the_contract_says_already(table_id: str) -> None:
    derived = contract_expectations(FOUND.table(table_id), FOUND.codesets)
    assert overlap(FOUND.declared[table_id], derived) == ()


def test_contract_says_key_nulls_codes_and_limits() -> None:
    said = {
        (e.expectation, str(e.kwargs.get("column", "")))
        for e in contract_expectations(FOUND.table("std.swipe"), FOUND.codesets)
    }
    assert {
        ("ExpectTableColumnsToMatchSet", ""),
        ("ExpectCompoundColumnsToBeUnique", ""),
        ("ExpectColumnValuesToNotBeNull", "swiped_at"),
        ("ExpectColumnValuesToBeInSet", "swipe_kind_code"),
        ("ExpectColumnValuesToBeBetween", "fare_cny"),
    } <= said


def test_contract_says_types_lengths_and_patterns() -> None:
    table = FOUND.table("std.organisation")
    column = table.column("address").model_copy(update={"options": TypeOptions(pattern="^.路", min_length=2)})
    changed = table.model_copy(update={"columns": (column,), "any_of": (("address", "uscc"),), "primary_key": ()})
    said = {e.expectation: e.kwargs for e in contract_expectations(changed, FOUND.codesets)}
    assert said["ExpectColumnValuesToBeOfType"] == {"column": "address", "type_": "StringType"}
    assert said["ExpectColumnValueLengthsToBeBetween"] == {"column": "address", "min_value": 2, "max_value": None}
    assert said["ExpectColumnValuesToMatchRegex"] == {"column": "address", "regex": "^.路"}
    condition = {"type": "nullity", "column": {"name": "uscc"}, "is_null": True}
    assert said["ExpectColumnValuesToNotBeNull"] == {"column": "address", "row_condition": condition}


@pytest.mark.parametrize("table_id", [t for t in CHECKED if t.startswith("mart.")])
def test_mart_that_is_empty_warns_unless_it_is_said_otherwise(table_id: str) -> None:
    asked = [e for e in FOUND.expectations(table_id) if e.expectation == ROWS.expectation]
    assert len(asked) == 1
    derived = contract_expectations(FOUND.table(table_id), FOUND.codesets)
    assert [e.severity for e in derived if e.expectation == ROWS.expectation] == ["warn"]


def test_declared_check_takes_the_place_of_a_warning_of_the_contract() -> None:
    wanted = ROWS.model_copy(update={"kwargs": {"min_value": 100}})
    found = replace(FOUND, declared={**FOUND.declared, "mart.passenger_flow": (wanted,)})
    asked = [e for e in found.expectations("mart.passenger_flow") if e.expectation == ROWS.expectation]
    assert asked == [wanted]
    assert overlap((wanted,), contract_expectations(FOUND.table("mart.passenger_flow"), FOUND.codesets)) == ()


@pytest.mark.parametrize("table_id", CHECKED)
def test_every_column_has_a_check_of_its_type(table_id: str) -> None:
    checks = FOUND.expectations(table_id)
    typed = [e.kwargs["column"] for e in checks if e.expectation == "ExpectColumnValuesToBeOfType"]
    assert typed == list(FOUND.table(table_id).column_names)


def test_name_of_a_check_is_of_its_kind_and_arguments_alone() -> None:
    assert ROWS.check_id == ROWS.model_copy(update={"severity": "warn"}).check_id
    assert len({ROWS.check_id, MEAN.check_id, MEAN.model_copy(update={"kwargs": {"column": "x"}}).check_id}) == 3


def test_overlap_names_what_is_said_twice() -> None:
    derived = contract_expectations(FOUND.table("std.swipe"), FOUND.codesets)
    twice = Expectation(expectation="ExpectColumnValuesToNotBeNull", kwargs={"column": "swiped_at"}, severity="warn")
    assert overlap((ROWS, twice), derived) == ("ExpectColumnValuesToNotBeNull(swiped_at)",)


@pytest.mark.parametrize("severity", ["stop", "warn"])
def test_severity_survives_the_suite(severity: str) -> None:
    declared = ROWS.model_copy(update={"severity": severity})
    assert [e.meta["severity"] for e in build_suite("std.swipe", [declared]).expectations] == [severity]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (Expectation(expectation="ExpectNothing"), "ExpectNothing"),
        (Expectation(expectation="expect_column_mean_to_be_between"), "expect_column_mean_to_be_between"),
        (Expectation(expectation="ExpectationSuite"), "ExpectationSuite"),
        (MEAN.model_copy(update={"kwargs": {"column": "fare_cny", "minimum": 1}}), "ExpectColumnMeanToBeBetween"),
        (MEAN.model_copy(update={"kwargs": {"min_value": 1}}), "ExpectColumnMeanToBeBetween"),
        (MEAN.model_copy(update={"kwargs": {**MEAN.kwargs, "min_value": "many"}}), "ExpectColumnMeanToBeBetween"),
    ],
    ids=["unknown", "snake_case", "no_expectation", "argument_misspelt", "argument_missing", "argument_of_wrong_type"],
)
def test_check_is_refused_by_name_when(wrong: Expectation, named: str) -> None:
    with pytest.raises(ContractError, match=rf"std\.swipe.*{named}"):
        build_suite("std.swipe", [ROWS, wrong])


def test_check_is_refused_when_it_is_declared_twice() -> None:
    with pytest.raises(ContractError, match="the same"):
        build_suite("std.swipe", [MEAN, ROWS, MEAN])


def test_catalogue_gives_declared_checks_after_those_of_the_contract() -> None:
    wanted = FOUND.expectations("std.swipe")
    own = FOUND.declared["std.swipe"]
    assert wanted[-len(own) :] == own
    assert len(wanted) > len(own)


def test_later_folder_replaces_a_tables_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "expectations" / "std").mkdir(parents=True)
    file = tmp_path / "expectations" / "std" / "swipe.yaml"
    file.write_text("table: std.swipe\nexpectations: []\n", "utf-8")
    monkeypatch.setenv("RONGHE_SCHEMAS", f"builtin:{tmp_path}")
    found: Catalogue = catalogue()
    assert found.declared["std.swipe"] == ()
    assert found.declared["std.organisation"] == FOUND.declared["std.organisation"]
