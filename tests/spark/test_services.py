"""Events, service items and requests fused; requests counted; air and water held against limits: on small frames."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.build_service_request import MART as REQUESTS
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.contracts.limits import Limit, LimitSet
from ronghe.fuse import events, service_items, service_requests
from ronghe.livelihood import ecology, parts, service_request
from ronghe.privacy import gate
from ronghe.privacy.keyed_hash import key_frame

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)  # by Beijing time
DEGREES_PER_100_M = 100 / 111_320


def table(spark: SparkSession, table_id: str, *rows: dict[str, Any]) -> DataFrame:
    """Rows of a declared table; what a row leaves out is null."""
    schema = schema_ddl(catalogue().table(table_id))
    names = catalogue().table(table_id).column_names
    assert all(row.keys() <= set(names) for row in rows)
    loose = schema.replace(" NOT NULL", "")
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], loose)


# Events ------------------------------------------------------------------------------------------------------------


RECORD = (
    "source_code STRING, table_name STRING, trust INT, delivery_id STRING, record_number BIGINT, incident_code STRING, "
    "event_kind_code STRING, occurred_at TIMESTAMP, ended_at TIMESTAMP, longitude DOUBLE, latitude DOUBLE, "
    "asset_kind_code STRING, asset_code STRING, "
    "division_code STRING, place_name STRING, updated_date DATE"
)


def records(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    names = [part.split()[0] for part in RECORD.split(", ")]
    usual = {
        "source_code": "shenzhen",
        "table_name": "std.incident",
        "trust": 80,
        "delivery_id": "d1",
        "record_number": 1,
        "incident_code": "A",
        "event_kind_code": "fire",
        "occurred_at": NOON,
        "longitude": 114.0,
        "latitude": 22.5,
        "division_code": "440304",
        "updated_date": NOON.date(),
    }
    return spark.createDataFrame([tuple((usual | row).get(name) for name in names) for row in rows], RECORD)


def places(spark: SparkSession, *found: tuple[str, float | None, float | None, str]) -> tuple[DataFrame, DataFrame]:
    """Places with id, position and name, and the links that name them."""
    rows = [{"place_id": i, "longitude": x, "latitude": y, "source_code": "shenzhen"} for i, x, y, _ in found]
    links = [{"place_id": i, "place_name": name, "source_code": "shenzhen"} for i, _, _, name in found]
    return table(spark, "fused.place", *rows), table(spark, "fused.link_place_source", *links)


def keyed(spark: SparkSession) -> tuple[DataFrame, str]:
    return key_frame(spark, {"k": b"secret"}), "k"


def placed(spark: SparkSession, found: list[tuple[str, float | None, float | None, str]], **known: Any) -> str | None:
    merged = events.merge(records(spark, known), *keyed(spark))
    (row,) = events.with_place(merged, *places(spark, *found), radius_metres=300).collect()
    return row["place_id"]


def test_event_is_at_the_nearest_place_in_reach(spark: SparkSession) -> None:
    near = ("near", 114.0, 22.5 + DEGREES_PER_100_M, "甲")
    far = ("far", 114.0, 22.5 - 2 * DEGREES_PER_100_M, "乙")
    assert placed(spark, [far, near]) == "near"
    assert placed(spark, [("out", 114.0, 22.5 + 3.1 * DEGREES_PER_100_M, "甲")]) is None
    assert placed(spark, [("in", 114.0, 22.5 + 2.9 * DEGREES_PER_100_M, "甲")]) == "in"


@pytest.mark.parametrize("latitude", [22.5, 53.0])
@pytest.mark.parametrize("bearing", [(1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7)])
def test_place_is_found_across_the_edges_of_cells_wherever_it_lies(
    spark: SparkSession, latitude: float, bearing: tuple[float, float]
) -> None:
    east = bearing[0] * 2.9 * DEGREES_PER_100_M / math.cos(math.radians(latitude))
    found = [("plc", 114.0 + east, latitude + bearing[1] * 2.9 * DEGREES_PER_100_M, "甲")]
    assert placed(spark, found, latitude=latitude) == "plc"


def test_event_is_at_the_one_place_of_its_name(spark: SparkSession) -> None:
    here, there = ("here", 113.0, 22.5, "会展中心"), ("there", 112.0, 22.5, "老街")
    assert placed(spark, [here, there], place_name="会展中心 站") == "here"
    beside = ("beside", 114.0, 22.5 + DEGREES_PER_100_M, "老街")
    assert placed(spark, [here, beside], place_name="会展中心") == "here"
    assert placed(spark, [here, there], place_name="会展中心站", longitude=None, latitude=None) == "here"
    assert placed(spark, [here, ("twin", 112.0, 22.5, "会展中心站")], place_name="会展中心") is None
    assert placed(spark, [here, there], place_name="会展") is None
    assert placed(spark, [here], place_name="会展中心", source_code="nanjing") is None


def test_states_of_an_incident_are_one_event_and_the_newest_known_value_stands(spark: SparkSession) -> None:
    first = {"ended_at": None, "event_kind_code": "fire"}
    second = {"updated_date": date(2026, 11, 3), "ended_at": NOON, "event_kind_code": "flood", "longitude": None}
    other = {"table_name": "std.pipe_incident"}
    merged = {
        row["event_id"]: row for row in events.merge(records(spark, first, second, other), *keyed(spark)).collect()
    }
    assert len(merged) == 2
    (row,) = (row for row in merged.values() if row["record_count"] == 2)
    assert (row["event_kind_code"], row["longitude"]) == ("flood", 114.0)
    assert row["ended_at"] is not None


def test_event_has_what_the_contract_asks_and_the_division_of_its_day(spark: SparkSession) -> None:
    division = "division_code STRING, division_name STRING, valid_from_year INT, valid_to_year INT, current_code STRING"
    divisions = spark.createDataFrame([("440304", "福田区", 1990, None, "440304")], division)
    place, links = places(spark, ("p", 114.0, 22.5, "甲"))
    asset = {"source_code": "shenzhen", "asset_kind_code": "gas_pipe", "asset_code": "G1", "asset_id": "ast"}
    others = [asset | {"source_code": "nanjing", "asset_id": "far"}, asset | {"asset_kind_code": "water_pipe"}]
    known = {
        "fused.place": place,
        "fused.link_place_source": links,
        "fused.asset": table(spark, "fused.asset", asset, *others),
        "fused.division": divisions,
    }
    fused = events.fuse(records(spark, {"asset_kind_code": "gas_pipe", "asset_code": "G1"}), known, 300, *keyed(spark))
    assert set(catalogue().table("fused.event").column_names) <= set(fused.columns)
    (row,) = fused.collect()
    assert (row["division_name"], row["place_id"], row["severity_code"]) == ("福田区", "p", None)
    assert row["asset_id"] == "ast"


# Service items and requests ----------------------------------------------------------------------------------------


def test_item_is_one_row_from_the_newest_snapshot_that_knows(spark: SparkSession) -> None:
    attributes = dict.fromkeys(service_items.ATTRIBUTES)
    schema = "item_code STRING, source_code STRING, trust INT, delivery_id STRING, record_number BIGINT, "
    schema += "updated_date DATE, " + ", ".join(f"{name} STRING" for name in attributes)

    def row(source: str, day: int, **known: str | None) -> tuple[Any, ...]:
        given = attributes | known
        return ("000114001000", source, 70, f"d{day}", 1, date(2026, 11, day), *given.values())

    found = spark.createDataFrame(
        [row("a", 2, item_name="旧", promised_days="5"), row("b", 9, item_name="新"), row("a", 9, item_name=None)],
        schema,
    )
    (merged,) = service_items.merge(found).collect()
    assert (merged["item_name"], merged["promised_days"]) == ("新", "5")
    assert (merged["source_count"], merged["record_count"]) == (2, 3)


def request(code: str = "A", hour: float = 0, **known: Any) -> dict[str, Any]:
    return {
        "source_code": "shenzhen",
        "request_number": code,
        "updated_at": NOON + timedelta(hours=hour),
        "received_at": NOON,
        "received_date": NOON.date(),
        "request_topic_code": "noise",
        "item_code": "000114001000",
        "division_code": "440304",
        "request_text": "请回电",
        "requester_token": f"token {code}",
        "request_status_code": "received",
        "delivery_id": "d1",
        "record_number": 1,
        **known,
    }


def test_request_is_one_row_in_its_newest_state_keyed_to_what_is_known(spark: SparkSession) -> None:
    requests = table(
        spark,
        "std.service_request",
        request(hour=30, request_status_code="answered", answered_at=NOON + timedelta(hours=29.5), delivery_id="d0"),
        request(hour=1),
        request("B", item_code="999999999999", answered_at=NOON - timedelta(hours=1)),
    )
    items = table(spark, "fused.service_item", {"item_code": "000114001000"})
    divisions = table(spark, "fused.division")
    keys = key_frame(spark, {"k": b"secret"})
    fused = service_requests.fuse(requests, items, divisions, keys, "k")
    assert set(catalogue().table("fused.service_request").column_names) <= set(fused.columns)
    assert not {"requester_name", "requester_token", "address"} & set(fused.columns)
    found = {row["request_number"]: row for row in fused.collect()}
    assert (found["A"]["request_status_code"], str(found["A"]["hours_to_answer"])) == ("answered", "29.50")
    assert (found["A"]["item_code"], found["B"]["item_code"]) == ("000114001000", None)
    assert found["B"]["hours_to_answer"] is None, "an answer before the question is no answer"
    again = service_requests.fuse(requests, items, divisions, key_frame(spark, {"k": b"other"}), "k").collect()
    assert {row["request_id"] for row in again}.isdisjoint(row["request_id"] for row in found.values())


def test_contribution_counts_a_request_once_under_the_token_it_came_with(spark: SparkSession) -> None:
    requests = table(
        spark,
        "std.service_request",
        request(
            hour=200, requester_token="late", answered_at=NOON + timedelta(hours=200), request_topic_code="housing"
        ),
        request(),
    )
    (row,) = service_request.contributions(requests).collect()
    assert row.asDict() == {
        "source_code": "shenzhen",
        "received_date": NOON.date(),
        "city_code": "440300",
        "county_code": "440304",
        "request_topic_code": "housing",
        "requester_token": "token A",
        "hours_to_answer": 200.0,
    }


def test_an_answer_under_another_day_of_receipt_builds_the_first_ones_day_again(spark: SparkSession) -> None:
    later = NOON + timedelta(days=1)
    requests = table(
        spark,
        "std.service_request",
        request(delivery_id="first"),
        request(hour=30, delivery_id="answer", received_date=later.date(), answered_at=later),
        request("other", delivery_id="first"),
    )
    found = parts.touched(requests, service_request.REQUEST, REQUESTS.part_column)
    assert {tuple(row) for row in found.collect()} == {
        (day, delivery) for day in (NOON.date(), later.date()) for delivery in ("first", "answer")
    }


def shown(spark: SparkSession, answered: int, waiting: int) -> tuple[Any, ...]:
    """What one cell tells of so many persons answered after two hours and so many who wait."""
    policy = gate.GatePolicy.model_validate(catalogue().table("mart.service_request").gate)
    rows = [request(f"a{n}", 2, answered_at=NOON + timedelta(hours=2)) for n in range(answered)]
    rows += [request(f"w{n}") for n in range(waiting)]
    counted = service_request.contributions(table(spark, "std.service_request", *rows))
    found = REQUESTS.as_table(gate.publish(gate.assign(counted, policy), policy, REQUESTS.measures)).collect()
    (row,) = found
    assert (row["grain_code"], row["division_code"]) == ("county", "440304")
    return (row["request_count"], row["answered_count"], row["mean_hours_to_answer"])


def test_figures_about_the_answered_are_told_only_where_they_tell_of_many(spark: SparkSession) -> None:
    assert shown(spark, 12, 12) == (24, 12, 2.0)
    assert shown(spark, 12, 0) == (12, 12, 2.0)
    assert shown(spark, 0, 12) == (12, 0, None)
    assert shown(spark, 12, 3) == (15, None, 2.0)
    assert shown(spark, 3, 12) == (15, None, None)


def test_answered_need_as_many_persons_as_the_gate_asks_for() -> None:
    policy = catalogue().table("mart.service_request").gate
    assert policy is not None
    assert policy.minimum_count == service_request.MINIMUM_COUNT


# Ecology -----------------------------------------------------------------------------------------------------------

MIDNIGHT = datetime(2026, 11, 1, 16, 0, tzinfo=UTC)  # of 2 November by Beijing time
LIMITS = LimitSet(
    id="test",
    name_zh="试",
    source="test",
    version="1",
    place_kind_code="air_station",
    readings_per_day=24,
    limits=(
        Limit(indicator_code="pm2_5", unit="ug/m3", statistic="mean", maximum=75, least_readings=20),
        Limit(indicator_code="o3", unit="ug/m3", statistic="largest_8h_mean", maximum=160, least_readings=14),
        Limit(indicator_code="ph", unit="[pH]", statistic="mean", minimum=6, maximum=9, least_readings=1),
    ),
)


def day_of(spark: SparkSession, indicator: str, values: dict[int, float | None], flag: str = "valid") -> dict[str, Any]:
    """The figures of 2 November from values by the hour of the day."""
    station = {"source_code": "guiyang", "place_kind_code": "air_station", "place_code": "1", "place_name": "甲"}
    rows = [
        {
            **station,
            "indicator_code": indicator,
            "measured_at": MIDNIGHT + timedelta(hours=hour),
            "reading_value": value,
            "reading_flag_code": flag,
        }
        for hour, value in values.items()
    ]
    rows = [
        row | {"reading_value": None if row["reading_value"] is None else Decimal(str(row["reading_value"]))}
        for row in rows
    ]
    links = table(spark, "fused.link_place_source", {**station, "place_id": "plc"})
    readings = ecology.by_day(table(spark, "std.environment_reading", *rows))
    found = ecology.figures(readings, links, ecology.limit_frame(spark, [LIMITS]))
    (row,) = (r for r in found.collect() if r["reading_date"] == date(2026, 11, 2))
    return row.asDict()


def test_day_is_beijings_and_its_mean_is_held_against_the_limit(spark: SparkSession) -> None:
    found = day_of(spark, "pm2_5", {-1: 999, **dict.fromkeys(range(24), 75.0), 24: 999})
    assert (found["reading_count"], float(found["mean_value"]), found["is_exceeded"]) == (24, 75.0, False)
    found = day_of(spark, "pm2_5", dict.fromkeys(range(24), 75.1))
    assert (found["is_exceeded"], found["unit_code"], found["upper_limit"], found["lower_limit"]) == (
        True,
        "ug/m3",
        75,
        None,
    )


def test_day_with_too_few_valid_readings_is_not_judged(spark: SparkSession) -> None:
    twenty = day_of(spark, "pm2_5", {**dict.fromkeys(range(20), 80.0), 20: None})
    assert (twenty["is_exceeded"], twenty["valid_count"], twenty["reading_count"]) == (True, 20, 21)
    nineteen = day_of(spark, "pm2_5", dict.fromkeys(range(19), 80.0))
    assert (nineteen["is_exceeded"], nineteen["assessed_value"], float(nineteen["mean_value"])) == (None, None, 80.0)
    assert round(nineteen["valid_share"], 4) == round(19 / 24, 4)
    flagged = day_of(spark, "pm2_5", dict.fromkeys(range(24), 80.0), flag="calibration")
    assert (flagged["valid_count"], flagged["mean_value"], flagged["is_exceeded"]) == (0, None, None)


def test_ozone_is_judged_by_its_worst_eight_hours(spark: SparkSession) -> None:
    calm = dict.fromkeys(range(24), 100.0)
    found = day_of(spark, "o3", calm | dict.fromkeys(range(10, 18), 161.0))
    assert (float(found["assessed_value"]), found["is_exceeded"]) == (161.0, True)
    found = day_of(spark, "o3", calm | dict.fromkeys(range(10, 17), 161.0))
    assert (float(found["assessed_value"]), found["is_exceeded"]) == (153.375, False)
    # Eight hours that reach into the next day are the next day's: 17 such means end inside this one.
    found = day_of(spark, "o3", calm | dict.fromkeys((21, 22, 23, 24, 25), 500.0))
    assert float(found["assessed_value"]) == pytest.approx(250.0)
    # Hours 0 to 11 leave seven means of at least six readings: fewer than 14.
    found = day_of(spark, "o3", dict.fromkeys(range(12), 160.0))
    assert (found["assessed_value"], found["is_exceeded"]) == (None, None)
    # What is over the limit is over it, however little was measured.
    found = day_of(spark, "o3", dict.fromkeys(range(12), 161.0))
    assert (float(found["assessed_value"]), found["is_exceeded"]) == (161.0, True)


def test_limit_may_have_a_lower_end(spark: SparkSession) -> None:
    assert [day_of(spark, "ph", {0: value})["is_exceeded"] for value in (5.9, 6.0, 9.0, 9.1)] == [
        True,
        False,
        False,
        True,
    ]


def test_indicator_without_a_limit_has_no_figure(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="unpack"):
        day_of(spark, "so2", {0: 1.0})
