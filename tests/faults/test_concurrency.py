"""Several work on one table at the same time: writers, maintenance, a rerun of an old day."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from ronghe import engine, job, sessions
from ronghe import lake as lake_module
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.lake import Lake, Part
from tests.faults.days import SHORT_LIVED
from tests.oracles.soundness import content_faults, ledger_faults, log_faults
from tests.ports import free_port

pytestmark = pytest.mark.faults

DUPLICATE, PLACE = "meta.duplicate", "fused.place"
KEPT = {"feed_id": "a.b", "kept_delivery_id": "k", "kept_record_number": 1}
STOP = {"place_kind_code": "bus_stop", "source_code": "a", "longitude": 114.0, "latitude": 22.5, "code_count": 1}
ROUNDS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("server"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
        patch.setenv("RONGHE_ENGINE_MEMORY", "1500m")
        patch.setenv(*SHORT_LIVED)
        patch.setattr(engine, "_START_SECONDS", 300)  # a machine that is busy with other tests
        engine.up(home)
        patch.setenv(engine.TOKEN_VARIABLE, engine.token(home))
        patch.setenv("RONGHE_ENGINE_URL", engine.url(home))
        yield home
        engine.down(home)


@pytest.fixture
def home(server: Home, tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


@contextmanager
def lake_of(home: Home, app: str = "test") -> Iterator[Lake]:
    """Open a lake in a session of its own."""
    with sessions.on_engine(home, app) as spark:
        yield Lake(home, catalogue(), spark)


def frame(lake: Lake, table_id: str, rows: Sequence[dict[str, Any]]) -> DataFrame:
    columns = catalogue().table(table_id).column_names
    given = [tuple(row.get(name) for name in columns) for row in rows]
    return lake.spark.createDataFrame(given, schema_ddl(catalogue().table(table_id)))


def duplicates(lake: Lake, delivery: str, number: int) -> DataFrame:
    return frame(lake, DUPLICATE, [{"delivery_id": delivery, "record_number": number, **KEPT}])


def places(lake: Lake, name: str, count: int = 50) -> DataFrame:
    return frame(lake, PLACE, [{**STOP, "place_id": f"plc_{n:03}", "place_name": name} for n in range(count)])


def numbers(home: Home) -> dict[str, int]:
    rows = Lake(home, catalogue()).rows(DUPLICATE, ["delivery_id", "record_number"]).to_pylist()
    assert len({row["delivery_id"] for row in rows}) == len(rows), "a row is there twice"
    return {row["delivery_id"]: row["record_number"] for row in rows}


# 7: two writers, one table, one server ------------------------------------------------------------------------------


@contextmanager
def aborted_by_failure(barrier: threading.Barrier) -> Iterator[None]:
    """Let nobody wait for one that has failed."""
    try:
        yield
    except BaseException:
        barrier.abort()
        raise


def two_writers(home: Home, monkeypatch: pytest.MonkeyPatch) -> int:
    """Replace two parts of one table at the same moment, some rounds long; return how often a write was begun.

    A part is found in files that hold the other one too, so the later commit meets files that are gone.
    """
    meet, began = threading.Barrier(2, timeout=120), []
    first_time = threading.local()

    def at_write(point: str) -> None:
        if point == f"{DUPLICATE}:before" and getattr(first_time, "armed", False):
            began.append(point)
            if first_time.armed is True:
                first_time.armed = "met"
                meet.wait()

    def writer(name: str) -> None:
        with aborted_by_failure(meet), lake_of(home, name) as lake:
            for number in range(1, ROUNDS + 1):
                first_time.armed = True
                lake.replace(
                    DUPLICATE, duplicates(lake, name, number), f"{name} {number}", Part("delivery_id", (name,))
                )

    with lake_of(home) as lake:
        rows = [{"delivery_id": name, "record_number": 0, **KEPT} for name in ("a", "b", "other")]
        lake.replace(DUPLICATE, frame(lake, DUPLICATE, rows).coalesce(1), "both")
    monkeypatch.setattr(lake_module, "crash_point", at_write)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(writer, name) for name in ("a", "b")]
    for failure in (one.exception() for one in done):
        if failure and not isinstance(failure, threading.BrokenBarrierError):
            raise failure
    return len(began)


def test_of_two_writers_one_tries_again_and_both_effects_are_there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    began = two_writers(home, monkeypatch)
    assert began > 2 * ROUNDS, "the fault did not fire: no writer met the other's commit"
    assert numbers(home) == {"a": ROUNDS, "b": ROUNDS, "other": 0}
    assert log_faults(home) == []


def test_without_the_retry_one_effect_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lake, "_write", Lake._write.__wrapped__)
    with pytest.raises(PySparkException, match="DELTA_CONCURRENT"):
        two_writers(home, monkeypatch)


# 9: maintenance beside readers and writers --------------------------------------------------------------------------


@contextmanager
def repeated(work: Callable[[int], object]) -> Iterator[list[int]]:
    """Do something again and again beside the test; give how often it was done, and fail with what it failed with."""
    done: list[int] = []
    stop, failed = threading.Event(), list[BaseException]()

    def loop() -> None:
        try:
            while not stop.is_set():
                work(len(done))
                done.append(1)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join(180)
        assert not failed, failed


def generations(rows: Sequence[str]) -> set[tuple[str, int]]:
    return {(name, rows.count(name)) for name in set(rows)}


def test_readers_see_whole_versions_while_a_table_is_merged_and_maintained(home: Home) -> None:
    with lake_of(home, "merges") as one, lake_of(home, "maintains") as two, lake_of(home, "reads") as reader:
        one.merge(PLACE, places(one, "n0"), "n0")
        held, seen = reader.snapshot(PLACE), []
        with (
            repeated(lambda n: one.merge(PLACE, places(one, f"n{n + 1}"), f"n{n + 1}")) as merges,
            repeated(lambda _: two.maintain(PLACE)) as maintained,
        ):
            deadline = time.monotonic() + 500
            while (len(merges) < 3 or len(maintained) < 2 or len(seen) < 4) and time.monotonic() < deadline:
                seen.append(generations([row["place_name"] for row in reader.read(PLACE).collect()]))
                seen.append(generations(Lake(home, catalogue()).rows(PLACE)["place_name"].to_pylist()))
        assert (len(merges) >= 3, len(maintained) >= 2) == (True, True), "the fault did not fire"
        assert all(len(found) == 1 and {count for _, count in found} == {50} for found in seen), "a version was mixed"
        assert generations(held.dataset.to_table()["place_name"].to_pylist()) == {("n0", 50)}
    assert log_faults(home) == []


def test_vacuum_of_what_readers_still_need_is_refused(home: Home) -> None:
    """Delta's guard, which no setting of ours switches off; without it the same reader finds its files gone."""
    with lake_of(home) as lake:
        lake.merge(PLACE, places(lake, "old"), "old")
        held = lake.snapshot(PLACE)
        lake.merge(PLACE, places(lake, "new"), "new")
        vacuum = f"VACUUM delta.`{lake.path(PLACE)}` RETAIN 0 HOURS"
        with pytest.raises(PySparkException, match=r"(?i)retention"):
            lake.spark.sql(vacuum).collect()
        assert generations(held.dataset.to_table()["place_name"].to_pylist()) == {("old", 50)}
        lake.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        lake.spark.sql(vacuum).collect()
        with pytest.raises(FileNotFoundError):
            held.dataset.to_table()


# 32: a rerun of an old day overlapping the live run -----------------------------------------------------------------

FEED, MART, TRAIL = "xinjiang.road_count", "mart.road_traffic", "meta.mart_part"
# Seconds: the second run does not come where the lock holds it; where none does it will, on a slow machine late.
WAITS, MEETS = 8, 300
FILE = "xinjiang/road_count/2026-11-0{day}/counts.jsonl"


def deliver(home: Home, day: int, vehicles: int = 7) -> None:
    """Let a day's file arrive: four quarters of an hour of one detector."""
    known = {"site_code": "A1", "site_name": "外环路", "road_name": "外环路", "direction": "由东向西"}
    known |= {"lon": 87.6, "lat": 43.8, "window_minutes": 15, "mean_speed_kmh": 42.5, "occupancy_pct": 10.0}
    starts = [f"2026-11-0{day} 08:{minute:02}:00" for minute in (0, 15, 30, 45)]
    rows = [{**known, "window_start": start, "vehicle_count": vehicles} for start in starts]
    file = home.landing / FILE.format(day=day)
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def run(verb: str, feed: str | None = None, days: str | None = None) -> int:
    return job.run_job(import_module(f"jobs.{verb}").run, verb, feed_id=feed, days=days)


def overlapping(
    monkeypatch: pytest.MonkeyPatch, point: str, live: Callable[[], int], rerun: Callable[[], int], seconds: float
) -> list[int]:
    """Run two jobs at the same time: the live one waits before a write until the other is there too, or some time."""
    reached, both, threads = threading.Event(), threading.Event(), set[int]()

    def at_write(found: str) -> None:
        if found == point and threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            reached.set()
            if len(threads) == 2:
                both.set()
            both.wait(seconds)

    monkeypatch.setattr(lake_module, "crash_point", at_write)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(live)
        assert reached.wait(240), f"the live run did not come to {point}: {first.result()}"
        return [found.result() for found in (pool.submit(rerun), first)]


@pytest.fixture
def two_homes(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], tuple[Home, Home]]:
    """Return a function that gives a home and a reference with the same deliveries, taken in where asked."""

    def make(taken_in: bool) -> tuple[Home, Home]:
        monkeypatch.setenv("RONGHE_HOME", str(home.root))
        for day in (1, 2) if taken_in else (1,):
            deliver(home, day)
        if taken_in:
            assert run("ingest_deliveries", FEED) == 2
            assert run("fuse_places") > 0
        return home, Home(Path(shutil.copytree(home.root, tmp_path / "reference")))

    return make


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "without the lock"])
def test_backfill_of_a_day_beside_the_live_run_builds_it_once(
    two_homes: Callable[[bool], tuple[Home, Home]], monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    home, reference = two_homes(True)
    if not alone:
        monkeypatch.setattr(job, "alone", nullcontext_of)
    overlapping(
        monkeypatch,
        f"{MART}:before",
        lambda: run("build_road_traffic"),
        lambda: run("build_road_traffic", None, "2026-11-01"),
        WAITS if alone else MEETS,
    )
    monkeypatch.setenv("RONGHE_HOME", str(reference.root))
    assert run("build_road_traffic") == 2
    faults = content_faults(home, reference, [MART, TRAIL])
    assert faults == ([] if alone else [f"{TRAIL}: 0 of 2 rows are lost, 1 are too many"])
    assert log_faults(home) == []


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "without the lock"])
def test_ingest_run_twice_at_once_takes_every_delivery_in_once(
    two_homes: Callable[[bool], tuple[Home, Home]], monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """The second run finds a delivery that the first has not seen, beside the one it is landing."""
    home, reference = two_homes(False)
    if not alone:
        monkeypatch.setattr(job, "alone", nullcontext_of)

    def second() -> int:
        deliver(home, 2)
        return run("ingest_deliveries", FEED)

    def both() -> None:
        first = partial(run, "ingest_deliveries", FEED)
        overlapping(monkeypatch, "meta.delivery:before", first, second, WAITS if alone else MEETS)

    if alone:
        both()
    else:  # one finds that the other has taken its staged file away
        with suppress(job.JobFailed):
            both()
    deliver(reference, 2)
    monkeypatch.setenv("RONGHE_HOME", str(reference.root))
    assert run("ingest_deliveries", FEED) == 2
    tables = ["raw.xinjiang__road_count", "std.road_count", "meta.delivery"]
    faults = ledger_faults(home) + content_faults(home, reference, tables)
    assert (faults == []) == alone, faults


def nullcontext_of(*_: object) -> AbstractContextManager[None]:
    return nullcontext()
