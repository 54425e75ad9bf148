"""From records as read to canonical rows: what the sample cases do not show."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from ronghe.contracts import Feed, catalogue
from ronghe.contracts.ddl import raw_column, schema_ddl
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.standardiser import judge, stands, with_standing, with_tokens

pytestmark = pytest.mark.spark

SWIPE, ACCOUNT, REGISTER = "shenzhen.swipe", "nanjing.social_security", "guiyang.enterprise"
DAY = date(2026, 11, 2)

# One right record of each feed, as the source writes it; a case changes what it is about.
RIGHT: dict[str, dict[str, str]] = {
    SWIPE: {
        "卡号": "FHEGJDAEA",
        "交易时间": "2026-11-02 08:15:30",
        "交易类型": "地铁入站",
        "站点编码": "260011",
        "站点名称": "深圳北",
        "经度": "114.0",
        "纬度": "22.6",
        "设备编号": "263032101",
        "交易金额": "2.00",
        "结算日期": "20261102",
    },
    ACCOUNT: {
        "公民身份号码": "110101199003070038",
        "险种": "失业保险",
        "参保区划": "320104",
        "缴费月份": "202610",
        "缴费基数": "5000",
        "单位缴费": "25.00",
        "个人缴费": "25.00",
        "结算时间": "2026-11-02T10:00:00",
    },
    REGISTER: {
        "统一社会信用代码": "91520103AA000001A4",
        "企业名称": "样例有限公司",
        "企业类型": "有限责任公司",
        "成立日期": "2011年7月5日",
        "注册资本（万元）": "1000",
        "行政区划代码": "520114",
        "登记状态": "存续（在营、开业、在册）",
        "核准日期": "2026年11月2日",
    },
}


def judged(
    spark: SparkSession, feed: Feed | str, changes: Iterable[Mapping[str, Any]], days: Mapping[str, date] | None = None
) -> DataFrame:
    """Judge right records with changes; `_delivery` and `_defect` of a change are about the record itself."""
    feed = catalogue().feed(feed) if isinstance(feed, str) else feed
    table = catalogue().table(feed.raw_table)
    rows = []
    for number, change in enumerate(changes, start=1):
        cells = {raw_column(name): text for name, text in (RIGHT[feed.id] | dict(change)).items() if name[0] != "_"}
        assert cells.keys() <= set(table.column_names)
        own = {"delivery_id": change.get("_delivery", "d1"), "record_number": number, "defect": change.get("_defect")}
        rows.append(tuple((own | cells).get(name) for name in table.column_names))
    raw = spark.createDataFrame(rows, schema_ddl(table))
    deliveries = spark.createDataFrame(list((days or {"d1": DAY}).items()), "delivery_id STRING, business_date DATE")
    return judge(raw, deliveries, feed, catalogue())


def by_number(frame: DataFrame) -> dict[int, Row]:
    return {row["record_number"]: row for row in frame.collect()}


def reasons(spark: SparkSession, feed: Feed | str, **cases: Mapping[str, Any]) -> dict[str, list[str]]:
    """The reasons against each named change."""
    rows = by_number(judged(spark, feed, cases.values()))
    assert len(rows) == len(cases)
    return {name: sorted(rows[number]["reasons"]) for number, name in enumerate(cases, start=1)}


# Reasons -----------------------------------------------------------------------------------------------------------


def test_right_records_have_no_reason(spark: SparkSession) -> None:
    for feed_id in RIGHT:
        assert reasons(spark, feed_id, right={}) == {"right": []}


def test_required_is_silent_when_the_value_was_there_but_unreadable(spark: SparkSession) -> None:
    found = reasons(
        spark,
        SWIPE,
        missing={"结算日期": "", "交易金额": None, "交易类型": "-"},
        unreadable={"结算日期": "2026-11-02", "交易金额": "two", "交易类型": "飞船"},
        empty_card={"卡号": " NULL "},
    )
    assert found == {
        "missing": ["required:fare_cny", "required:service_date", "required:swipe_kind_code"],
        "unreadable": ["code:swipe_kind_code", "format:fare_cny", "format:service_date"],
        "empty_card": ["required:card_token"],
    }


def test_a_record_has_every_reason_against_it(spark: SparkSession) -> None:
    wrong = {"卡号": "", "交易时间": "yesterday", "交易金额": "-1", "经度": "200", "站点编码": "", "站点名称": "NULL"}
    (found,) = reasons(spark, SWIPE, wrong=wrong).values()
    assert found == [
        "any_of:place_code,place_name",
        "format:swiped_at",
        "range:fare_cny",
        "range:longitude",
        "required:card_token",
    ]


@pytest.mark.parametrize("defect", ["torn", "undecodable", "oversized"])
def test_a_record_not_read_whole_has_that_one_reason(spark: SparkSession, defect: str) -> None:
    (found,) = reasons(
        spark, SWIPE, case={"_defect": defect, "卡号": None, "交易金额": "x", "结算日期": "29991231"}
    ).values()
    assert found == [defect]


def test_a_value_of_blanks_only_is_a_missing_one(spark: SparkSession) -> None:
    """Two cards must not be one because both numbers are blank: an ideographic or a no-break space is no number."""
    found = reasons(
        spark,
        SWIPE,
        ideographic={"卡号": "\u3000"},
        no_break={"卡号": "\u00a0"},
        wide_null={"卡号": "ＮＵＬＬ"},
        no_place={"站点编码": "\u3000", "站点名称": "\u3000\u3000"},
        no_fare={"交易金额": "\u3000"},
    )
    assert found == {
        "ideographic": ["required:card_token"],
        "no_break": ["required:card_token"],
        "wide_null": ["required:card_token"],
        "no_place": ["any_of:place_code,place_name"],
        "no_fare": ["required:fare_cny"],
    }


def test_half_a_position_is_not_called_badly_written(spark: SparkSession) -> None:
    rows = by_number(judged(spark, SWIPE, [{"经度": ""}, {"纬度": "-"}, {"经度": "", "纬度": ""}, {"经度": "x"}]))
    assert [rows[n]["reasons"] for n in (1, 2, 3, 4)] == [[], [], [], ["format:longitude"]]
    assert {(row["longitude"], row["latitude"]) for row in rows.values()} == {(None, None)}


def test_quarantine_keeps_the_record_as_it_was_read(spark: SparkSession) -> None:
    (row,) = judged(spark, SWIPE, [{"交易金额": "ｔｗｏ", "线路名称": '1号线 "东"'}]).collect()
    assert '"交易金额":"ｔｗｏ"' in row["record"]
    assert r'"线路名称":"1号线 \"东\""' in row["record"]


# Days and instants -------------------------------------------------------------------------------------------------


def test_a_day_may_be_the_delivery_day_and_not_the_next(spark: SparkSession) -> None:
    found = reasons(spark, REGISTER, same={"核准日期": "2026年11月2日"}, next={"核准日期": "2026年11月3日"})
    assert found == {"same": [], "next": ["future:approved_date"]}


def test_an_instant_may_lie_in_the_night_after_the_delivery_day_and_not_later(spark: SparkSession) -> None:
    """The service day ends after midnight: local time counts, up to the end of the day after."""
    found = reasons(
        spark,
        SWIPE,
        last={"交易时间": "2026-11-03 23:59:59"},
        first_too_late={"交易时间": "2026-11-04 00:00:00"},
        service_day_too_late={"结算日期": "20261103"},
    )
    assert found == {
        "last": [],
        "first_too_late": ["future:swiped_at"],
        "service_day_too_late": ["future:service_date"],
    }


@pytest.mark.parametrize(("timezone", "hours"), [("Asia/Shanghai", 8), ("Asia/Urumqi", 6)])
def test_instants_become_utc_by_the_clock_of_the_feed(spark: SparkSession, timezone: str, hours: int) -> None:
    feed = catalogue().feed(SWIPE).model_copy(update={"timezone": timezone})
    texts = ["2026-11-02 08:15:30", "2026-11-03 00:30:00", "2026-11-03 23:59:59", "2026-11-04 00:00:00"]
    frame = judged(spark, feed, [{"交易时间": text} for text in texts])
    rows = by_number(frame.withColumn("at", F.unix_seconds("swiped_at")))
    for number, text in enumerate(texts, start=1):
        expected = datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=hours)
        assert datetime.fromtimestamp(rows[number]["at"], UTC) == expected
    assert [rows[n]["reasons"] for n in (1, 2, 3, 4)] == [[], [], [], ["future:swiped_at"]]


XX = "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][.SSS]XX"


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("epoch_seconds", ["1793578530", " 1793578530.000", "1793578530.25"]),
        ("epoch_millis", ["1793578530000", "1793578530250"]),
        ("yyyy-MM-dd'T'HH:mm:ssXX", ["2026-11-02T08:15:30+0800", "2026-11-01T18:15:30-0600", "2026-11-02T00:15:30Z"]),
        ("yyyy-MM-dd HH:mm:ss XXX", ["2026-11-02 08:15:30 +08:00"]),
        (XX, ["2026-11-02T08:15:30+0800", "2026-11-02T08:15:30.250+0800", "2026-11-01T18:15:30.250000-0600"]),
        (
            None,
            [
                "2026-11-02T08:15:30+08:00",
                "2026-11-02T00:15:30Z",
                "2026-11-02T00:15:30.25Z",
                "2026-11-02 02:15:30+02:00",
                "2026-11-02 06:15:30",
                "2026-11-02T06:15:30.25",
            ],
        ),
        ("yyyy-MM-dd'XZ'HH:mm:ss", ["2026-11-02XZ06:15:30"]),
    ],
    ids=str,
)
def test_an_instant_that_says_its_offset_is_not_moved_by_the_feeds_zone(
    spark: SparkSession, pattern: str | None, texts: list[str]
) -> None:
    """All texts mean one instant, or a quarter of a second later; the feed's clock is two hours behind Shanghai's."""
    feed = with_format("交易时间", pattern)
    frame = judged(spark, feed, [{"交易时间": text} for text in texts])
    rows = by_number(frame.withColumn("at", F.unix_micros("swiped_at")))
    start = 1793578530_000_000
    found = [rows[number]["at"] - start for number in range(1, len(texts) + 1)]
    assert found == [250_000 if ".25" in text or text.endswith("250") else 0 for text in texts]


def with_format(column: str, pattern: str | None) -> Feed:
    feed = catalogue().feed(SWIPE)
    columns = tuple(c.model_copy(update={"format": pattern}) if c.name == column else c for c in feed.columns)
    return feed.model_copy(update={"timezone": "Asia/Urumqi", "columns": columns})


def test_text_that_is_no_instant_is_unreadable(spark: SparkSession) -> None:
    for pattern, text in [
        ("epoch_seconds", "9" * 11),
        ("epoch_seconds", "2026-11-02"),
        ("epoch_millis", "soon"),
        ("yyyy-MM-dd'T'HH:mm:ssXX", "2026-11-02T08:15:30"),
    ]:
        assert reasons(spark, with_format("交易时间", pattern), case={"交易时间": text}) == {
            "case": ["format:swiped_at"]
        }


def test_the_day_of_an_instant_is_the_feeds(spark: SparkSession) -> None:
    for pattern, text in (("epoch_seconds", "1793556000"), ("yyyy-MM-dd'T'HH:mm:ssXX", "2026-11-01T18:00:00Z")):
        (row,) = judged(spark, with_format("结算日期", pattern), [{"结算日期": text}]).collect()
        assert row["service_date"] == DAY


def test_a_day_has_no_clock(spark: SparkSession) -> None:
    feed = catalogue().feed(SWIPE).model_copy(update={"timezone": "Asia/Urumqi"})
    (row,) = judged(spark, feed, [{}]).collect()
    assert row["service_date"] == DAY


def test_a_month_is_its_first_day(spark: SparkSession) -> None:
    (row,) = judged(spark, ACCOUNT, [{}]).collect()
    assert row["contribution_month"] == date(2026, 10, 1)


# Numbers and positions ---------------------------------------------------------------------------------------------


def test_a_factor_brings_ten_thousands_of_yuan_to_yuan(spark: SparkSession) -> None:
    texts = {
        "1000": "10000000.00",
        "0.5": "5000.00",
        "0.000001": "0.01",
        "１２．３４５６７８": "123456.78",
        "0": "0.00",
    }
    rows = by_number(judged(spark, REGISTER, [{"注册资本（万元）": text} for text in texts]))
    found = [rows[number]["registered_capital_cny"] for number in range(1, len(texts) + 1)]
    assert found == [Decimal(text) for text in texts.values()]
    assert not any(row["reasons"] for row in rows.values())


def test_a_number_too_large_for_its_column_is_unreadable(spark: SparkSession) -> None:
    found = reasons(spark, REGISTER, large={"注册资本（万元）": "9" * 17}, words={"注册资本（万元）": "壹佰"})
    assert found == {"large": ["format:registered_capital_cny"], "words": ["format:registered_capital_cny"]}


def test_positions_are_moved_from_the_system_of_the_feed(spark: SparkSession) -> None:
    """In Shenzhen GCJ-02 lies some 500 m to the south-east of WGS-84."""
    plain = catalogue().feed(SWIPE).model_copy(update={"coordinate_system": "WGS-84"})
    (kept,) = judged(spark, plain, [{}]).collect()
    (moved,) = judged(spark, SWIPE, [{}]).collect()
    assert (kept["longitude"], kept["latitude"]) == (114.0, 22.6)
    assert kept["longitude"] - moved["longitude"] == pytest.approx(0.005, abs=0.001)
    assert kept["latitude"] - moved["latitude"] == pytest.approx(-0.003, abs=0.001)


# Tokens ------------------------------------------------------------------------------------------------------------


def tokenised(spark: SparkSession, feed_id: str, frame: DataFrame, folder: Path) -> dict[int, str]:
    """The token of each record by its number."""
    feed = catalogue().feed(feed_id)
    table = catalogue().table(feed.target)
    (column,) = (c.name for c in table.columns if c.tokenise)
    frame = frame.persist()
    assert not [row for row in frame.collect() if row["reasons"]]
    found = with_tokens(frame.drop("reasons", "record"), feed, table, KeyStore(folder))
    assert set(found.columns) == {*table.column_names, "business_date"}
    return {number: row[column] for number, row in by_number(found).items()}


def swipe(card: str, day: date, delivery: str = "d1") -> dict[str, str]:
    return {
        "卡号": card,
        "结算日期": f"{day:%Y%m%d}",
        "交易时间": f"{day} 08:00:00",
        "_delivery": delivery,
    }


def test_a_card_has_one_token_a_day_and_another_on_the_next(spark: SparkSession, tmp_path: Path) -> None:
    before = DAY - timedelta(1)
    cards = [swipe("A1", DAY), swipe(" ａ１ ", DAY), swipe("B2", DAY), swipe("A1", before), swipe("B2", before)]
    first, written_wide, other, day_before, _ = tokenised(spark, SWIPE, judged(spark, SWIPE, cards), tmp_path).values()
    assert first == written_wide
    assert len({first, other, day_before}) == 3
    assert len(first) == 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day_2026-11-01.key", "day_2026-11-02.key"]


def test_tokens_are_the_same_on_every_run_while_the_key_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    frame = judged(spark, SWIPE, [swipe("A1", DAY)])
    again = [tokenised(spark, SWIPE, frame, tmp_path / name) for name in ("keys", "keys", "other keys")]
    assert again[0] == again[1] != again[2]


def test_a_record_later_than_the_window_pairs_with_none_in_time(spark: SparkSession, tmp_path: Path) -> None:
    window = catalogue().feed(SWIPE).lateness_days
    days = {"in time": DAY, "last": DAY + timedelta(window), "late": DAY + timedelta(window + 1)}
    days["later"] = days["late"] + timedelta(1)
    records = [swipe("A1", DAY, delivery) for delivery in days] + [swipe("A1", DAY, "late")]
    # Delivery ids are part of file names.
    names = {delivery: delivery.replace(" ", "_") for delivery in days}
    records = [{**record, "_delivery": names[record["_delivery"]]} for record in records]
    frame = judged(spark, SWIPE, records, {names[d]: day for d, day in days.items()})
    in_time, last, late, later, late_again = tokenised(spark, SWIPE, frame, tmp_path).values()
    assert in_time == last
    assert late == late_again
    assert len({in_time, late, later}) == 3
    assert (tmp_path / "late_2026-11-02_late.key").exists()


def test_an_id_of_15_and_of_18_digits_is_one_person(spark: SparkSession, tmp_path: Path) -> None:
    """GB 11643-1989 and -1999 of one person; and one account has one token in every delivery and month."""
    numbers = ["110101199003070038", "110101900307003", "１１０１０１９００３０７００３", "110101199003070054"]
    changes = [{"公民身份号码": number} for number in numbers]
    changes.append({"公民身份号码": numbers[0], "缴费月份": "202609", "_delivery": "d2"})
    frame = judged(spark, ACCOUNT, changes, {"d1": DAY, "d2": DAY + timedelta(40)})
    first, short, wide, other, next_time = tokenised(spark, ACCOUNT, frame, tmp_path).values()
    assert first == short == wide == next_time != other
    assert [path.name for path in tmp_path.iterdir()] == ["purpose_social_security_statistics.key"]


# Which row stands --------------------------------------------------------------------------------------------------


def standing(spark: SparkSession, rows: list[tuple[Any, ...]], present: list[tuple[Any, ...]] | None) -> dict[Any, Any]:
    """For each (delivery, record) the (delivery, record) that stands for it; keys are two texts."""
    columns = "a STRING, b STRING, delivery_id STRING, record_number BIGINT"
    right = spark.createDataFrame([(*row[:4], row[4]) for row in rows], f"{columns}, business_date DATE")
    there = None if present is None else spark.createDataFrame(present, columns)
    found = with_standing(right, there, ("a", "b")).withColumn("stands", stands()).collect()
    assert len(found) == len(rows)
    kept = {}
    for row in found:
        own, other = (row["delivery_id"], row["record_number"]), (row["kept_delivery_id"], row["kept_record_number"])
        assert row["stands"] == (own == other)
        kept[own] = other
    return kept


def test_of_equal_rows_the_earliest_stands(spark: SparkSession) -> None:
    rows = [
        ("x", "1", "d2", 1, DAY),
        ("x", "1", "d1", 9, DAY),
        ("x", "1", "d1", 8, DAY),
        ("y", "1", "d2", 2, DAY),
        ("y", "1", "d9", 3, DAY - timedelta(1)),
        ("z", "1", "d1", 1, DAY),
    ]
    assert standing(spark, rows, None) == {
        ("d2", 1): ("d1", 8),
        ("d1", 9): ("d1", 8),
        ("d1", 8): ("d1", 8),
        ("d2", 2): ("d9", 3),
        ("d9", 3): ("d9", 3),
        ("d1", 1): ("d1", 1),
    }


def test_a_row_that_is_there_stands_whatever_comes(spark: SparkSession) -> None:
    rows = [("x", "1", "d2", 1, DAY - timedelta(9)), ("x", "1", "d2", 2, DAY), ("y", "1", "d2", 3, DAY)]
    assert standing(spark, rows, [("x", "1", "d7", 70), ("w", "1", "d7", 71)]) == {
        ("d2", 1): ("d7", 70),
        ("d2", 2): ("d7", 70),
        ("d2", 3): ("d2", 3),
    }


def test_missing_parts_of_a_key_count_as_equal(spark: SparkSession) -> None:
    rows = [("x", None, "d2", 1, DAY), ("x", None, "d2", 2, DAY), (None, None, "d2", 3, DAY), (None, "1", "d2", 4, DAY)]
    assert standing(spark, rows, None)["d2", 2] == ("d2", 1)
    assert standing(spark, rows, [(None, None, "d1", 5)]) == {
        ("d2", 1): ("d2", 1),
        ("d2", 2): ("d2", 1),
        ("d2", 3): ("d1", 5),
        ("d2", 4): ("d2", 4),
    }
