"""Every sample case, through the jobs themselves: land, standardise, accept, and all of it once more."""

import math
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import accept_deliveries, land_deliveries, standardise_deliveries
from ronghe.contracts import catalogue
from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.home import Home
from ronghe.ingest.deliveries import accepted_rows
from ronghe.job import DataStopped, JobContext
from ronghe.lake import Lake
from tests.samples.build import Case, cases, file_of

pytestmark = pytest.mark.spark

JOBS = (land_deliveries, standardise_deliveries, accept_deliveries)
TOKEN = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module", autouse=True)
def _delivered() -> Iterator[None]:
    """A case is delivered as a file; how a source is asked for one is tested in tests/unit/test_transports.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land_deliveries, "fetch", lambda *_: 0)
        yield


@pytest.fixture(scope="module", params=cases(), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def ctx(case: Case, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> JobContext:
    """A home in which the case was delivered and every job of the ingest has run."""
    home, found = Home(tmp_path_factory.mktemp("home")).make(), catalogue()
    case.deliver(found.feed(case.feed_id), home.landing)
    ctx = JobContext(home, found, spark, Lake(home, found, spark), case.feed_id)
    assert [job.run(ctx) for job in JOBS] == [1, 1, 1]
    return ctx


@pytest.fixture(scope="module")
def rows(ctx: JobContext) -> dict[int, dict[str, Any]]:
    """The target's rows by record number."""
    return {row["record_number"]: row for row in ctx.lake.rows(ctx.feed.target).to_pylist()}


def is_same(found: object, wanted: object) -> bool:
    if isinstance(found, Decimal):
        return str(found) == wanted
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, abs_tol=1e-7)
    if isinstance(found, datetime | date):
        return type(found) is type(wanted) and found == wanted
    return found == wanted


def test_accepted_rows_are_the_expected_ones(case: Case, rows: dict[int, dict[str, Any]]) -> None:
    wanted = {row["record_number"]: row for row in case.expected()["accepted"]}
    assert sorted(rows) == sorted(wanted)
    wrong = {
        (number, name): (rows[number][name], value)
        for number, row in wanted.items()
        for name, value in row.items()
        if not is_same(rows[number][name], value)
    }
    assert wrong == {}, "record and column: found, wanted"


def test_quarantine_holds_the_expected_records_for_their_reasons(case: Case, ctx: JobContext) -> None:
    found = ctx.lake.rows("meta.quarantine", ["record_number", "reasons"]).to_pylist()
    assert {row["record_number"]: row["reasons"] for row in found} == case.expected()["quarantined"]


def test_duplicates_name_the_record_that_stands(case: Case, ctx: JobContext, rows: dict[int, dict[str, Any]]) -> None:
    found = ctx.lake.rows("meta.duplicate").to_pylist()
    assert sorted(row["record_number"] for row in found) == case.expected()["deduplicated"]
    assert {row["kept_record_number"] for row in found} <= set(rows)
    assert {row["kept_delivery_id"] for row in found} == {row["delivery_id"] for row in found}


def test_ledger_counts_every_record(case: Case, ctx: JobContext) -> None:
    events = {row["event_code"]: row for row in ctx.lake.rows("meta.delivery").to_pylist()}
    assert set(events) == {"landed", "accepted"}
    counts = {fate: events["accepted"][f"{fate}_count"] for fate in ("accepted", "quarantined", "deduplicated")}
    assert counts == {fate: len(case.expected()[fate]) for fate in counts}
    assert events["accepted"]["read_count"] == events["landed"]["read_count"] == sum(counts.values())
    assert events["accepted"]["business_date"] == case.expected()["business_date"]


def test_identifiers_are_tokens_in_std(ctx: JobContext, rows: dict[int, dict[str, Any]]) -> None:
    tokens = [c.name for c in ctx.catalogue.table(ctx.feed.target).columns if c.tokenise]
    values = [str(row[name]) for row in rows.values() for name in tokens if row[name] is not None]
    assert [value for value in values if not TOKEN.fullmatch(value)] == []


def test_refused_columns_are_nowhere(ctx: JobContext) -> None:
    tables = (ctx.feed.raw_table, ctx.feed.target, "meta.quarantine", "meta.duplicate")
    kept = {name for table in tables for name in ctx.lake.rows(table).column_names}
    assert kept & set(ctx.feed.refuse) == set()
    said = ctx.lake.rows("meta.quarantine", ["record"]).to_pylist()
    assert [name for name in ctx.feed.refuse if any(name in row["record"] for row in said)] == []


def test_nothing_is_left_in_staging(ctx: JobContext) -> None:
    assert [path for path in ctx.home.staging(ctx.feed.id).rglob("*") if path.is_file()] == []


def test_second_run_changes_nothing(ctx: JobContext) -> None:
    written = (ctx.feed.raw_table, ctx.feed.target, "meta.quarantine", "meta.duplicate", "meta.delivery")
    before = {table: ctx.lake.version(table) for table in written}
    assert [job.run(ctx) for job in JOBS] == [0, 0, 0]
    assert {table: ctx.lake.version(table) for table in written} == before
    assert min(before.values()) >= 0


@pytest.mark.long
def test_records_sent_again_are_duplicates(case: Case, ctx: JobContext, rows: dict[int, dict[str, Any]]) -> None:
    path = case.deliver(ctx.feed, ctx.home.landing, name="sent_again", times=2)
    assert [job.run(ctx) for job in JOBS] == [1, 1, 1]
    events = {e["event_code"]: e for e in ctx.lake.rows("meta.delivery").to_pylist() if e["path"].endswith(path.name)}
    event = events["accepted"]
    expected = case.expected()
    assert event["accepted_count"] == 0
    assert event["deduplicated_count"] == 2 * (len(expected["accepted"]) + len(expected["deduplicated"]))
    assert {row["record_number"]: row for row in ctx.lake.rows(ctx.feed.target).to_pylist()} == rows


@pytest.mark.parametrize(
    "same_night",
    [pytest.param(False, id="the_night_after", marks=pytest.mark.long), pytest.param(True, id="the_same_night")],
)
def test_correction_of_a_stopped_delivery_is_accepted_when_it_comes(
    same_night: bool, spark: SparkSession, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "schemas").mkdir(parents=True)
    (own / "expectations" / "std").mkdir(parents=True)
    dear = "{expectation: ExpectColumnMeanToBeBetween, kwargs: {column: fare_cny, max_value: 3}}"
    (own / "expectations" / "std" / "swipe.yaml").write_text(f"table: std.swipe\nexpectations: [{dear}]\n", "utf-8")
    home, found = Home(tmp_path / "home").make(), load_catalogue((builtin_folder(), own))
    ctx = JobContext(home, found, spark, Lake(home, found, spark), "shenzhen.swipe")
    swipe = {"卡号": "A1", "交易时间": "2026-11-02 08:05:30", "交易类型": "巴士", "站点编码": "X1"}
    swipe |= {"设备编号": "D1", "交易金额": "2.00", "结算日期": "20261102"}
    wrong, right = (home.landing / "shenzhen" / "swipe" / f"2026-11-0{n}" / "swipe.csv" for n in (2, 3))
    wrong.parent.mkdir(parents=True)
    right.parent.mkdir(parents=True)
    wrong.write_bytes(file_of(ctx.feed, [swipe | {"交易金额": "900.00"}]))
    if same_night:
        right.write_bytes(file_of(ctx.feed, [swipe]))
    with pytest.raises(DataStopped, match="Mean"):
        [job.run(ctx) for job in JOBS]
    right.write_bytes(file_of(ctx.feed, [swipe]))
    [job.run(ctx) for job in JOBS]
    assert [str(row["fare_cny"]) for row in accepted_rows(ctx.lake, "std.swipe").collect()] == ["2.00"]
