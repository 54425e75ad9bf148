"""When a window closes, key, identifiers and originals go together; what was built of them stands."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from jobs import (
    build_passenger_flow,
    destroy_due,
    ingest_deliveries,
    land_deliveries,
    replay_quarantine,
    standardise_deliveries,
)
from ronghe import job, stores
from ronghe.cli import due
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.table import Retention
from ronghe.home import Home
from ronghe.ingest.deliveries import LEDGER, Delivery, Event, Ledger, accepted_rows
from ronghe.job import Days, JobContext
from ronghe.lake import Lake
from ronghe.ledger import accepted_states
from ronghe.privacy.text.columns import MEMORY, RememberedTexts
from ronghe.privacy.treatments import desensitise
from ronghe.retention import due as due_module
from ronghe.retention.due import History, newest_day
from tests.spark.lakes import put, stores_in
from tests.spark.swipes import FEED, deliver, ingest, swipe, with_word

pytestmark = pytest.mark.spark

FIRST = date(2024, 3, 1)
NINTH = FIRST + timedelta(8)
RAW, STD, MART, ACTS = "raw.shenzhen__swipe", "std.swipe", "mart.passenger_flow", "meta.destruction"
# What Spark says of a file that a version needs and that is not there.
GONE = r"FILE_NOT_EXIST|does not exist|not found"
CARDS = [f"FCA{number:07}" for number in range(12)]


def of(ctx: JobContext, declared: Catalogue | None = None, home: Home | None = None) -> JobContext:
    """The same context over another home, or under other declarations."""
    home, found = home or ctx.home, declared or ctx.catalogue
    return JobContext(home, found, ctx.spark, Lake(home, found, ctx.spark), FEED, ctx.days)


def kept_for(ctx: JobContext, days: int) -> JobContext:
    """The same home under a contract that keeps the rows of std for so many days."""
    table = ctx.catalogue.table(STD).model_copy(update={"retention": Retention(days=days, day_column="service_date")})
    return of(ctx, dataclasses.replace(ctx.catalogue, tables={**ctx.catalogue.tables, STD: table}))


@pytest.fixture(scope="module")
def counted(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home into which two days were taken in, nine days apart, and counted."""
    home = Home(tmp_path_factory.mktemp("counted")).make()
    ctx = JobContext(home, catalogue(), spark, Lake(home, catalogue(), spark), FEED)
    station = {"place_kind_code": "metro_station", "place_code": "A1", "place_name": "会展中心", "place_id": "plc_1"}
    put(ctx, "fused.link_place_source", {"source_code": "shenzhen", "record_count": 1} | station)
    lines = [swipe(card, FIRST, kind, hour) for card in CARDS for kind, hour in (("地铁入站", 8), ("地铁出站", 9))]
    deliver(ctx, FIRST, [*lines, swipe("FCA9999999", FIRST, "轻轨入站")])
    deliver(ctx, NINTH, [swipe(card, NINTH) for card in CARDS])
    assert ingest(ctx) == 2
    assert build_passenger_flow.run(ctx) == 2
    return home


@pytest.fixture
def ctx(counted: Home, spark: SparkSession, tmp_path: Path) -> JobContext:
    """The same over a copy, to be changed."""
    shutil.copytree(counted.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    return JobContext(home, catalogue(), spark, Lake(home, catalogue(), spark), FEED)


def rows(ctx: JobContext, table_id: str, *columns: str) -> list[dict[str, Any]]:
    found = ctx.lake.rows(table_id, columns or None).to_pylist()
    return sorted(found, key=str)


def accepted_of(ctx: JobContext) -> set[Delivery]:
    return History.read_from(Ledger(ctx.lake, ctx.feed).events()).ended


def keys(home: Home) -> set[str]:
    return {path.name for path in home.keys.glob("*.key")}


def everything_under(home: Home) -> bytes:
    return b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def raw_content(ctx: JobContext) -> str:
    """The records of raw in every file of it, also of older versions."""
    folder = Path(ctx.lake.path(RAW))
    return str([pq.read_table(path).to_pylist() for path in folder.rglob("*.parquet")])


POINTS = (
    *("destruction:begun", "destruction:ending", "destruction:aside", "destruction:originals", f"{RAW}:destroyed"),
    *("meta.quarantine:blanked", f"{RAW}:forgotten", "meta.quarantine:forgotten", "meta.destruction:after"),
)


class Killed(BaseException):
    """Stands for SIGKILL."""


def killing(wanted: str, passing: int) -> Callable[[str], None]:
    left = [passing]

    def point(name: str) -> None:
        left[0] -= name == wanted
        if name == wanted and left[0] == 0:
            raise Killed

    return point


def test_key_identifiers_and_originals_of_a_closed_day_go_and_no_other(ctx: JobContext) -> None:
    before = {name: rows(ctx, name) for name in (STD, MART, "meta.duplicate")}
    old = DeltaTable(ctx.lake.path(RAW)).version()
    assert destroy_due.run(ctx) == 2
    assert keys(ctx.home) == {f"day_{NINTH}.key"}
    assert [path.parent.name for path in ctx.home.landing.rglob("*.csv")] == [str(NINTH)]
    assert len(rows(ctx, RAW)) == len(CARDS)
    [held] = rows(ctx, "meta.quarantine")
    assert (held["record"], held["reasons"]) == ("{}", "code:swipe_kind_code")
    assert {name: rows(ctx, name) for name in before} == before
    # Nobody travels back: neither to the raw records nor to what quarantine kept.
    for table_id, version in ((RAW, old), ("meta.quarantine", 1)):
        travelled = ctx.spark.read.format("delta").option("versionAsOf", version).load(ctx.lake.path(table_id))
        with pytest.raises((PySparkException, Py4JJavaError), match=GONE):
            travelled.collect()
    # The ledgers say what went, and what had been there.
    done = [row for row in rows(ctx, ACTS) if row["state_code"] == "done"]
    [purged] = {row["delivery_id"] for row in rows(ctx, LEDGER) if row["business_date"] == FIRST}
    assert {
        (r["subject"], r["reason_code"], r["until_date"], r["delivery_count"], r["record_count"]) for r in done
    } == {
        ("keys", "window", FIRST, 0, 0),
        (FEED, "window", FIRST, 1, 2 * len(CARDS) + 1),
        (purged, "window", FIRST, 1, 0),
    }
    events = {(row["business_date"], row["event_code"]): row for row in rows(ctx, LEDGER)}
    accepted = events[FIRST, "accepted"]
    counted = accepted["accepted_count"] + accepted["deduplicated_count"] + accepted["quarantined_count"]
    assert counted == accepted["read_count"]
    # And nothing is left to do, or to build.
    assert destroy_due.run(ctx) == 0
    assert (ingest(ctx), build_passenger_flow.run(ctx)) == (0, 0)


def test_no_identifier_of_a_closed_day_is_left_in_any_file(ctx: JobContext) -> None:
    """Of the ninth day there are other cards, so that what is found can only be of the first."""
    shutil.rmtree(ctx.home.root)
    ctx = of(ctx, home=Home(ctx.home.root).make())
    deliver(ctx, FIRST, [swipe("FCA1111111", FIRST), swipe("FCA2222222", FIRST, "轻轨入站")])
    deliver(ctx, NINTH, [swipe("FCB3333333", NINTH)])
    ingest(ctx)
    assert all(card in everything_under(ctx.home) for card in (b"FCA1111111", b"FCA2222222"))
    destroy_due.run(ctx)
    left = everything_under(ctx.home)
    assert b"FCA" not in left
    assert b"FCB3333333" in left


@pytest.mark.long
def test_a_tables_log_would_tell_without_the_choice_of_its_statistics(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ronghe.contracts.ddl._statistics", lambda _: {})
    ctx = of(ctx, home=Home(tmp_path / "other").make())
    deliver(ctx, FIRST, [swipe("FCA1111111", FIRST)])
    ingest(ctx)
    logs = Path(ctx.lake.path(RAW), "_delta_log").glob("*.json")
    assert any("FCA1111111" in log.read_text("utf-8") for log in logs)


def test_what_comes_after_a_key_is_gone_changes_counts_and_pairs_with_nothing(ctx: JobContext) -> None:
    destroy_due.run(ctx)
    tokens = {row["card_token"] for row in rows(ctx, STD, "card_token")}
    [shown] = [r["in_count"] for r in rows(ctx, MART, "service_date", "in_count") if r["service_date"] == FIRST]
    # In a delivery for a day inside the window, but of a day whose key is gone.
    deliver(ctx, FIRST + timedelta(2), [swipe(card, FIRST, hour=10) for card in CARDS], "late.csv")
    assert ingest(ctx) == 1
    assert len({row["card_token"] for row in rows(ctx, STD, "card_token")} - tokens) == len(CARDS)
    assert f"day_{FIRST}.key" not in keys(ctx.home)
    assert build_passenger_flow.run(ctx) == 1
    counted = [r["in_count"] for r in rows(ctx, MART, "service_date", "in_count") if r["service_date"] == FIRST]
    assert sum(counted) == shown + len(CARDS)
    # The late key goes as soon as its delivery is in, and nothing is built again.
    destroy_due.run(ctx)
    assert keys(ctx.home) == {f"day_{NINTH}.key"}
    assert build_passenger_flow.run(ctx) == 0


def test_a_day_is_closed_from_the_moment_on_that_its_destruction_began(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when its key is gone and nobody has said so."""
    with monkeypatch.context() as patch:
        patch.setattr("ronghe.retention.destroy.crash_point", killing("destruction:ending", 1))
        with pytest.raises(Killed):
            destroy_due.run(ctx)
    assert keys(ctx.home) == {f"day_{NINTH}.key"}
    deliver(ctx, FIRST + timedelta(2), [swipe(CARDS[0], FIRST, hour=10)], "late.csv")
    assert ingest(ctx) == 1
    assert f"day_{FIRST}.key" not in keys(ctx.home)


@pytest.mark.long
def test_without_the_ledger_a_late_row_would_get_a_days_key_again(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroy_due.run(ctx)
    monkeypatch.setattr("ronghe.standardise.fates.closed_until", lambda *_: None)
    deliver(ctx, FIRST + timedelta(2), [swipe(CARDS[0], FIRST, hour=10)], "late.csv")
    ingest(ctx)
    assert f"day_{FIRST}.key" in keys(ctx.home)


def test_a_file_that_was_purged_is_known_when_it_comes_again(ctx: JobContext) -> None:
    [path] = (ctx.home.landing / "shenzhen" / "swipe" / FIRST.isoformat()).iterdir()
    content = path.read_bytes()
    destroy_due.run(ctx)
    before = rows(ctx, STD)
    path.write_bytes(content)
    path.with_name("again.csv").write_bytes(content)
    newer = ctx.catalogue.feed(FEED).model_copy(update={"version": "1.1.0"})
    ctx = of(ctx, dataclasses.replace(ctx.catalogue, feeds={**ctx.catalogue.feeds, FEED: newer}))
    assert ingest(ctx) == 0
    assert rows(ctx, STD) == before
    assert destroy_due.run(ctx) == 1
    assert not list(path.parent.iterdir()), "what came again goes again"


@pytest.mark.long
def test_a_delivery_that_waits_for_a_person_is_kept_until_its_retention_ends(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deliver(ctx, FIRST, ["x" * 10], "torn.csv")
    path.write_text("no header of ours\n", "GB18030")
    ingest(ctx)
    destroy_due.run(ctx)
    assert path.exists()
    deliver(ctx, FIRST + timedelta(31), [swipe(CARDS[0], FIRST + timedelta(31))])
    ingest(ctx)
    destroy_due.run(ctx)
    assert not path.exists()
    assert not rows(ctx, "meta.quarantine")
    assert not [d for d in Ledger(ctx.lake, ctx.feed).unclaimed() if d.business_date == FIRST]
    assert destroy_due.run(ctx) == 0


def test_a_mart_that_was_taken_away_is_built_again(ctx: JobContext) -> None:
    before = rows(ctx, MART)
    shutil.rmtree(ctx.lake.path(MART))
    assert build_passenger_flow.run(ctx) == 2
    assert rows(ctx, MART) == before
    assert build_passenger_flow.run(ctx) == 0


@pytest.mark.long
def test_rows_go_when_their_retention_ends_and_what_was_built_stands(ctx: JobContext) -> None:
    short = kept_for(ctx, 8)
    deliver(short, NINTH + timedelta(1), [swipe(CARDS[0], NINTH + timedelta(1))])
    ingest(short)
    build_passenger_flow.run(short)
    before, version = rows(short, MART), DeltaTable(short.lake.path(STD)).version()
    assert destroy_due.run(short) > 0
    assert {row["service_date"] for row in rows(short, STD)} == {NINTH, NINTH + timedelta(1)}
    travelled = short.spark.read.format("delta").option("versionAsOf", version).load(short.lake.path(STD))
    with pytest.raises((PySparkException, Py4JJavaError), match=GONE):
        travelled.collect()
    # A late row of the closed day, and other places: the day is not built again from what is left.
    deliver(short, FIRST + timedelta(2), [swipe(CARDS[0], FIRST, hour=11)], "late.csv")
    assert ingest(short) == 1
    assert build_passenger_flow.run(short) == 0
    assert rows(short, MART) == before
    destroy_due.run(short)
    assert FIRST not in {row["service_date"] for row in rows(short, STD)}


@pytest.mark.long
def test_without_closed_days_a_mart_would_be_built_again_from_the_late_row(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ronghe.ingest.deliveries.closed_until", lambda *_: None)
    ctx.lake.destroy(STD, f"service_date = DATE'{FIRST}'")
    deliver(ctx, FIRST + timedelta(2), [swipe(CARDS[0], FIRST, hour=11)], "late.csv")
    ingest(ctx)
    assert build_passenger_flow.run(ctx) == 1
    assert FIRST not in {row["service_date"] for row in rows(ctx, MART)}, "one row is too few to be shown"


@pytest.mark.long
def test_old_versions_go_where_delta_has_cleaned_its_log_behind_a_vacuum(ctx: JobContext) -> None:
    """A feed that was silent for long: the versions that an earlier VACUUM has seen are not in the log any more."""
    path = Path(ctx.lake.path(RAW))
    shorter = "'delta.logRetentionDuration' = 'interval 7 days', 'delta.checkpointInterval' = '2'"
    ctx.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({shorter})")
    ctx.lake.maintain(RAW)
    for log in (path / "_delta_log").glob("0*"):
        os.utime(log, (0, 0))
    for number in range(3):
        ctx.lake.append(RAW, ctx.lake.read(RAW).limit(0), f"commit {number}")
    assert not (path / "_delta_log" / f"{0:020}.json").exists(), "the log was not cleaned: this shows nothing"
    destroy_due.run(ctx)
    left = b"".join(file.read_bytes() for file in path.rglob("*.parquet"))
    assert str(FIRST).encode() not in left
    assert str(NINTH).encode() in left


def test_destruction_waits_for_a_job_of_the_feed_and_passes_by_the_others(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_ALONE_SECONDS", 0)
    with job.alone(ctx.home, FEED), pytest.raises(job.JobFailed, match="has held shenzhen"):
        destroy_due.run(ctx)
    assert keys(ctx.home) == {f"day_{NINTH}.key"}, "what needs no feed is done"
    assert len(rows(ctx, RAW)) == 3 * len(CARDS) + 1
    assert destroy_due.run(ctx) == 1
    assert len(rows(ctx, RAW)) == len(CARDS)


def test_a_folder_with_a_wrong_name_holds_back_its_feed_alone(ctx: JobContext) -> None:
    ctx = kept_for(ctx, 7)
    wrong = ctx.home.landing / "shenzhen" / "swipe" / "2024-13-01" / "a.csv"
    wrong.parent.mkdir()
    wrong.touch()
    with pytest.raises(job.DataStopped, match="has no business day"):
        destroy_due.run(ctx)
    assert len(rows(ctx, RAW)) == 3 * len(CARDS) + 1
    assert FIRST not in {row["service_date"] for row in rows(ctx, STD)}, "a table behind it was due"
    wrong.unlink()
    assert destroy_due.run(ctx) == 1


def test_what_is_due_is_told_before_it_goes(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(due.sessions, "on_engine", lambda *_: nullcontext(ctx.spark))
    before = everything_under(ctx.home)
    due.show_due(ctx.home)
    keys_line, feed_line, last = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
    assert keys_line == f"window keys 1 keys of days, until {FIRST}"
    assert feed_line == f"window shenzhen.swipe 1 deliveries, 25 records, 1 files, until {FIRST}"
    assert last.startswith(f"2 due, measured from {NINTH}, the newest business day that was accepted.")
    assert everything_under(ctx.home) == before
    # An error that is not ours may quote rows.
    with monkeypatch.context() as patch:
        patch.setattr(due_module, "of_texts", Mock(side_effect=RuntimeError(CARDS[0])))
        with pytest.raises(job.JobFailed, match="RuntimeError") as error:
            due.show_due(ctx.home)
    assert CARDS[0] not in str(error.value)
    assert "shenzhen.swipe" in capsys.readouterr().out
    # What cannot be told of one feed hides nothing else.
    wrong = ctx.home.landing / "shenzhen" / "swipe" / "2024-13-01" / "a.csv"
    wrong.parent.mkdir()
    wrong.touch()
    with pytest.raises(job.DataStopped, match="has no business day"):
        due.show_due(ctx.home)
    assert "1 keys of days" in capsys.readouterr().out
    wrong.unlink()
    assert destroy_due.run(ctx) == 2
    due.show_due(ctx.home)
    assert capsys.readouterr().out.startswith("nothing due")


@pytest.mark.long
def test_rows_of_a_delivery_that_is_under_way_outlive_their_retention(ctx: JobContext) -> None:
    """Killed between its two steps: its records are counted against its rows when it goes on."""
    ctx = kept_for(ctx, 7)
    deliver(ctx, NINTH, [swipe(CARDS[0], FIRST, hour=12)], "late.csv")
    assert (land_deliveries.run(ctx), standardise_deliveries.run(ctx)) == (1, 1)
    destroy_due.run(ctx)
    assert [r["service_date"] for r in rows(ctx, STD) if r["service_date"] == FIRST] == [FIRST]
    assert ingest(ctx) == 1
    destroy_due.run(ctx)
    assert FIRST not in {r["service_date"] for r in rows(ctx, STD)}


@pytest.mark.long
def test_treated_texts_go_with_the_rows_they_are_of(ctx: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the analyser missed in them would outlive its record; so would what an earlier policy let pass."""
    origin, safe = (ctx.catalogue.table(f"{zone}.service_request") for zone in ("fused", "safe"))
    known = {"source_code": "shenzhen", "received_at": datetime(2026, 11, 9, tzinfo=UTC), "received_date": NINTH}
    known |= {"division_code": "440303", "channel_code": "phone"}
    known |= {"request_topic_code": "housing", "request_status_code": "received"}
    for text in ("路灯坏了", "井盖坏了"):
        request = {"request_id": text, "request_number": text, "request_text": text}
        put(ctx, origin.id, known | request)
    desensitise(ctx.lake.read(origin.id), origin, safe, RememberedTexts(ctx.lake)).collect()
    ctx.lake.destroy(origin.id, "request_id = '井盖坏了'")
    with monkeypatch.context() as patch:
        patch.setattr("ronghe.privacy.text.columns.treatment_version", lambda _: "an earlier one")
        desensitise(ctx.lake.read(origin.id), origin, safe, RememberedTexts(ctx.lake)).collect()
    destroy_due.run(ctx)
    assert [row["treated_text"] for row in rows(ctx, MEMORY)] == ["路灯坏了"]
    left = pq.ParquetDataset(ctx.lake.path(MEMORY)).read(["treated_text"])["treated_text"].to_pylist()
    assert left == ["路灯坏了"], "no older version has it"
    assert destroy_due.run(ctx) == 0


def test_no_key_goes_while_a_feed_is_not_declared(ctx: JobContext) -> None:
    """Its window may be longer; declarations of one's own may be missing for a run."""
    others = {name: feed for name, feed in ctx.catalogue.feeds.items() if name != FEED}
    with pytest.raises(job.DataStopped, match=f"deliveries of {FEED}, which nothing declares"):
        destroy_due.run(of(ctx, dataclasses.replace(ctx.catalogue, feeds=others)))
    assert keys(ctx.home) == {f"day_{FIRST}.key", f"day_{NINTH}.key"}


def test_a_delivery_accepted_again_with_equal_counts_is_accepted(ctx: JobContext) -> None:
    """Reopened by a neighbour, with the same result: the ingest comes to an end, and what is built is built anew."""
    ledger = Ledger(ctx.lake, ctx.feed)
    [ninth] = [delivery for delivery in accepted_of(ctx) if delivery.business_date == NINTH]
    before = accepted_states(ctx.lake)
    assert ledger.record([Event(ninth, "reopened", ctx.feed.version)])
    assert ingest(ctx) == 1
    assert last_events_of(ctx, NINTH) == {ninth.content_sha256: "accepted"}
    after = accepted_states(ctx.lake)
    assert {name for name in after if after[name] != before[name]} == {ninth.delivery_id}
    assert ingest(ctx) == 0


def test_ingest_ends_where_a_pass_changes_nothing(ctx: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(ctx, NINTH, [swipe(CARDS[0], NINTH, hour=12)], "b.csv")
    monkeypatch.setattr("ronghe.ingest.deliveries.Ledger.record", lambda *_: False)
    monkeypatch.setattr(ingest_deliveries.land_deliveries, "run", lambda _: 1)
    monkeypatch.setattr(ingest_deliveries.standardise_deliveries, "run", lambda _: 1)
    monkeypatch.setattr("ronghe.ingest.deliveries.Ledger.unclaimed", lambda ledger: tuple(accepted_of(ctx)))
    assert ingest(ctx) == 0


def original(ctx: JobContext) -> tuple[Path, bytes]:
    [path] = (ctx.home.landing / "shenzhen" / "swipe" / FIRST.isoformat()).iterdir()
    return path, path.read_bytes()


def last_events_of(ctx: JobContext, day: date) -> dict[str, str]:
    events = sorted((r for r in rows(ctx, LEDGER) if r["business_date"] == day), key=lambda row: row["recorded_at"])
    return {row["content_sha256"]: row["event_code"] for row in events}


@pytest.mark.long
def test_what_its_source_has_put_back_is_taken_in_before_it_goes(ctx: JobContext) -> None:
    path, content = original(ctx)
    deliver(ctx, FIRST, [swipe("FCA8888888", FIRST)])
    assert ingest(ctx) == 1
    path.write_bytes(content)
    destroy_due.run(ctx)
    assert path.read_bytes() == content
    assert ingest(ctx) == 1
    assert sorted(last_events_of(ctx, FIRST).values()) == ["accepted", "superseded"]
    destroy_due.run(ctx)
    assert not path.exists()
    # Once it has gone it is known, and neither taken in nor kept.
    deliver(ctx, FIRST, [swipe("FCA8888888", FIRST)])
    before = rows(ctx, LEDGER)
    assert (ingest(ctx), rows(ctx, LEDGER)) == (0, before)
    destroy_due.run(ctx)
    assert not path.exists()


# The keys' act is begun first, then the feed's, whose originals are listed by then.
@pytest.mark.parametrize(
    ("moment", "passing"), [("destruction:begun", 1), pytest.param("destruction:aside", 0, marks=pytest.mark.long)]
)
def test_a_correction_that_comes_while_the_older_file_goes_stays(
    moment: str, passing: int, ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = original(ctx)
    passed = count()

    def correct(name: str) -> None:
        if name == moment and next(passed) == passing:
            deliver(ctx, FIRST, [swipe("FCA7777777", FIRST)])

    monkeypatch.setattr("ronghe.retention.destroy.crash_point", correct)
    destroy_due.run(ctx)
    assert b"FCA7777777" in path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert ingest(ctx) == 1


def test_a_file_that_another_feed_has_still_to_read_stays(ctx: JobContext) -> None:
    path, _ = original(ctx)
    other = ctx.feed.model_copy(update={"id": "shenzhen.device"})
    shared = of(ctx, dataclasses.replace(ctx.catalogue, feeds={**ctx.catalogue.feeds, other.id: other}))
    destroy_due.run(shared)
    assert path.exists()
    assert len(rows(ctx, RAW)) == len(CARDS)
    destroy_due.run(ctx)
    assert not path.exists()


@pytest.mark.long
def test_a_restated_delivery_of_a_closed_day_leaves_its_mart_as_it_is(ctx: JobContext) -> None:
    ctx = kept_for(ctx, 8)
    deliver(ctx, NINTH + timedelta(1), [swipe(CARDS[0], NINTH + timedelta(1))])
    ingest(ctx)
    build_passenger_flow.run(ctx)
    before = rows(ctx, MART)
    destroy_due.run(ctx)
    late = NINTH + timedelta(1)
    for record in (swipe(CARDS[0], FIRST, hour=11), swipe(CARDS[0], late, hour=11)):
        deliver(ctx, late, [record], "late.csv")
        assert ingest(ctx) == 1
    assert FIRST in {row["service_date"] for row in rows(ctx, STD)}, (
        "the restated row lies there: the mart could follow it"
    )
    build_passenger_flow.run(ctx)
    assert [r for r in rows(ctx, MART) if r["service_date"] == FIRST] == before


LATER = FIRST + timedelta(2)


@pytest.mark.long
def test_a_record_of_a_day_whose_key_is_gone_stays_in_quarantine(ctx: JobContext) -> None:
    """Its delivery is of a later business day, so that raw has it still; a late key would tell it from its own twin."""
    deliver(ctx, LATER, [swipe(CARDS[0], FIRST, "轻轨入站"), swipe(CARDS[0], LATER, "轻轨入站")])
    ingest(ctx)
    destroy_due.run(ctx)
    repaired = of(dataclasses.replace(ctx, days=Days(LATER, LATER)), with_word(ctx.catalogue, "轻轨入站"))
    assert replay_quarantine.run(repaired) == 1
    held = [row["reasons"] for row in rows(ctx, "meta.quarantine") if row["record"] != "{}"]
    assert held == ["code:swipe_kind_code destroyed:record"]
    assert replay_quarantine.run(repaired) == 0
    assert f"day_{FIRST}.key" not in keys(ctx.home)


@pytest.mark.long
def test_a_delivery_with_a_day_whose_key_is_gone_is_not_reopened(ctx: JobContext) -> None:
    """It has the same record as the one that is restated, and would get another token for it."""
    deliver(ctx, LATER, [swipe(CARDS[0], FIRST), swipe(CARDS[0], LATER)])
    ingest(ctx)
    assert len(rows(ctx, "meta.duplicate")) == 1
    destroy_due.run(ctx)
    deliver(ctx, FIRST, [swipe(CARDS[0], FIRST), swipe(CARDS[1], FIRST)])
    assert ingest(ctx) == 1
    assert set(last_events_of(ctx, LATER).values()) == {"accepted"}
    standing = [r for r in accepted_rows(ctx.lake, STD).collect() if r["service_date"] == FIRST]
    assert len(standing) == 2, "one of them would stand twice"


def test_what_a_killed_landing_left_in_the_store_goes_too(ctx: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_RESTRICTED_LAKE", "s3a://restricted/lake")
    staging = ctx.home.shared_staging(FEED)
    monkeypatch.delenv("RONGHE_RESTRICTED_LAKE")
    folder = stores_in(ctx.home.root / "store", monkeypatch) / staging.removeprefix(stores.SCHEME)
    folder.mkdir(parents=True)
    (folder / "d.parquet").write_text(CARDS[0])
    monkeypatch.setattr(Home, "shared_staging", lambda *_: staging)
    assert destroy_due.run(ctx) == 2
    assert list(folder.iterdir()) == []


def test_records_that_no_delivery_was_recorded_for_go_and_come_again_with_their_file(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A landing was killed between raw and the ledger, and its source took the file away before the next one."""
    path = deliver(ctx, NINTH, [swipe("FCA7777777", NINTH)], "again.csv")
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("ronghe.lake.crash_point", killing(f"{RAW}:after", 1))
        with pytest.raises(Killed):
            land_deliveries.run(ctx)
    path.unlink()
    assert ingest(ctx) == 0
    assert "FCA7777777" in raw_content(ctx)
    destroy_due.run(ctx)
    assert "FCA7777777" not in raw_content(ctx)
    assert ("unrecorded", FEED, "done", 1) in {
        (r["reason_code"], r["subject"], r["state_code"], r["record_count"]) for r in rows(ctx, ACTS)
    }
    path.write_bytes(content)
    assert ingest(ctx) == 1
    assert "FCA7777777" in str(rows(ctx, RAW))


def test_what_was_begun_is_gone_for_every_job(ctx: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when the records are gone and nobody has said that the delivery is."""
    path, content = original(ctx)
    with monkeypatch.context() as patch:
        patch.setattr("ronghe.upkeep.crash_point", killing(f"{RAW}:destroyed", 1))
        with pytest.raises(Killed):
            destroy_due.run(ctx)
    assert not Ledger(ctx.lake, ctx.feed).with_quarantine()
    path.write_bytes(content)
    assert (ingest(ctx), replay_quarantine.run(ctx)) == (0, 0)
    assert destroy_due.run(ctx) == 1
    assert not path.exists()


@pytest.mark.long
def test_killed_at_any_point_and_run_again_it_ends_as_if_undisturbed(
    ctx: JobContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = of(ctx, home=Home(tmp_path / "victim"))
    shutil.copytree(ctx.home.root, victim.home.root)
    destroy_due.run(ctx)
    moments = [(name, 1) for name in POINTS] + [("destruction:ending", 1), ("meta.destruction:after", 1)]
    for name, passing in moments:
        with monkeypatch.context() as patch:
            for module in ("ronghe.retention.destroy", "ronghe.lake", "ronghe.upkeep"):
                patch.setattr(f"{module}.crash_point", killing(name, passing))
            with pytest.raises(Killed):
                destroy_due.run(victim)
    destroy_due.run(victim)
    for table_id in (RAW, STD, "meta.quarantine", "meta.duplicate"):
        assert rows(victim, table_id) == rows(ctx, table_id), table_id
    # What was begun again with what was left has fewer records than what was cut off.
    states = [[(r["subject"], r["state_code"], r["record_count"]) for r in rows(c, ACTS)] for c in (ctx, victim)]
    most = [{(subject, state): count for subject, state, count in sorted(found)} for found in states]
    assert most[0] == most[1]
    begun, done = ({r["destruction_id"] for r in rows(victim, ACTS) if r["state_code"] == s} for s in ("begun", "done"))
    assert begun == done, "what was cut off and begun again with what was left is done too"
    assert keys(victim.home) == keys(ctx.home)
    assert not list((victim.home.landing / "shenzhen" / "swipe" / FIRST.isoformat()).iterdir())


def test_a_day_to_come_closes_no_window(ctx: JobContext) -> None:
    deliver(ctx, date(2062, 1, 1), [swipe(CARDS[0], NINTH)])
    ingest(ctx)
    assert newest_day(ctx.lake, date(2026, 1, 1)) == NINTH
    assert newest_day(ctx.lake, date(2063, 1, 1)) == date(2062, 1, 1)


def test_a_person_can_hold_back_and_not_hasten(ctx: JobContext) -> None:
    asked = dataclasses.replace(ctx, days=Days(FIRST, FIRST))
    assert destroy_due.run(asked) == 0
    assert destroy_due.run(dataclasses.replace(ctx, days=Days(FIRST, FIRST + timedelta(900)))) == 2
    assert keys(ctx.home) == {f"day_{NINTH}.key"}
