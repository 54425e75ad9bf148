"""What was quarantined comes in again when the rule was mended: once, whole, and whoever was killed in between."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import accept_deliveries, land_deliveries, replay_quarantine, standardise_deliveries
from ronghe import lake as lakes
from ronghe.contracts import catalogue
from ronghe.contracts.expectations import Expectation
from ronghe.home import Home
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import DataStopped, Days, JobContext
from ronghe.lake import Lake
from ronghe.livelihood import parts
from ronghe.quality import replay
from tests import oracles
from tests.samples.build import file_of
from tests.spark.swipes import with_word

pytestmark = pytest.mark.spark

FEED, TARGET = "shenzhen.swipe", "std.swipe"
TABLES = (TARGET, "meta.duplicate", "meta.quarantine", "meta.delivery")
MART = parts.Mart("mart.road_traffic", "service_date")
NEW_WORD = "轮渡"


def swipe(card: str, day: int, kind: str = "巴士", fare: str = "2.00") -> dict[str, str]:
    written = {"卡号": card, "交易时间": f"2026-11-0{day} 08:05:30", "交易类型": kind, "站点编码": "X1"}
    return written | {"设备编号": "D1", "交易金额": fare, "结算日期": f"2026110{day}"}


# A word no code set knows; it is sent twice, and once more the day after.
FIRST = [swipe("A1", 2), swipe("A2", 2, NEW_WORD), swipe("A2", 2, NEW_WORD), swipe("A3", 2, fare="x")]
SECOND = [swipe("A2", 2, NEW_WORD), swipe("A4", 3, NEW_WORD), swipe("A5", 3)]


def context(home: Home, spark: SparkSession, *, mended: bool = False, days: str | None = None) -> JobContext:
    found = catalogue()
    if mended:
        found = with_word(found, NEW_WORD)
    asked = Days.parse(days) if days else None
    return JobContext(home, found, spark, Lake(home, found, spark), FEED, asked)


@pytest.fixture(scope="module")
def accepted(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two deliveries were accepted with five records in quarantine."""
    home = Home(tmp_path_factory.mktemp("accepted")).make()
    ctx = context(home, spark)
    for day, records in ((2, FIRST), (3, SECOND)):
        path = home.landing / "shenzhen" / "swipe" / f"2026-11-0{day}" / "swipe.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(file_of(ctx.feed, records))
    assert [job.run(ctx) for job in (land_deliveries, standardise_deliveries, accept_deliveries)] == [2, 2, 2]
    assert fates(home) == {"std": 2, "duplicate": 0, "quarantine": 5}
    return home


@pytest.fixture
def home(accepted: Home, tmp_path: Path) -> Home:
    """A copy to be changed."""
    shutil.copytree(accepted.root, tmp_path / "home")
    return Home(tmp_path / "home")


def rows(home: Home, table: str) -> list[dict[str, Any]]:
    return Lake(home, catalogue()).rows(table).to_pylist()


def fates(home: Home) -> dict[str, int]:
    return {
        "std": len(rows(home, TARGET)),
        "duplicate": len(rows(home, "meta.duplicate")),
        "quarantine": len(rows(home, "meta.quarantine")),
    }


def contents(home: Home) -> dict[str, Counter[tuple[Any, ...]]]:
    return {table: oracles.table_contents(home, table) for table in TABLES}


def versions(ctx: JobContext) -> dict[str, int]:
    return {table: ctx.lake.version(table) for table in TABLES}


def counted(home: Home) -> dict[date, tuple[int, ...]]:
    """Return what the last event of a replay counts, by business day."""
    names = ("read_count", "accepted_count", "deduplicated_count", "quarantined_count")
    events = [row for row in rows(home, "meta.delivery") if row["event_code"] == "replayed"]
    return {row["business_date"]: tuple(row[name] for name in names) for row in events}


def test_what_passes_by_the_mended_rule_leaves_quarantine_once(home: Home, spark: SparkSession) -> None:
    ctx = context(home, spark, mended=True)
    assert replay_quarantine.run(ctx) == 4
    assert fates(home) == {"std": 4, "duplicate": 2, "quarantine": 1}
    assert oracles.twice_faults(home) == []
    assert counted(home) == {date(2026, 11, 2): (4, 2, 1, 1), date(2026, 11, 3): (3, 2, 1, 0)}
    [left] = rows(home, "meta.quarantine")
    assert (left["record_number"], left["reasons"]) == (4, "format:fare_cny")
    kept = {(row["delivery_id"], row["record_number"]) for row in rows(home, TARGET)}
    assert {(row["kept_delivery_id"], row["kept_record_number"]) for row in rows(home, "meta.duplicate")} <= kept


@pytest.mark.long
def test_second_replay_and_one_without_a_mended_rule_do_nothing(home: Home, spark: SparkSession) -> None:
    unmended = context(home, spark)
    before = versions(unmended)
    assert replay_quarantine.run(unmended) == 0
    assert versions(unmended) == before
    ctx = context(home, spark, mended=True)
    replay_quarantine.run(ctx)
    before = versions(ctx)
    assert replay_quarantine.run(ctx) == 0
    assert versions(ctx) == before


@pytest.mark.long
def test_days_that_are_asked_for_are_the_only_ones_replayed(home: Home, spark: SparkSession) -> None:
    assert replay_quarantine.run(context(home, spark, mended=True, days="2026-11-03")) == 2
    assert set(counted(home)) == {date(2026, 11, 3)}
    # The record of the day before finds that of the day after standing for its key.
    assert replay_quarantine.run(context(home, spark, mended=True)) == 2
    assert fates(home) == {"std": 4, "duplicate": 2, "quarantine": 1}
    assert oracles.twice_faults(home) == []


class Cut(BaseException):
    """Stands for SIGKILL in a process that has to go on."""


def cut_at(point: str) -> Callable[[str], None]:
    def crash_point(name: str) -> None:
        if name == point:
            raise Cut(name)

    return crash_point


CUTS = [(table, moment) for table in TABLES for moment in ("before", "after")]


@pytest.mark.parametrize(
    ("table", "moment"), [pytest.param(*cut, marks=() if cut == CUTS[1] else pytest.mark.long) for cut in CUTS]
)
def test_replay_that_was_cut_off_is_finished_by_the_next(
    table: str, moment: str, home: Home, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(home, spark, mended=True)
    with monkeypatch.context() as patch:
        patch.setattr(lakes, "crash_point", cut_at(f"{table}:{moment}"))
        with pytest.raises(Cut):
            replay_quarantine.run(ctx)
    # Other days than before: the next one finishes whatever it finds.
    for days in ("2026-11-03", None):
        replay_quarantine.run(context(home, spark, mended=True, days=days))
    assert fates(home) == {"std": 4, "duplicate": 2, "quarantine": 1}
    assert oracles.twice_faults(home) == []
    # Cut off before it wrote anything, its record of the second is found when that of the third stands already.
    nothing_written = (table, moment) == CUTS[0]
    second, third = ((4, 1, 2, 1), (3, 3, 0, 0)) if nothing_written else ((4, 2, 1, 1), (3, 2, 1, 0))
    assert counted(home) == {date(2026, 11, 2): second, date(2026, 11, 3): third}


@pytest.mark.long
def test_without_looking_what_is_there_a_cut_off_replay_doubles_rows(
    home: Home, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lakes, "crash_point", cut_at(f"{TARGET}:after"))
        with pytest.raises(Cut):
            replay_quarantine.run(context(home, spark, mended=True))
    monkeypatch.setattr(replay, "_missing", lambda frame, there: frame)
    with pytest.raises(DataStopped):
        replay_quarantine.run(context(home, spark, mended=True, days="2026-11-03"))
    monkeypatch.setattr(replay, "refuse_unsound", lambda *_: None)
    with pytest.raises(DataStopped, match="has 3 records and fates for"):
        replay_quarantine.run(context(home, spark, mended=True, days="2026-11-03"))


def test_nothing_leaves_quarantine_that_is_nowhere_else(
    home: Home, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Lake.append
    monkeypatch.setattr(Lake, "append", lambda self, table, *a: table != TARGET and lost(self, table, *a))
    with pytest.raises(DataStopped, match="has 4 records and fates for 3"):
        replay_quarantine.run(context(home, spark, mended=True))
    assert fates(home)["quarantine"] == 5
    monkeypatch.setattr(replay, "refuse_loss", lambda *_: None)
    replay_quarantine.run(context(home, spark, mended=True))
    assert sum(fates(home).values()) < 7, "the guard is not what kept the records"


def test_rows_that_break_a_check_of_the_table_stay_where_they_are(home: Home, spark: SparkSession) -> None:
    ctx = context(home, spark, mended=True)
    check = Expectation(expectation="ExpectTableRowCountToBeBetween", kwargs={"max_value": 3})
    found = dataclasses.replace(ctx.catalogue, declared=ctx.catalogue.declared | {TARGET: (check,)})
    strict = dataclasses.replace(ctx, catalogue=found, lake=Lake(home, found, spark))
    with pytest.raises(DataStopped, match=r"does not hold\. Nothing was moved"):
        replay_quarantine.run(strict)
    assert fates(home) == {"std": 2, "duplicate": 0, "quarantine": 5}
    assert replay_quarantine.run(ctx) == 4


@pytest.mark.long
def test_record_that_raw_has_no_more_says_that_it_cannot_be_replayed(home: Home, spark: SparkSession) -> None:
    ctx = context(home, spark, mended=True)
    spark.sql(f"DELETE FROM delta.`{ctx.lake.path(ctx.feed.raw_table)}` WHERE record_number = 2")
    for _ in range(2):
        replay_quarantine.run(ctx)
        reasons = {(r["record_number"], r["reasons"]) for r in rows(home, "meta.quarantine")}
        assert reasons == {(4, "format:fare_cny"), (2, "code:swipe_kind_code destroyed:record")}
    assert oracles.twice_faults(home) == []


def test_what_is_built_from_a_replayed_delivery_is_built_again(home: Home, spark: SparkSession) -> None:
    ctx = context(home, spark, mended=True)

    def states() -> tuple[object, ...]:
        swipes = ctx.lake.read(TARGET)
        return accepted_ids(ctx.lake, [TARGET]), parts.due_parts(ctx.lake, MART, swipes, "", None)

    before = states()
    replay_quarantine.run(context(home, spark))
    assert states() == before
    replay_quarantine.run(ctx)
    (was, was_due), (now, due) = before, states()
    assert was != now
    assert {part for part, state in due.items() if was_due[part] != state} == {"2026-11-02", "2026-11-03"}
