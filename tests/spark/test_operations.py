"""The jobs of operations over the engine: inputs of the night, releases; each run twice."""

import dataclasses
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import maintain_lake, record_inputs, release_extracts
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.job import DataStopped, JobContext
from ronghe.lake import Lake
from tests.open_tables import COMPANY, PLACE, TRADER

pytestmark = pytest.mark.spark


@pytest.fixture
def ctx(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobContext:
    monkeypatch.delenv("RONGHE_WEBHOOK_URL", raising=False)
    home, found = Home(tmp_path).make(), catalogue()
    found = dataclasses.replace(found, extracts={"organisations": found.extract("organisations")})
    return JobContext(home, found, spark, Lake(home, found, spark))


def put(lake: Lake, table_id: str, rows: list[dict[str, Any]], mark: str) -> None:
    names = lake.catalogue.table(table_id).column_names
    whole = [{name: row.get(name) for name in names} for row in rows]
    lake.replace(table_id, lake.spark.createDataFrame(whole, schema_ddl(lake.catalogue.table(table_id))), mark)


def test_inputs_of_the_night_are_recorded_once(ctx: JobContext) -> None:
    feed = next(iter(ctx.catalogue.feeds.values()))
    event = {
        "delivery_id": "d",
        "event_code": "accepted",
        "feed_id": feed.id,
        "source_code": feed.source_code,
        "business_date": date(2026, 11, 22),
        "path": "p",
        "content_sha256": "h",
        "byte_count": 1,
        "contract_version": "1.0.0",
        "recorded_at": datetime(2026, 11, 23, tzinfo=UTC),
    }
    put(ctx.lake, "meta.delivery", [event], "one")
    assert record_inputs.run(ctx) == len(ctx.catalogue.feeds)
    assert record_inputs.run(ctx) == 0
    rows = ctx.lake.rows("meta.night_input").to_pylist()
    assert {row["feed_id"]: row["is_late"] for row in rows} == {f: f != feed.id for f in ctx.catalogue.feeds}
    assert (ctx.home.metrics / "ronghe.prom").is_file()
    assert ctx.lake.accesses.written["meta.night_input"] >= 0


def test_release_goes_up_once_and_stays_when_the_next_is_unsound(
    ctx: JobContext, caplog: pytest.LogCaptureFixture
) -> None:
    assert release_extracts.run(ctx) == 0
    put(ctx.lake, "safe.organisation", [COMPANY, TRADER], "one")
    assert release_extracts.run(ctx) == 1
    assert release_extracts.run(ctx) == 0
    ctx.lake.maintain("safe.organisation")
    assert release_extracts.run(ctx) == 0
    current = ctx.home.releases / "organisations" / "current.json"
    up = current.read_text("utf-8")
    assert json.loads(up)["release_number"] == 1
    assert (ctx.home.releases / "organisations.sqlite").is_file()
    [row] = ctx.lake.rows("meta.release").to_pylist()
    assert row["release_id"] == json.loads(up)["release_id"]

    put(ctx.lake, "safe.organisation", [COMPANY, {**TRADER, "uscc": "92520103MA000001A4"}], "two")
    with pytest.raises(DataStopped, match="uscc: 1 values are not as 'replace'"):
        release_extracts.run(ctx)
    assert current.read_text("utf-8") == up
    assert "release_failed: organisations" in caplog.text
    assert "92520103MA000001A4" not in caplog.text


def test_release_waits_while_a_check_that_must_hold_does_not(ctx: JobContext) -> None:
    put(ctx.lake, "safe.organisation", [COMPANY, COMPANY], "twice")
    with pytest.raises(DataStopped, match=r"organisations held back: safe\.organisation"):
        release_extracts.run(ctx)
    assert not (ctx.home.releases / "organisations" / "current.json").exists()


def test_a_damaged_table_keeps_no_other_from_being_maintained(ctx: JobContext) -> None:
    put(ctx.lake, "safe.organisation", [COMPANY], "one")
    put(ctx.lake, "safe.place", [PLACE], "one")
    (Path(ctx.lake.path("safe.organisation")) / "_delta_log" / f"{1:020}.json").write_text("no JSON")
    left = Path(ctx.lake.path("safe.place")) / "part-of-a-write-that-failed.parquet"
    left.touch()
    os.utime(left, (0, 0))
    before = ctx.lake.size("safe.place")
    with pytest.raises(Exception, match="organisation"):
        maintain_lake.run(ctx)
    assert not left.exists()
    assert ctx.lake.size("safe.place") == before, "a commit a day would have Delta clean the log of what was written"
