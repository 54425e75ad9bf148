"""Public assets and the pipe network mart: who owns what where, and what happens to it on which day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import build_pipe_network, fuse_assets
from ronghe.job import JobContext
from ronghe.livelihood import pipe_network
from tests.oracles.pipe_network import pipe_network_faults
from tests.spark.lakes import accept, put, put_divisions

pytestmark = pytest.mark.spark

DAY = date(2026, 11, 2)
MIDNIGHT = datetime(2026, 11, 1, 16, tzinfo=UTC)  # of that day in Nanjing
ASSETS, INCIDENTS = "nanjing.pipe_asset", "nanjing.pipe_incident"


def segment(code: str, length: int = 1000, **known: Any) -> dict[str, Any]:
    return {
        "source_code": "nanjing",
        "asset_kind_code": "water_pipe",
        "asset_code": code,
        "snapshot_date": DAY,
        "length_m": Decimal(length),
        "division_code": "320103",
        "from_longitude": 118.0,
        "to_longitude": 118.5,
        "from_latitude": 32.0,
        "to_latitude": 32.25,
        "delivery_id": "a1",
        "record_number": 1,
        **known,
    }


def incident(code: str, hour: float = 8, repaired: float | None = None, **known: Any) -> dict[str, Any]:
    """An incident reported so many hours into the day, and repaired so many hours later."""
    at = MIDNIGHT + timedelta(hours=hour)
    return {
        "source_code": "nanjing",
        "incident_code": code,
        "published_date": DAY,
        "incident_kind_code": "leak",
        "severity_code": "minor",
        "occurred_at": at,
        "ended_at": None if repaired is None else at + timedelta(hours=repaired),
        "asset_kind_code": "water_pipe",
        "division_code": "320104",
        "delivery_id": "i1",
        "record_number": 1,
        **known,
    }


@pytest.fixture
def ctx(ctx: JobContext) -> JobContext:
    put_divisions(ctx, "32")
    accept(ctx, ASSETS, "a1", "a2")
    accept(ctx, INCIDENTS, "i1", "i2")
    return ctx


def fused(ctx: JobContext) -> dict[tuple[str, str], dict[str, Any]]:
    rows = ctx.lake.rows("fused.asset").to_pylist()
    found = {(row["asset_kind_code"], row["asset_code"]): row for row in rows}
    assert len(found) == len(rows) == len({row["asset_id"] for row in rows})
    return found


# Public assets -----------------------------------------------------------------------------------------------------


def test_asset_is_its_newest_state_and_forgets_nothing_it_knew(ctx: JobContext) -> None:
    put(
        ctx,
        "std.pipe_asset",
        segment("1", 100, material_code="steel", built_year=1987),
        segment("1", 120, snapshot_date=DAY + timedelta(7), delivery_id="a2"),
        segment("1", 999, snapshot_date=DAY + timedelta(14), delivery_id="not accepted"),
        segment("1", 7, asset_kind_code="gas_pipe"),
    )
    assert fuse_assets.run(ctx) == 1
    found = fused(ctx)
    water = found["water_pipe", "1"]
    names = ("length_m", "material_code", "built_year", "updated_date", "record_count", "longitude", "latitude")
    assert tuple(water[name] for name in names) == (120, "steel", 1987, DAY + timedelta(7), 2, 118.25, 32.125)
    assert found["gas_pipe", "1"]["length_m"] == 7


def test_asset_lies_in_the_division_of_today(ctx: JobContext) -> None:
    put(ctx, "std.pipe_asset", segment("1"), segment("2", division_code="320115"))
    fuse_assets.run(ctx)
    places = {
        code: (row["division_code"], row["division_name"], row["current_division_code"])
        for (_, code), row in fused(ctx).items()
    }
    assert places == {"1": ("320103", "白下区", "320104"), "2": ("320115", "江宁区", "320115")}


def test_owner_is_the_organisation_that_any_source_knows(ctx: JobContext) -> None:
    known = {"organisation_id": "org_1", "uscc": "91320104AA00001148", "record_count": 1, "link_rule_code": "uscc"}
    for source, table in (("nanjing", "std.social_security_account"), ("guiyang", "std.organisation")):
        put(ctx, "fused.link_organisation_source", known | {"source_code": source, "table_name": table})
    put(
        ctx,
        "std.pipe_asset",
        segment("1", owner_uscc="91320104AA00001148"),
        segment("2", owner_uscc="91320102AA000005EQ"),
        segment("3"),
    )
    fuse_assets.run(ctx)
    owners = {code: row["owner_organisation_id"] for (_, code), row in fused(ctx).items()}
    assert owners == {"1": "org_1", "2": None, "3": None}


def test_ids_outlive_new_states_and_tell_nothing_of_the_code(ctx: JobContext) -> None:
    put(ctx, "std.pipe_asset", segment("GS-1"))
    assert (fuse_assets.run(ctx), fuse_assets.run(ctx)) == (1, 0)
    before = fused(ctx)["water_pipe", "GS-1"]["asset_id"]
    put(ctx, "std.pipe_asset", segment("GS-1", 5, snapshot_date=DAY + timedelta(7), delivery_id="a2"))
    accept(ctx, ASSETS, "a3")
    assert fuse_assets.run(ctx) == 1
    assert fused(ctx)["water_pipe", "GS-1"]["asset_id"] == before
    assert before.startswith("ast_")
    assert "GS" not in before
    assert len(before) == 36


def test_positions_and_codes_of_lifelines_do_not_cross(ctx: JobContext) -> None:
    crossing = set(ctx.catalogue.table("safe.asset").column_names)
    assert not crossing & {"longitude", "latitude", "asset_code"}
    assert {"asset_id", "owner_organisation_id", "length_m"} <= crossing


# The mart ----------------------------------------------------------------------------------------------------------


def shown(ctx: JobContext) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """(division, kind, day of the month) -> incidents, repaired, mean hours, km, rate."""
    names = ("incident_count", "repaired_count", "mean_repair_hours", "network_km", "incidents_per_100_km")
    return {
        (row["division_code"], row["asset_kind_code"], f"{row['event_date']:%d}"): tuple(row[name] for name in names)
        for row in ctx.lake.rows("mart.pipe_network").to_pylist()
    }


def test_incidents_are_counted_by_their_local_day_over_the_network(ctx: JobContext) -> None:
    put(ctx, "std.pipe_asset", segment("1", 1500), segment("2", 500, division_code="320104"))
    put(ctx, "std.pipe_asset", segment("3", 250, asset_kind_code="gas_pipe", division_code="320105"))
    fuse_assets.run(ctx)
    put(
        ctx,
        "std.pipe_incident",
        incident("first minute", 0, 2),
        incident("last minute", 23.99, 5, severity_code="serious", division_code="320103"),
        incident("open", severity_code="extreme"),
        incident("next day", 24),
        incident("no network", asset_kind_code="heat_pipe"),
        incident("not accepted", delivery_id="other"),
    )
    assert build_pipe_network.run(ctx) == 2
    assert shown(ctx) == {
        ("320104", "water_pipe", "02"): (3, 2, 3.5, 2, 150.0),
        ("320104", "heat_pipe", "02"): (1, 0, None, None, None),
        ("320105", "gas_pipe", "02"): (0, 0, None, Decimal("0.25"), 0.0),
        ("320104", "water_pipe", "03"): (1, 0, None, 2, 50.0),
        ("320105", "gas_pipe", "03"): (0, 0, None, Decimal("0.25"), 0.0),
    }
    (row,) = ctx.lake.read("mart.pipe_network").where("incident_count = 3").collect()
    assert [row[f"{name}_count"] for name in ("minor", "major", "serious", "extreme")] == [1, 0, 1, 1]
    assert pipe_network_faults(ctx.home) == []


def test_state_published_last_stands_and_its_day_is_built_again(ctx: JobContext) -> None:
    put(ctx, "std.pipe_incident", incident("1"), incident("2", 30))
    assert (build_pipe_network.run(ctx), build_pipe_network.run(ctx)) == (2, 0)
    later = {"published_date": DAY + timedelta(3), "delivery_id": "i2"}
    put(ctx, "std.pipe_incident", incident("1", 8, 50, **later))
    assert build_pipe_network.run(ctx) == 1
    assert shown(ctx)["320104", "water_pipe", "02"][:3] == (1, 1, 50.0)
    assert pipe_network_faults(ctx.home) == []


def test_incident_that_moved_to_another_day_is_counted_once(ctx: JobContext) -> None:
    put(ctx, "std.pipe_asset", segment("1"))
    fuse_assets.run(ctx)
    put(ctx, "std.pipe_incident", incident("1"))
    build_pipe_network.run(ctx)
    put(ctx, "std.pipe_incident", incident("1", 32, published_date=DAY + timedelta(3), delivery_id="i2"))
    assert build_pipe_network.run(ctx) == 2
    assert {day: row[0] for (_, _, day), row in shown(ctx).items()} == {"02": 0, "03": 1}
    assert pipe_network_faults(ctx.home) == []


def test_days_are_built_again_when_the_network_grew(ctx: JobContext) -> None:
    put(ctx, "std.pipe_asset", segment("1"))
    fuse_assets.run(ctx)
    put(ctx, "std.pipe_incident", incident("1"))
    build_pipe_network.run(ctx)
    put(ctx, "std.pipe_asset", segment("2", 3000, delivery_id="a2"))
    accept(ctx, ASSETS, "a3")
    fuse_assets.run(ctx)
    assert build_pipe_network.run(ctx) == 1
    assert shown(ctx)["320104", "water_pipe", "02"] == (1, 0, None, 4, 25.0)


def test_recount_finds_what_is_wrong(ctx: JobContext) -> None:
    put(ctx, "std.pipe_incident", incident("1", repaired=1))
    build_pipe_network.run(ctx)
    for number, name in enumerate(("incident_count", "repaired_count", "mean_repair_hours")):
        wrong = ctx.lake.read("mart.pipe_network").withColumn(name, F.col(name) + 1).localCheckpoint()
        ctx.lake.replace("mart.pipe_network", wrong, f"wrong {number}")
        assert len(pipe_network_faults(ctx.home)) == 2
    ctx.lake.replace("mart.pipe_network", wrong.where("false"), "empty")
    assert "mart.pipe_network is empty" in pipe_network_faults(ctx.home)


def test_no_source_in_force_may_have_incidents(spark: SparkSession) -> None:
    states = spark.createDataFrame([], "source_code STRING, occurred_at TIMESTAMP")
    assert pipe_network.dated(states, {}).count() == 0
