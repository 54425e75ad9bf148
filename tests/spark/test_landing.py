"""A landing that is killed at any of its steps and run again lands what an undisturbed one does, and leaves nothing."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import land_deliveries
from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.ledger import LEDGER
from tests.spark.lakes import stores_in
from tests.spark.swipes import FEED, deliver, swipe

pytestmark = pytest.mark.spark

DAY = date(2024, 3, 1)
RAW, STAGING = "raw.shenzhen__swipe", f"s3a://restricted/lake/_staging/{FEED}"
TABLES = (f"{RAW}:before", f"{RAW}:after", f"{LEDGER}:before", f"{LEDGER}:after")
POINTS = ("ingest:fetched", "ingest:staged", "ingest:shared", *TABLES, "ingest:recorded")


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture
def ctx(ctx: JobContext) -> JobContext:
    return replace(ctx, feed_id=FEED)


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> JobContext:
    """A home in which two records were landed by a job that nobody killed."""
    home = Home(tmp_path_factory.mktemp("undisturbed")).make()
    calm = JobContext(home, catalogue(), spark, Lake(home, catalogue(), spark), FEED)
    deliver(calm, DAY, [swipe("FCA0000001", DAY), swipe("FCA0000002", DAY)])
    assert land_deliveries.run(calm) == 1
    return calm


@pytest.fixture
def store(ctx: JobContext, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let staged records be handed over to a store; give what of it lies there."""
    root = stores_in(ctx.home.root / "store", monkeypatch)
    folder = root / STAGING.removeprefix(stores.SCHEME)
    folder.mkdir(parents=True)

    def hand_over(files: tuple[Path, ...], to: str) -> list[str]:
        assert tuple(f"{to}/{file.name}" for file in files) == stores.hand_over(files, to)
        return [str(folder / file.name) for file in files]  # where this Spark finds them

    monkeypatch.setattr(Home, "shared_staging", lambda *_: STAGING)
    monkeypatch.setattr(land_deliveries, "hand_over", hand_over)
    return folder


def killed(ctx: JobContext, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash_point(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        for module in ("jobs.land_deliveries", "ronghe.lake"):
            patch.setattr(f"{module}.crash_point", crash_point)
        with pytest.raises(Killed):
            land_deliveries.run(ctx)


def landed(ctx: JobContext) -> dict[str, list[dict[str, Any]]]:
    found = {table: ctx.lake.rows(table).to_pylist() for table in (RAW, LEDGER)}
    return {table: sorted(({**r, "recorded_at": None} for r in rows), key=str) for table, rows in found.items()}


def left(ctx: JobContext, store: Path) -> list[Path]:
    return [path for folder in (store, ctx.home.staging(FEED)) if folder.exists() for path in folder.iterdir()]


QUICK = ("ingest:shared", "ingest:recorded")


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in QUICK else pytest.mark.long) for point in POINTS]
)
def test_landing_that_was_killed_lands_what_an_undisturbed_one_does(
    point: str, undisturbed: JobContext, ctx: JobContext, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed.home.landing, ctx.home.landing, dirs_exist_ok=True)
    killed(ctx, point, monkeypatch)
    assert land_deliveries.run(ctx) == 1
    assert landed(ctx) == landed(undisturbed)
    assert len(landed(ctx)[RAW]) == 2
    assert left(ctx, store) == []


def test_rejected_file_is_told_though_the_job_is_killed_once_it_is_recorded(
    ctx: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ctx.home.landing / "shenzhen" / "swipe" / DAY.isoformat() / "swipe.csv"
    path.parent.mkdir(parents=True)
    path.write_text("no,such,columns\n1,2,3\n", "utf-8")
    told: list[str] = []
    monkeypatch.setattr(land_deliveries, "notify", lambda notice: told.append(notice.kind))
    killed(ctx, f"{LEDGER}:after", monkeypatch)
    assert [row["event_code"] for row in landed(ctx)[LEDGER]] == ["rejected"]
    assert told == ["delivery_rejected"]


@pytest.mark.parametrize("point", ["ingest:shared", f"{RAW}:after"])
def test_records_of_a_killed_landing_leave_the_store_though_they_are_not_staged_again(
    point: str, ctx: JobContext, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source has put the file right meanwhile, or taken it away."""
    path = deliver(ctx, DAY, [swipe("FCA0000001", DAY)])
    killed(ctx, point, monkeypatch)
    [staged] = store.iterdir()
    assert "FCA0000001" in str(pq.read_table(staged).to_pylist())
    path.unlink()
    assert land_deliveries.run(ctx) == 0
    assert left(ctx, store) == []
