"""Deliveries that correct, contradict or follow each other in the wrong order, through the jobs themselves."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import build_passenger_flow, fuse_places, ingest_deliveries
from ronghe import engine, sessions
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.ingest import deliveries
from ronghe.ingest.deliveries import accepted_rows
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.ledger import LEDGER
from ronghe.livelihood import parts
from ronghe.quality import acceptance
from ronghe.standardise import fates, standardiser
from tests.faults.teeth import goes_red
from tests.samples.build import file_of

pytestmark = pytest.mark.faults

FEED = catalogue().feed("shenzhen.swipe")
Run = Callable[..., JobContext]


@pytest.fixture(scope="module")
def spark(server: Home) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engine.TOKEN_VARIABLE, engine.token(server))
        patch.setattr(deliveries, "SETTLE_SECONDS", 0.0)
        with sessions.on_engine(server, "restated", engine.url(server)) as session:
            yield session


@pytest.fixture(scope="module")
def run(spark: Any) -> Run:
    """Return a function that takes in what lies in a home, runs further jobs, and returns the context."""

    def run_jobs(home: Home, *jobs: Any) -> JobContext:
        found = catalogue()
        ctx = JobContext(home, found, spark, Lake(home, found, spark), FEED.id)
        for job in (ingest_deliveries, *jobs):
            job.run(ctx)
        return ctx

    return run_jobs


def swipe(card: str, day: int = 2, fare: str = "2.00", *, minute: int = 5, **more: str) -> dict[str, str]:
    known = {"卡号": card, "交易时间": f"2026-11-0{day} 08:{minute:02}:00", "交易类型": "地铁入站", "设备编号": "D1"}
    station = {"站点编码": "GB1260010008", "站点名称": "会展中心", "经度": "114.0601", "纬度": "22.5382"}
    return known | station | {"交易金额": fare, "结算日期": f"2026110{day}"} | more


def put(home: Home, name: str, *records: dict[str, str], day: int = 2) -> None:
    path = home.landing / "shenzhen" / "swipe" / f"2026-11-0{day}" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file_of(FEED, records))


def copy_of(home: Home, root: Path) -> Home:
    return Home(Path(shutil.copytree(home.root, root)))


def standing(ctx: JobContext) -> list[tuple[str, str]]:
    """Return where the standing swipes came from, and their fares."""
    path_of = {row["delivery_id"]: Path(row["path"]).stem for row in ctx.lake.rows(LEDGER).to_pylist()}
    rows = accepted_rows(ctx.lake, "std.swipe").collect()
    return sorted((path_of[row["delivery_id"]], str(row["fare_cny"])) for row in rows)


def events(ctx: JobContext) -> list[tuple[str, str]]:
    rows = sorted(ctx.lake.rows(LEDGER).to_pylist(), key=lambda row: row["recorded_at"])
    return [(Path(row["path"]).stem, row["event_code"]) for row in rows]


# 14: other content under the same name -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taken(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that took in a file, and another one of the next day that repeats one of its records."""
    home = Home(tmp_path_factory.mktemp("taken")).make()
    put(home, "a", swipe("A", fare="1.00"), swipe("B", fare="2.00"))
    put(home, "b", swipe("A", fare="1.00"), swipe("C", fare="4.00"), day=3)
    ctx = run(home)
    assert standing(ctx) == [("a", "1.00"), ("a", "2.00"), ("b", "4.00")]
    return home


def check_newer_one_stands(run: Run, home: Home) -> None:
    put(home, "a", swipe("B", fare="3.00"))
    ctx = run(home)
    # B is corrected, A is taken back, and as the other file has it too, it stands from there.
    assert standing(ctx) == [("a", "3.00"), ("b", "1.00"), ("b", "4.00")]
    assert sorted(events(ctx)[-5:-1]) == [("a", "accepted"), ("a", "landed"), ("a", "superseded"), ("b", "reopened")]
    assert events(ctx)[-1] == ("b", "accepted")
    versions = {table: ctx.lake.version(table) for table in ("std.swipe", LEDGER)}
    run(home)
    assert {table: ctx.lake.version(table) for table in versions} == versions


def test_restated_delivery_stands_in_the_place_of_the_older_one(run: Run, taken: Home, tmp_path: Path) -> None:
    check_newer_one_stands(run, copy_of(taken, tmp_path / "home"))


def only(code: str) -> Any:
    told = acceptance.consequences
    return lambda *given: [event for event in told(*given) if event.event_code == code]


@pytest.mark.parametrize("left", ["superseded", "reopened"])
def test_restated_rows_would_be_twice_or_lost_without_the_consequences(
    left: str, run: Run, taken: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "consequences", only(left))
    with goes_red():
        check_newer_one_stands(run, copy_of(taken, tmp_path / "home"))


# 15: duplicates, and records that contradict each other ------------------------------------------------------------


def check_both_sides_are_held(run: Run, home: Home) -> None:
    put(home, "a", swipe("A"), swipe("B"), swipe("B"))
    put(home, "b", swipe("A", fare="9.00"), swipe("B"), swipe("C", fare="4.00"))
    ctx = run(home)
    assert standing(ctx) == [("a", "2.00"), ("b", "4.00")] or standing(ctx) == [("b", "2.00"), ("b", "4.00")]
    assert ctx.lake.rows("meta.duplicate").num_rows == 2
    held = {row["delivery_id"]: row for row in ctx.lake.rows("meta.quarantine").to_pylist()}
    assert {row["reasons"] for row in held.values()} == {"contradiction"}
    assert {name: row["other_delivery_id"] for name, row in held.items()} == dict(zip(held, [*held][::-1], strict=True))
    assert sorted("9.00" in row["record"] for row in held.values()) == [False, True]
    # One that comes when the other side was published is held; the published one stays.
    put(home, "c", swipe("C", fare="5.00"))
    again = run(home)
    assert standing(again) == standing(ctx)
    assert again.lake.rows("meta.quarantine").num_rows == 3
    counts = [row for row in again.lake.rows(LEDGER).to_pylist() if row["event_code"] == "accepted"]
    fate = ("accepted_count", "deduplicated_count", "quarantined_count")
    assert [sum(row[name] for name in fate) == row["read_count"] for row in counts] == [True] * 3


def test_contradicting_records_are_held_both_and_name_each_other(run: Run, tmp_path: Path) -> None:
    check_both_sides_are_held(run, Home(tmp_path / "home").make())


def test_contradicting_record_would_be_published_without_the_look(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = standardiser.with_other_side

    def blind(right: Any, present: Any, table: Any) -> Any:
        nothing = right.sparkSession.sql("SELECT CAST(NULL AS STRING) d, CAST(NULL AS BIGINT) n")
        found = told(right.limit(0), None, table).columns[-2:]
        return right.crossJoin(nothing.toDF(*found))

    monkeypatch.setattr(fates, "with_other_side", blind)
    with goes_red():
        check_both_sides_are_held(run, Home(tmp_path / "home").make())


# 16: late, out of order, far in the future -------------------------------------------------------------------------

FLOW = "mart.passenger_flow"
# A bus counts who gets on only: a station of the metro would need as many who get off.
BUS = {"交易类型": "巴士"}
EARLY = [swipe(f"E{n}", **BUS) for n in range(12)]
# The next day's file, with swipes of the day before, and one of a day that is far away.
NEXT = [*(swipe(f"L{n}", minute=6, **BUS) for n in range(11)), *(swipe(f"N{n}", day=3, **BUS) for n in range(12))]
FUTURE = swipe("F", **{"结算日期": "20361102"})
JOBS = (fuse_places, build_passenger_flow)


def flow(ctx: JobContext) -> list[str]:
    return sorted(str(row) for row in ctx.lake.rows(FLOW).to_pylist())


def check_order_of_arrival_counts_for_nothing(run: Run, home: Home, in_order: list[str]) -> None:
    put(home, "b", *NEXT, FUTURE, day=3)
    before = flow(run(home, *JOBS))
    put(home, "a", *EARLY)
    ctx = run(home, *JOBS)
    assert flow(ctx) != before
    assert flow(ctx) == in_order
    [held] = ctx.lake.rows("meta.quarantine").to_pylist()
    assert "future:service_date" in held["reasons"]


@pytest.fixture(scope="module")
def in_order(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = Home(tmp_path_factory.mktemp("in_order")).make()
    put(home, "a", *EARLY)
    put(home, "b", *NEXT, FUTURE, day=3)
    found = flow(run(home, *JOBS))
    assert len(found) >= 2
    return found


def test_marts_are_those_of_data_that_came_in_order(run: Run, in_order: list[str], tmp_path: Path) -> None:
    check_order_of_arrival_counts_for_nothing(run, Home(tmp_path / "home").make(), in_order)


def test_day_would_stay_as_it_was_without_a_look_at_what_is_behind_it(
    run: Run, in_order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = parts.due_parts

    def once(lake: Lake, mart: Any, *more: Any) -> dict[str, str]:
        built = {row["part"] for row in lake.rows(mart.trail, ["part"]).to_pylist()}
        return {part: state for part, state in told(lake, mart, *more).items() if part not in built}

    monkeypatch.setattr(parts, "due_parts", once)
    with goes_red():
        check_order_of_arrival_counts_for_nothing(run, Home(tmp_path / "home").make(), in_order)


def check_emptied_day_is_emptied(run: Run, home: Home) -> None:
    put(home, "a", *EARLY)
    assert flow(run(home, *JOBS)) != []
    put(home, "a")
    assert flow(run(home, *JOBS)) == []
    ctx = run(home)
    assert build_passenger_flow.run(ctx) == 0


def test_day_whose_only_delivery_is_taken_back_is_emptied(run: Run, tmp_path: Path) -> None:
    check_emptied_day_is_emptied(run, Home(tmp_path / "home").make())


def test_day_would_keep_its_rows_without_a_look_at_what_is_gone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = parts.due_parts
    monkeypatch.setattr(parts, "due_parts", lambda *given: told(*given[:5]))
    with goes_red():
        check_emptied_day_is_emptied(run, Home(tmp_path / "home").make())
