"""Organisations: one row for one code, each attribute from whom it is best believed, divisions as of their day."""

from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from ronghe.contracts import catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.fuse import organisations
from ronghe.fuse.divisions import division_rows
from ronghe.privacy.keyed_hash import key_frame

pytestmark = pytest.mark.spark

KEY_ID = "purpose_organisation_id"
COMPANY, TRADER, OTHER = "91520103AA000001A4", "92520115AA000002BH", "91520103AA000003CC"
DAY = date(2026, 11, 2)
REGISTER = {"source_code": "guiyang", "table_name": "std.organisation", "trust": 90}
EMPLOYER = {"source_code": "nanjing", "table_name": "std.social_security_account", "trust": 50}

_TYPES = {"founded_date": "DATE", "registered_capital_cny": "DECIMAL(18,2)"}
SCHEMA = ", ".join(
    [
        "uscc STRING, source_code STRING, table_name STRING, trust INT, delivery_id STRING, record_number BIGINT",
        "updated_date DATE",
        *(f"{name} {_TYPES.get(name, 'STRING')}" for name in organisations.ATTRIBUTES),
    ]
)
COLUMNS = [part.split()[0] for part in SCHEMA.split(", ")]


def record(uscc: str | None = COMPANY, **known: Any) -> dict[str, Any]:
    """A record of the register unless said otherwise."""
    return {**REGISTER, "uscc": uscc, "delivery_id": "d1", "record_number": 1, "updated_date": DAY, **known}


def gathered(spark: SparkSession, *records: dict[str, Any]) -> DataFrame:
    assert all(item.keys() <= set(COLUMNS) for item in records)
    return spark.createDataFrame([tuple(item.get(name) for name in COLUMNS) for item in records], SCHEMA)


def identified(spark: SparkSession, *records: dict[str, Any], key: bytes = b"a key") -> DataFrame:
    return organisations.identified(gathered(spark, *records), key_frame(spark, {KEY_ID: key}), KEY_ID)


@pytest.fixture(scope="module")
def divisions(spark: SparkSession) -> DataFrame:
    rows = division_rows(catalogue().codeset("division"))
    return spark.createDataFrame(rows, schema_ddl(catalogue().table("fused.division"))).persist()


def merged(spark: SparkSession, divisions: DataFrame, *records: dict[str, Any]) -> dict[str, Row]:
    """The fused rows by code."""
    found = organisations.merge(identified(spark, *records), divisions)
    assert set(found.columns) == set(catalogue().table("fused.organisation").column_names)
    rows = found.collect()
    by_code = {row["uscc"]: row for row in rows}
    assert len(by_code) == len(rows)
    return by_code


# Ids and links -----------------------------------------------------------------------------------------------------


def test_id_is_equal_for_equal_codes_and_another_under_another_key(spark: SparkSession) -> None:
    records = [record(), record(**EMPLOYER), record(OTHER)]
    first = [row["organisation_id"] for row in identified(spark, *records).collect()]
    again = [row["organisation_id"] for row in identified(spark, *records).collect()]
    rekeyed = [row["organisation_id"] for row in identified(spark, *records, key=b"another").collect()]
    assert first == again
    assert first[0] == first[1] != first[2]
    assert not set(first) & set(rekeyed)
    assert all(one.startswith("org_") and COMPANY not in one and len(one) == 36 for one in first + rekeyed)


def test_record_without_a_code_is_no_organisation(spark: SparkSession) -> None:
    assert identified(spark, record(None, organisation_name="无码公司")).collect() == []


def test_record_keeps_its_columns_when_it_is_identified(spark: SparkSession) -> None:
    (row,) = identified(spark, record(organisation_name="样例（数据） 有限公司", contact_phone="138")).collect()
    assert set(row.asDict()) == {*COLUMNS, "organisation_id"}
    assert (row["uscc"], row["organisation_name"], row["contact_phone"]) == (COMPANY, "样例(数据)有限公司", "138")


def test_links_count_the_records_of_each_table(spark: SparkSession) -> None:
    named = {"organisation_name": "贵州样例数据有限公司"}
    permits = [record(None, **PERMIT, **named, record_number=number) for number in (1, 2)]
    records = [record(**named), record(record_number=2), record(**EMPLOYER), record(OTHER), *permits]
    known = identified(spark, *records)
    found = organisations.links(known, organisations.match_names(gathered(spark, *records), known))
    assert set(found.columns) == set(catalogue().table("fused.link_organisation_source").column_names)
    counts = {(r["uscc"], r["table_name"], r["link_rule_code"]): r["record_count"] for r in found.collect()}
    assert counts == {
        (COMPANY, "std.organisation", "uscc"): 2,
        (COMPANY, "std.social_security_account", "uscc"): 1,
        (COMPANY, "std.permit", "name"): 2,
        (OTHER, "std.organisation", "uscc"): 1,
    }


# Links by name ------------------------------------------------------------------------------------------------------

PERMIT = {"source_code": "chengdu", "table_name": "std.permit", "trust": 70}
SICHUAN = "91510104AA000001KX"


def matched(spark: SparkSession, name: str | None, *known: dict[str, Any], **other: Any) -> Row:
    """What becomes of one permit whose holder has that name and no code."""
    records = [record(None, **PERMIT, delivery_id="p", organisation_name=name, **other), *known]
    (row,) = organisations.match_names(gathered(spark, *records), identified(spark, *records)).collect()
    return row


@pytest.mark.parametrize(
    "name",
    [
        "贵州样例数据有限公司",
        "样例（贵州）数据有限责任公司",
        "贵阳市样例 数据有限公司",
        "样例数据股份有限公司",
    ],
)
def test_record_without_a_code_links_to_the_one_that_bears_the_name(spark: SparkSession, name: str) -> None:
    row = matched(
        spark,
        name,
        record(COMPANY, organisation_name="贵州样例数据有限公司"),
        record(COMPANY, **EMPLOYER, organisation_name="样例(贵州)数据有限公司"),
        record(OTHER, organisation_name="贵州别家数据有限公司"),
    )
    assert (row["uscc"], row["candidate_count"], row["link_review_reason_code"]) == (COMPANY, 1, None)


def test_record_links_to_none_of_two_that_bear_the_name(spark: SparkSession) -> None:
    both = [record(code, organisation_name="贵阳样例数据有限公司") for code in (COMPANY, OTHER)]
    row = matched(spark, "贵州样例数据有限公司", *both)
    assert (row["uscc"], row["organisation_id"], row["candidate_count"]) == (None, None, 2)
    assert row["link_review_reason_code"] == "ambiguous"


def test_name_that_speaks_of_a_province_links_only_there(spark: SparkSession) -> None:
    known = [
        record(COMPANY, organisation_name="贵州样例数据有限公司"),
        record(SICHUAN, organisation_name="四川样例数据有限公司"),
    ]
    assert matched(spark, "成都样例数据有限公司", *known)["uscc"] == SICHUAN
    assert matched(spark, "样例（贵阳）数据有限公司", *known)["uscc"] == COMPANY
    assert matched(spark, "南京样例数据有限公司", *known)["link_review_reason_code"] == "unknown"
    assert matched(spark, "样例数据有限公司", *known)["link_review_reason_code"] == "ambiguous"


def test_sole_trader_is_never_linked_by_name(spark: SparkSession) -> None:
    """Guard rail 1: neither a name a person may trade under, nor whatever is registered as a person's."""
    shop = matched(spark, "样例小吃店", record(TRADER, organisation_name="样例小吃店"))
    assert (shop["uscc"], shop["link_review_reason_code"]) == (None, "no_legal_form")
    by_code = matched(spark, "样例数据有限公司", record(TRADER, organisation_name="样例数据有限公司"))
    by_kind = matched(
        spark,
        "样例数据有限公司",
        record(COMPANY, organisation_name="样例数据有限公司", organisation_kind_code="sole_trader"),
    )
    assert [row["link_review_reason_code"] for row in (by_code, by_kind)] == ["unknown", "unknown"]


@pytest.mark.parametrize("name", ["样例数据有限公司成都分公司", "贵州数据有限公司", "样例数据研究院", "有限公司"])
def test_name_that_tells_too_little_goes_to_a_person(spark: SparkSession, name: str) -> None:
    row = matched(spark, name, record(COMPANY, organisation_name=name))
    assert (row["uscc"], row["candidate_count"], row["link_review_reason_code"]) == (None, 0, "no_legal_form")


def test_record_with_neither_code_nor_name_is_not_compared(spark: SparkSession) -> None:
    records = [record(None, **PERMIT), record(COMPANY, organisation_name="样例数据有限公司")]
    assert organisations.match_names(gathered(spark, *records), identified(spark, *records)).collect() == []


def test_records_without_a_code_are_linked_or_to_review_and_never_both(spark: SparkSession) -> None:
    records = [
        record(COMPANY, organisation_name="样例数据有限公司"),
        record(None, **PERMIT, organisation_name="样例数据有限公司", record_number=1),
        record(None, **PERMIT, organisation_name="无人知晓有限公司", record_number=2),
    ]
    found = organisations.match_names(gathered(spark, *records), identified(spark, *records))
    linked, review = organisations.by_name(found), organisations.to_review(found)
    for frame, table in ((linked, "fused.link_organisation_record"), (review, "meta.link_review")):
        assert set(catalogue().table(table).column_names) <= set(frame.columns)
    assert [row["record_number"] for row in linked.collect()] == [1]
    assert [row["record_number"] for row in review.collect()] == [2]


def test_link_by_name_changes_nothing_about_the_organisation(spark: SparkSession, divisions: DataFrame) -> None:
    coded = record(COMPANY, organisation_name="样例数据有限公司")
    permit = record(None, **PERMIT, organisation_name="样例数据有限责任公司", contact_phone="139")
    assert merged(spark, divisions, coded, permit) == merged(spark, divisions, coded)


# Merging -----------------------------------------------------------------------------------------------------------


def test_merge_makes_one_row_of_an_organisation(spark: SparkSession, divisions: DataFrame) -> None:
    later = DAY + timedelta(30)
    rows = merged(
        spark,
        divisions,
        record(),
        record(delivery_id="d2", updated_date=DAY - timedelta(1)),
        record(**EMPLOYER, updated_date=later),
        record(OTHER),
    )
    counts = {code: (row["record_count"], row["source_count"], row["updated_date"]) for code, row in rows.items()}
    assert counts == {COMPANY: (3, 2, later), OTHER: (1, 1, DAY)}


def test_merge_believes_the_most_trusted_then_the_newest(spark: SparkSession, divisions: DataFrame) -> None:
    row = merged(
        spark,
        divisions,
        record(organisation_name="旧名", address="旧址", updated_date=DAY - timedelta(1)),
        record(organisation_name="新名", address="新址", updated_date=DAY),
        record(**EMPLOYER, organisation_name="别名", updated_date=DAY + timedelta(9)),
    )[COMPANY]
    assert (row["organisation_name"], row["address"]) == ("新名", "新址")


def test_merge_keeps_a_known_value_when_the_newest_has_none(spark: SparkSession, divisions: DataFrame) -> None:
    row = merged(
        spark,
        divisions,
        record(
            organisation_name="名", contact_phone="138", founded_date=date(2005, 1, 1), updated_date=DAY - timedelta(9)
        ),
        record(organisation_name="名", contact_phone=None, updated_date=DAY),
        record(**EMPLOYER, contact_phone="139", address="只有单位知道", updated_date=DAY + timedelta(9)),
    )[COMPANY]
    found = {name: row[name] for name in ("contact_phone", "founded_date", "address", "legal_representative_name")}
    assert found == {
        "contact_phone": "138",
        "founded_date": date(2005, 1, 1),
        "address": "只有单位知道",
        "legal_representative_name": None,
    }


@pytest.mark.parametrize("turned", [False, True])
def test_merge_breaks_ties_by_delivery_and_position(spark: SparkSession, divisions: DataFrame, turned: bool) -> None:
    records = [
        record(address="d2 1", delivery_id="d2"),
        record(address="d1 9", record_number=9),
        record(address="d2 2", delivery_id="d2", record_number=2),
        record(address="undated", delivery_id="d9", updated_date=None),
    ]
    assert merged(spark, divisions, *(records[::-1] if turned else records))[COMPANY]["address"] == "d2 2"


def test_sole_trader_is_told_by_kind_and_by_code(spark: SparkSession, divisions: DataFrame) -> None:
    rows = merged(
        spark,
        divisions,
        record(COMPANY, organisation_kind_code="limited_company"),
        record(OTHER, organisation_kind_code="sole_trader"),
        record(TRADER, **EMPLOYER),
        record("92520115AA000009XX", organisation_kind_code="limited_company"),
        record("93520115AA000009XX", **EMPLOYER),
    )
    assert {code[:2] + code[-2:]: row["is_sole_trader"] for code, row in rows.items()} == {
        "91A4": False,
        "91CC": True,
        "92BH": True,
        "92XX": True,
        "93XX": False,
    }


def test_every_fused_row_has_what_its_contract_requires(spark: SparkSession, divisions: DataFrame) -> None:
    """An employer may be known by its code alone; the table takes no row without a name."""
    found = merged(spark, divisions, record(**EMPLOYER), record(OTHER, organisation_name="名"))
    required = [c.name for c in catalogue().table("fused.organisation").columns if c.required]
    assert OTHER in found
    assert {code: [name for name in required if row[name] is None] for code, row in found.items()} == {
        code: [] for code in found
    }


# Divisions as of a day ---------------------------------------------------------------------------------------------

CASES = {
    "while the code was valid": ("520114", date(2005, 6, 1), "小河区", "520111"),
    "in the first year": ("520114", date(2000, 1, 1), "小河区", "520111"),
    "in the last year": ("520114", date(2012, 12, 31), "小河区", "520111"),
    "before the code was": ("520114", date(1999, 12, 31), "小河区", "520111"),
    "after the code was": ("520114", date(2013, 1, 1), "小河区", "520111"),
    "of a code given up, without a day": ("520114", None, "小河区", "520111"),
    "of a code in force": ("520111", date(2020, 1, 1), "花溪区", "520111"),
    "of a code in force, without a day": ("520111", None, "花溪区", "520111"),
    "over two changes": ("522525", date(1985, 1, 1), "清镇县", "520181"),
    "of a code used again, before": ("330402", date(1990, 1, 1), "城区", "330402"),
    "of a code used again, between": ("330402", date(2000, 1, 1), "秀城区", "330402"),
    "of a code used again, without a day": ("330402", None, "南湖区", "330402"),
    "of an unknown code": ("529999", date(2005, 1, 1), None, None),
    "of no code": (None, date(2005, 1, 1), None, None),
}


@pytest.fixture(scope="module")
def placed(spark: SparkSession, divisions: DataFrame) -> dict[str, Row]:
    rows = [(name, code, day) for name, (code, day, _, _) in CASES.items()]
    frame = spark.createDataFrame(rows, "name STRING, division_code STRING, founded_date DATE")
    found = organisations.with_division(frame, divisions, "founded_date").collect()
    assert len(found) == len(CASES)
    return {row["name"]: row for row in found}


@pytest.mark.parametrize("name", CASES)
def test_division_has_the_name_of_its_day_and_the_code_of_today(placed: dict[str, Row], name: str) -> None:
    row = placed[name]
    assert (row["division_name"], row["current_division_code"]) == CASES[name][2:]


def test_in_a_year_of_change_the_later_meaning_stands(spark: SparkSession) -> None:
    schema = schema_ddl(catalogue().table("fused.division"))
    meanings = [("1", "甲县", "county", None, None, 1992, None), ("1", "甲市", "county", None, 1992, None, "1")]
    for order in (meanings, meanings[::-1]):
        frame = spark.createDataFrame([("1", date(1992, 6, 1))], "division_code STRING, day DATE")
        (row,) = organisations.with_division(frame, spark.createDataFrame(order, schema), "day").collect()
        assert (row["division_name"], row["current_division_code"]) == ("甲市", "1")


def test_fused_row_has_the_division_of_its_foundation(spark: SparkSession, divisions: DataFrame) -> None:
    row = merged(spark, divisions, record(division_code="520114", founded_date=date(2005, 1, 1)))[COMPANY]
    found = (row["division_code"], row["division_name"], row["current_division_code"])
    assert found == ("520114", "小河区", "520111")
