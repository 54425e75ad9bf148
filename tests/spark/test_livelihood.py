"""The livelihood marts: what is counted, which parts are due, and the trail of what was shown."""

import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.build_passenger_flow import MART as FLOW
from jobs.build_social_security import MART as ACCOUNTS
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.job import Days
from ronghe.lake import Lake
from ronghe.livelihood import parts, passenger_flow, social_security
from ronghe.privacy import gate

pytestmark = pytest.mark.spark

DAY = date(2026, 11, 2)
NEXT = DAY + timedelta(1)
MORNING = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)  # eight o'clock in Shenzhen

SWIPES = (
    "source_code STRING, card_token STRING, swiped_at TIMESTAMP, swipe_kind_code STRING, service_date DATE, "
    "place_code STRING, place_name STRING, delivery_id STRING"
)
LINKS = "place_id STRING, source_code STRING, place_kind_code STRING, place_code STRING, place_name STRING"
ACCOUNT = (
    "source_code STRING, person_token STRING, scheme_code STRING, contribution_month DATE, settled_at TIMESTAMP, "
    "division_code STRING, employer_cny DECIMAL(18,2), individual_cny DECIMAL(18,2), delivery_id STRING, "
    "record_number BIGINT"
)


def frame(spark: SparkSession, schema: str, rows: list[dict[str, Any]]) -> DataFrame:
    names = [part.split()[0] for part in schema.split(", ")]
    assert all(row.keys() <= set(names) for row in rows)
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], schema)


def swipe(card: str | None = "A", minute: int = 0, **known: Any) -> dict[str, Any]:
    """An entry at station 1 so many minutes after eight o'clock."""
    return {
        "source_code": "shenzhen",
        "card_token": card,
        "swiped_at": MORNING + timedelta(minutes=minute),
        "swipe_kind_code": "metro_in",
        "service_date": DAY,
        "place_code": "1",
        "place_name": "深圳北站",
        "delivery_id": "d1",
        **known,
    }


def station(place_id: str, code: str | None, name: str | None, kind: str = "metro_station") -> dict[str, Any]:
    return {
        "place_id": place_id,
        "source_code": "shenzhen",
        "place_kind_code": kind,
        "place_code": code,
        "place_name": name,
    }


PLACES = [
    station("plc_1", "1", "深圳北站"),
    station("plc_1", "1", None),
    station("plc_2", None, "车公庙"),
    station("plc_0", None, None),
    station("plc_b", "1", "深圳北站", "bus_stop"),
    {**station("plc_n", "1", "深圳北站"), "source_code": "nanjing"},
]


def flow(spark: SparkSession, *swipes: dict[str, Any]) -> DataFrame:
    return passenger_flow.contributions(frame(spark, SWIPES, list(swipes)), frame(spark, LINKS, PLACES))


# Contributions of passenger flow -----------------------------------------------------------------------------------


def test_swipe_finds_its_place_by_code_and_name_also_where_they_are_missing(spark: SparkSession) -> None:
    found = flow(
        spark,
        swipe("both"),
        swipe("code only", place_name=None),
        swipe("name only", place_code=None, place_name="车公庙"),
        swipe("neither", place_code=None, place_name=None),
        swipe("bus", swipe_kind_code="bus_in"),
        swipe("elsewhere", source_code="nanjing"),
        swipe("unknown", place_name="深圳北"),
    )
    assert {row["card_token"]: row["place_id"] for row in found.collect()} == {
        "both": "plc_1",
        "code only": "plc_1",
        "name only": "plc_2",
        "neither": "plc_0",
        "bus": "plc_b",
        "elsewhere": "plc_n",
    }


def test_swipe_counts_once_where_several_names_link(spark: SparkSession) -> None:
    assert flow(spark, swipe(), swipe(place_name=None), swipe(place_code=None, place_name="车公庙")).count() == 3


def test_direction_is_in_but_for_exits_and_buses_know_no_exit(spark: SparkSession) -> None:
    kinds = ["metro_in", "metro_out", "bus_in"]
    found = flow(spark, *(swipe(kind, swipe_kind_code=kind) for kind in kinds)).collect()
    assert {row["card_token"]: (row["place_kind_code"], row["direction"]) for row in found} == {
        "metro_in": ("metro_station", "in"),
        "metro_out": ("metro_station", "out"),
        "bus_in": ("bus_stop", "in"),
    }


def test_slots_are_quarters_and_hours_of_utc(spark: SparkSession) -> None:
    minutes = {"first": 0, "last of the quarter": 14.99, "next quarter": 15, "last of the hour": 59.99, "next hour": 60}
    swipes = [swipe(name, swiped_at=MORNING + timedelta(minutes=m)) for name, m in minutes.items()]
    found = flow(spark, *swipes).select(
        "card_token", *(F.unix_seconds(name).alias(name) for name in ("hour_at", "quarter_at"))
    )
    slots = {
        row["card_token"]: tuple((row[n] - int(MORNING.timestamp())) // 60 for n in ("hour_at", "quarter_at"))
        for row in found.collect()
    }
    assert slots == {
        "first": (0, 0),
        "last of the quarter": (0, 0),
        "next quarter": (0, 15),
        "last of the hour": (0, 45),
        "next hour": (60, 60),
    }


def test_contributions_carry_what_the_gate_reads_and_nothing_of_the_card_but_its_token(spark: SparkSession) -> None:
    policy = gate.GatePolicy.model_validate(catalogue().table("mart.passenger_flow").gate)
    assert set(flow(spark, swipe()).columns) == set(policy.columns)


# Contributions of social security ----------------------------------------------------------------------------------


def account(person: str = "P", hour: int = 0, **known: Any) -> dict[str, Any]:
    return {
        "source_code": "nanjing",
        "person_token": person,
        "scheme_code": "210",
        "contribution_month": date(2026, 10, 1),
        "settled_at": MORNING + timedelta(hours=hour),
        "division_code": "320104",
        "employer_cny": Decimal("25.00"),
        "individual_cny": Decimal("12.50"),
        "delivery_id": "d1",
        "record_number": 1,
        **known,
    }


def contributions(spark: SparkSession, *accounts: dict[str, Any]) -> list[dict[str, Any]]:
    return [row.asDict() for row in social_security.contributions(frame(spark, ACCOUNT, list(accounts))).collect()]


def test_the_contribution_settled_last_stands(spark: SparkSession) -> None:
    found = contributions(
        spark,
        account(hour=2, division_code="320106", employer_cny=Decimal(30), individual_cny=Decimal(15)),
        account(hour=1, delivery_id="d9", employer_cny=Decimal(99)),
        account(hour=0),
    )
    assert found == [
        {
            "source_code": "nanjing",
            "scheme_code": "210",
            "contribution_month": date(2026, 10, 1),
            "province_code": "320000",
            "city_code": "320100",
            "county_code": "320106",
            "person_token": "P",
            "employer_cny": Decimal("30.00"),
            "individual_cny": Decimal("15.00"),
        }
    ]


def test_of_contributions_settled_together_the_last_delivered_stands(spark: SparkSession) -> None:
    amounts = {("d1", 9): 1, ("d2", 1): 2, ("d2", 2): 3}
    rows = [account(delivery_id=d, record_number=n, employer_cny=Decimal(a)) for (d, n), a in amounts.items()]
    assert [row["employer_cny"] for row in contributions(spark, *rows)] == [Decimal(3)]


@pytest.mark.parametrize(
    "other", [{"scheme_code": "310"}, {"contribution_month": date(2026, 9, 1)}, {"person_token": "Q"}], ids=str
)
def test_another_person_scheme_or_month_is_another_contribution(spark: SparkSession, other: dict[str, Any]) -> None:
    assert len(contributions(spark, account(), account(hour=1, **other))) == 2


def test_account_contributions_carry_what_the_gate_reads(spark: SparkSession) -> None:
    policy = gate.GatePolicy.model_validate(catalogue().table("mart.social_security").gate)
    assert set(contributions(spark, account())[0]) == {*policy.columns, "employer_cny", "individual_cny"}


# Which parts are due -----------------------------------------------------------------------------------------------


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(Home(tmp_path).make(), catalogue(), spark)


def due(lake: Lake, swipes: list[dict[str, Any]], basis: str = "links", days: Days | None = None) -> dict[str, str]:
    return parts.due_parts(lake, FLOW, frame(lake.spark, SWIPES, swipes), basis, days)


def settle(lake: Lake, states: dict[str, str], mart: parts.GatedMart = FLOW) -> None:
    """Leave what a build of these parts leaves: a table of the mart, and the audit at its end."""
    if not lake.exists(mart.table_id):
        lake.append(mart.table_id, lake.read(mart.table_id), "made")
    rows = [(mart.table_id, part, state, "day", 10, 1, 1) for part, state in states.items()]
    frame = lake.spark.createDataFrame(rows, schema_ddl(lake.catalogue.table(parts.AUDIT)))
    lake.append(parts.AUDIT, frame, f"{mart.table_id} {states}")


def test_parts_are_due_once_and_again_when_what_is_behind_them_changed(lake: Lake) -> None:
    swipes = [swipe(), swipe(service_date=NEXT)]
    first = due(lake, swipes)
    assert list(first) == ["2026-11-02", "2026-11-03"]
    settle(lake, first)
    assert due(lake, swipes) == {}

    late = [*swipes, swipe("late", delivery_id="d2")]
    assert list(due(lake, late)) == ["2026-11-02"]
    settle(lake, due(lake, late))
    assert due(lake, late) == {}

    assert list(due(lake, late, basis="other links")) == ["2026-11-02", "2026-11-03"]
    settle(lake, due(lake, late, basis="other links"))
    assert due(lake, late, basis="other links") == {}


def test_parts_are_due_when_a_change_is_taken_back(lake: Lake) -> None:
    """The mart shows what was built last, not what was built at any time."""
    states = []
    for basis in ("one", "two", "one", "two"):
        state = due(lake, [swipe()], basis)
        assert list(state) == ["2026-11-02"]
        settle(lake, state)
        assert due(lake, [swipe()], basis) == {}
        states += state.values()
    assert len(set(states)) == 4


def test_parts_are_due_among_the_days_asked_for_only(lake: Lake) -> None:
    swipes = [swipe(service_date=DAY + timedelta(n)) for n in range(4)]
    assert list(due(lake, swipes, days=Days(NEXT, NEXT + timedelta(1)))) == ["2026-11-03", "2026-11-04"]
    assert due(lake, swipes, days=Days(date(2025, 1, 1), date(2025, 1, 2))) == {}


def test_every_part_is_due_when_the_table_is_gone_whichever_days_are_asked_for(lake: Lake) -> None:
    swipes = [swipe(service_date=DAY + timedelta(n)) for n in range(3)]
    settle(lake, due(lake, swipes))
    asked = Days(NEXT, NEXT)
    assert due(lake, swipes, days=asked) == {}
    shutil.rmtree(lake.path(FLOW.table_id))
    assert list(due(lake, swipes, days=asked)) == ["2026-11-02", "2026-11-03", "2026-11-04"]


def test_a_part_has_another_state_when_the_contract_of_its_mart_changed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = due(lake, [swipe()])
    monkeypatch.setattr(type(lake.catalogue.table(FLOW.table_id)), "fingerprint", lambda self: "another contract")
    after = due(lake, [swipe()])
    assert before.keys() == after.keys()
    assert before != after


def test_the_audit_of_one_mart_is_not_that_of_another(lake: Lake) -> None:
    month = frame(lake.spark, ACCOUNT, [account(contribution_month=DAY)])
    states = parts.due_parts(lake, ACCOUNTS, month, "", None)
    settle(lake, states, FLOW)
    assert parts.due_parts(lake, ACCOUNTS, month, "", None) == states
    settle(lake, states, ACCOUNTS)
    assert parts.due_parts(lake, ACCOUNTS, month, "", None) == {}


# Building ----------------------------------------------------------------------------------------------------------


def crowd(count: int, name: str = "c", **known: Any) -> list[dict[str, Any]]:
    """So many cards that enter and leave within one quarter."""
    kinds = {"metro_in": 1, "metro_out": 9}
    return [
        swipe(f"{name}{n}", **{"minute": minute, "swipe_kind_code": kind, **known})
        for n in range(count)
        for kind, minute in kinds.items()
    ]


def build(lake: Lake, swipes: list[dict[str, Any]], basis: str = "links") -> list[str]:
    """Build what is due, as the job does, and return the parts."""
    states = due(lake, swipes, basis)
    assert parts.build_gated(lake, FLOW, flow(lake.spark, *swipes), states) == len(states)
    return list(states)


def audited(lake: Lake) -> list[dict[str, Any]]:
    return lake.rows(parts.AUDIT).to_pylist()


def contents(lake: Lake) -> dict[str, tuple[int, Counter[tuple[Any, ...]]]]:
    """Version and rows of mart and audit."""
    tables = (FLOW.table_id, parts.AUDIT)
    return {t: (lake.version(t), Counter(tuple(row.values()) for row in lake.rows(t).to_pylist())) for t in tables}


def test_mart_has_rows_of_each_grain_and_the_audit_adds_up(lake: Lake) -> None:
    second = {"place_code": None, "place_name": "车公庙"}
    swipes = [
        *crowd(12),
        # Too few in each quarter, enough in the hour.
        *crowd(6, "x", **second),
        *crowd(6, "y", **second, minute=16),
        *[swipe(f"b{n}", swipe_kind_code="bus_in") for n in range(11)],
        # Too few in the day.
        *crowd(9, service_date=NEXT),
        swipe("nowhere", place_name="不明"),
    ]
    assert build(lake, swipes) == ["2026-11-02", "2026-11-03"]
    columns = ("place_id", "service_date", "grain_code", "window_start_at", "in_count", "out_count")
    shown = {tuple(row[name] for name in columns) for row in lake.rows(FLOW.table_id).to_pylist()}
    assert shown == {
        ("plc_1", DAY, "15min", MORNING, 12, 12),
        ("plc_2", DAY, "1h", MORNING, 12, 12),
        ("plc_b", DAY, "15min", MORNING, 11, None),
    }
    trail = {(row["part"], row["grain_code"]): (row["cell_count"], row["record_count"]) for row in audited(lake)}
    grains = ("15min", "1h", "day", "all_places", "suppressed")
    assert trail == dict.fromkeys([(f"2026-11-0{n}", grain) for n in (2, 3) for grain in grains], (0, 0)) | {
        ("2026-11-02", "15min"): (2, 35),
        ("2026-11-02", "1h"): (1, 24),
        ("2026-11-03", "suppressed"): (1, 18),
    }
    assert sum(records for _, records in trail.values()) == flow(lake.spark, *swipes).count() == len(swipes) - 1
    assert {(row["table_name"], row["minimum_count"]) for row in audited(lake)} == {(FLOW.table_id, 10)}


def test_a_second_run_writes_nothing_and_a_late_delivery_its_day(lake: Lake) -> None:
    swipes = crowd(12) + crowd(12, service_date=NEXT)
    build(lake, swipes)
    first = contents(lake)
    assert build(lake, swipes) == []
    assert contents(lake) == first

    assert build(lake, [*swipes, *crowd(3, "late", delivery_id="d2")]) == ["2026-11-02"]
    counts = {row["service_date"]: row["in_count"] for row in lake.rows(FLOW.table_id).to_pylist()}
    assert counts == {DAY: 15, NEXT: 12}
    assert contents(lake)[parts.AUDIT][1] > first[parts.AUDIT][1]
    assert Counter(row["part"] for row in audited(lake)) == {"2026-11-02": 10, "2026-11-03": 5}


def test_a_run_killed_between_mart_and_audit_is_ended_by_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any) -> bool:
        raise KeyboardInterrupt

    append = Lake.append
    monkeypatch.setattr(Lake, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        build(lake, crowd(12))
    monkeypatch.setattr(Lake, "append", append)
    shown = contents(lake)[FLOW.table_id]
    assert (sum(shown[1].values()), audited(lake)) == (1, [])
    assert build(lake, crowd(12)) == ["2026-11-02"]
    assert contents(lake)[FLOW.table_id] == shown
    assert len(audited(lake)) == 5


def test_social_security_is_counted_by_county_or_above(lake: Lake) -> None:
    accounts = [account(f"a{n}") for n in range(12)]
    accounts += [account(f"b{n}", division_code="320106") for n in range(6)]
    accounts += [account(f"c{n}", division_code="320105") for n in range(6)]
    accounts += [account("a0", hour=1, employer_cny=Decimal("35.00"))]
    rows = frame(lake.spark, ACCOUNT, accounts)
    states = parts.due_parts(lake, ACCOUNTS, rows, "", None)
    assert parts.build_gated(lake, ACCOUNTS, social_security.contributions(rows), states) == 1
    shown = {
        (row["grain_code"], row["division_code"]): (row["account_count"], row["employer_cny"], row["individual_cny"])
        for row in lake.rows(ACCOUNTS.table_id).to_pylist()
    }
    assert shown == {
        ("county", "320104"): (12, Decimal("310.00"), Decimal("150.00")),
        ("city", "320100"): (12, Decimal("300.00"), Decimal("150.00")),
    }
    assert sum(row["record_count"] for row in audited(lake)) == 24
