"""Judgements: what came of each check, what must never be in it, and that a rerun writes nothing twice."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import judge_marts
from ronghe.contracts import Catalogue, ContractError, Feed, Table, catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.contracts.expectations import Expectation, contract_expectations
from ronghe.home import Home
from ronghe.ingest.deliveries import Delivery
from ronghe.job import DataStopped, JobContext
from ronghe.lake import Lake
from ronghe.quality import acceptance, judgements
from ronghe.quality.checks import Result, judge

pytestmark = pytest.mark.spark

FOUND: Catalogue = catalogue()
MART = "mart.social_security"
SECRET = "91520103AA000001A4"
NAME = "王小明"


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(Home(tmp_path).make(), FOUND, spark)


def frame(spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame([{n: row.get(n) for n in table.column_names} for row in rows], schema_ddl(table))


def cell(scheme: str = "110", **known: Any) -> dict[str, Any]:
    row = {
        "source_code": "s",
        "division_code": "320102",
        "contribution_month": date(2026, 10, 1),
        "scheme_code": scheme,
        "grain_code": "county",
        "account_count": 12,
        "employer_cny": Decimal("10.00"),
        "individual_cny": Decimal("5.00"),
    }
    return row | known


def organisation(number: int, **known: Any) -> dict[str, Any]:
    row = {
        "source_code": "s",
        "uscc": f"U{number}",
        "approved_date": date(2026, 11, 1),
        "organisation_name": f"org {number}",
        "organisation_kind_code": FOUND.codesets["organisation_kind"].codes[0].code,
        "division_code": "520103",
        "registration_status_code": "active",
        "delivery_id": "d1",
        "record_number": number,
    }
    return row | known


def check(expectation: str, severity: Any = "stop", **kwargs: Any) -> Expectation:
    return Expectation(expectation=expectation, kwargs=kwargs, severity=severity)


def by_name(results: tuple[Result, ...]) -> dict[tuple[str, str | None], Result]:
    return {(r.expectation, r.column): r for r in results}


# One frame ---------------------------------------------------------------------------------------------------------


def test_right_rows_pass_every_check_of_the_contract(spark: SparkSession) -> None:
    table, checks = FOUND.table(MART), FOUND.expectations(MART)
    results = judge(table, frame(spark, table, [cell(), cell("210")]), checks)
    assert [r.check_id for r in results] == [c.check_id for c in checks]
    assert {r.success for r in results} == {True}
    assert {r.element_count for r in results} == {2}
    assert by_name(results)["ExpectTableRowCountToBeBetween", None].observed == 2


def test_broken_rows_are_counted(spark: SparkSession) -> None:
    table = FOUND.table(MART)
    rows = [cell(), cell("999", account_count=None), cell("999", account_count=None), cell("210")]
    found = by_name(judge(table, frame(spark, table, rows), FOUND.expectations(MART)))
    broken = {key: (r.unexpected_count, r.element_count, r.unexpected_pct) for key, r in found.items() if not r.success}
    assert broken == {
        ("ExpectColumnValuesToBeInSet", "scheme_code"): (2, 4, 50.0),
        ("ExpectColumnValuesToNotBeNull", "account_count"): (2, 4, 50.0),
        ("ExpectCompoundColumnsToBeUnique", None): (2, 4, 50.0),
    }
    assert str(found["ExpectColumnValuesToNotBeNull", "account_count"]).endswith("of account_count: 2 of 4 rows")


def test_empty_mart_is_a_warning(spark: SparkSession) -> None:
    table = FOUND.table(MART)
    results = judge(table, frame(spark, table, []), FOUND.expectations(MART))
    assert [(r.expectation, r.severity) for r in results if not r.success] == [
        ("ExpectTableRowCountToBeBetween", "warn")
    ]
    assert not any(r.stops for r in results)


def test_rows_that_mostly_lets_pass_are_counted(spark: SparkSession) -> None:
    table = FOUND.table(MART)
    lenient = check("ExpectColumnValuesToBeBetween", column="account_count", min_value=10, mostly=0.5)
    (result,) = judge(table, frame(spark, table, [cell(), cell("210", account_count=3)]), [lenient])
    assert (result.success, result.unexpected_count) == (True, 1)


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ([{"founded_date": date(2020, 1, 1)}, {"address": "x"}], True),
        ([{"founded_date": date(2020, 1, 1)}, {}], False),
    ],
)
def test_one_of_several_columns_must_be_there(spark: SparkSession, rows: list[dict[str, Any]], holds: bool) -> None:
    table = FOUND.table("std.organisation").model_copy(
        update={"any_of": (("founded_date", "address", "contact_phone"),), "primary_key": ()}
    )
    checks = [c for c in contract_expectations(table, FOUND.codesets) if "row_condition" in c.kwargs]
    given = frame(spark, table, [organisation(n, **row) for n, row in enumerate(rows)])
    (result,) = judge(table, given, checks)
    assert result.success == holds


def test_measure_that_may_be_a_rows_value_is_not_kept(spark: SparkSession) -> None:
    table = FOUND.table("std.social_security_account")
    assert table.column("base_cny").classification == "L3"
    given = frame(spark, table, [{"base_cny": Decimal("123456.78"), "record_number": 7}])
    checks = [
        check("ExpectColumnMaxToBeBetween", column="base_cny", max_value=1),
        check("ExpectColumnMeanToBeBetween", column="base_cny", max_value=1),
        check("ExpectColumnProportionOfNonNullValuesToBeBetween", column="base_cny", min_value=0.5),
        check("ExpectColumnMaxToBeBetween", column="record_number", max_value=1),
    ]
    results = judge(table, given, checks)
    assert [(r.success, r.observed) for r in results] == [(False, None), (False, None), (True, 1.0), (False, 7.0)]
    assert "123456" not in repr(results)
    assert [str(r).rpartition(": ")[2] for r in results[:2]] == ["does not hold"] * 2


def test_check_that_cannot_be_computed_is_an_error_without_values(spark: SparkSession) -> None:
    table = FOUND.table("std.organisation")
    wrong = check("ExpectColumnValuesToBeBetween", column="no_such_column", min_value=1)
    with pytest.raises(ContractError, match="could not be computed") as error:
        judge(table, frame(spark, table, [organisation(1, organisation_name=NAME)]), [wrong])
    assert NAME not in str(error.value)


def test_a_suite_costs_a_bounded_number_of_spark_jobs(spark: SparkSession) -> None:
    """Checks of rows share one job; GX by itself starts another one for each, to collect examples."""
    table, checks = FOUND.table("std.organisation"), FOUND.expectations("std.organisation")
    rows = [organisation(n, founded_date=date(2020, 1, 1)) for n in range(3)]
    given, jobs = frame(spark, table, rows), "suite"
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup(jobs, jobs)
    assert all(result.success for result in judge(table, given, checks))
    spark.sparkContext.setJobGroup("none", "none")
    assert len(checks) >= 25
    assert 0 < len(tracker.getJobIdsForGroup(jobs)) <= 25


# The trail ---------------------------------------------------------------------------------------------------------


def test_open_table_is_judged_once_for_each_version(lake: Lake) -> None:
    table = lake.catalogue.table(MART)
    lake.replace(MART, frame(lake.spark, table, [cell()]), "one")
    first, new = judgements.judge_open_tables(lake)
    assert ([j.table_id for j in first], new) == ([MART], 1)
    size = lake.size("meta.quality")
    again, new = judgements.judge_open_tables(lake)
    assert (new, lake.size("meta.quality")) == (0, size)
    assert {r for j in again for r in j.results} == {r for j in first for r in j.results}
    lake.replace(MART, frame(lake.spark, table, [cell(), cell("210")]), "two")
    assert judgements.judge_open_tables(lake)[1] == 1
    rows = lake.rows("meta.quality").to_pylist()
    assert len(rows) == 2 * len(first[0].results)
    assert len({(r["state"], r["check_id"]) for r in rows}) == len(rows)


def test_recording_a_judgement_twice_writes_it_once(lake: Lake) -> None:
    judged = judgements.Judgement(MART, "version 1", "state", (Result("c", "Expect", None, "warn", True),))
    assert judgements.record(lake, judged)
    assert not judgements.record(lake, judged)
    assert lake.size("meta.quality")[0] == 1


def test_job_stops_what_must_not_go_out_until_it_is_mended(lake: Lake) -> None:
    ctx = JobContext(lake.home, lake.catalogue, lake.spark, lake)
    lake.replace(MART, frame(lake.spark, lake.catalogue.table(MART), [cell(), cell()]), "one")
    for _ in range(2):
        with pytest.raises(DataStopped, match=r"mart\.social_security, version \d+: ExpectCompoundColumnsToBeUnique"):
            judge_marts.run(ctx)
    page = lake.home.docs / "quality" / f"{MART}.html"
    assert "✕ stop" in page.read_text("utf-8")
    lake.replace(MART, frame(lake.spark, lake.catalogue.table(MART), [cell()]), "two")
    assert judge_marts.run(ctx) == 1
    assert "✕ stop" not in page.read_text("utf-8")
    assert judge_marts.run(ctx) == 0


# Deliveries --------------------------------------------------------------------------------------------------------


def delivery(name: str) -> Delivery:
    return Delivery("x.y", "x", date(2026, 11, 1), f"x/{name}", "", 1, name)


def test_bad_delivery_is_judged_by_itself_and_stops_alone(spark: SparkSession) -> None:
    feed: Feed = next(f for f in FOUND.feeds.values() if f.target == "std.organisation")
    table, checks = FOUND.table(feed.target), FOUND.expectations(feed.target)
    rows = [organisation(1), organisation(2, uscc=SECRET, delivery_id="d2"), organisation(3, uscc=SECRET)]
    rows[2] |= {"delivery_id": "d2", "organisation_name": NAME}
    counts = {name: {"accepted": 1, "deduplicated": 0, "quarantined": 0} for name in ("d1", "d2")}
    counts["d3"] = {"accepted": 0, "deduplicated": 0, "quarantined": 60}
    found = acceptance.judge_deliveries(
        feed, [delivery(n) for n in counts], counts, frame(spark, table, rows), table, checks
    )
    stopped = {name: [r.expectation for r in results if r.stops] for name, results in found.broken.items()}
    assert (stopped["d1"], stopped["d2"]) == ([], ["ExpectCompoundColumnsToBeUnique"])
    assert [name.partition(" (")[0] for name in stopped["d3"]] == ["quarantined records"]
    assert set(found.judged) == {("d1", "d2"), ("d1",), ("d2",)}
    assert [word for word in (SECRET, NAME) if word in repr(found)] == []
    event = acceptance.verdict(feed, delivery("d2"), found.broken["d2"], counts["d2"], 2)
    assert (event.event_code, event.reason) == ("stopped", "ExpectCompoundColumnsToBeUnique: 2 of 2 rows")


def test_whatever_leans_on_a_stopped_delivery_waits_with_it_however_far(spark: SparkSession) -> None:
    pairs = [("b", "a"), ("c", "b"), ("d", "c"), ("y", "x"), ("a", "c")]
    duplicate = spark.createDataFrame(pairs, "delivery_id STRING, kept_delivery_id STRING")
    sides = [("d", None), ("z", "d"), ("w", "v"), ("v", "w")]
    quarantine = spark.createDataFrame(sides, "delivery_id STRING, other_delivery_id STRING")
    assert acceptance.leaning(duplicate, quarantine, ["a"]) == {"b", "c", "d", "z"}
    assert acceptance.leaning(duplicate, quarantine, ["y"]) == frozenset()
    assert acceptance.leaning(duplicate, quarantine, ["v"]) == {"w"}
    assert acceptance.leaning(duplicate, quarantine, []) == frozenset()
