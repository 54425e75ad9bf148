"""Normalisers value by value, and the named checks against independent implementations."""

import random
import string
import unicodedata
from collections.abc import Iterable
from datetime import date
from typing import get_args

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from stdnum.cn import ric, uscc

from ronghe.contracts.checks import CHECKS
from ronghe.contracts.source import NormaliserName
from ronghe.standardise.normalisers import NORMALISERS, normaliser

pytestmark = pytest.mark.spark

NASTY = [
    None,
    "",
    " ",
    "\u3000",
    "\ufeff\u200b",
    "\u00a0 深圳北站\t\r\n",
    "站",
    "站站",
    "地铁站",
    "公交站",
    "深圳站站",
    "火车站地铁站",
    "站" * 20_000,
    "站" * 3_000 + "x",
    "-",
    "—",
    "-站",
    "?I岭",
    "？",
    "\ufffd岭",
    "（）",
    "【ａ】〔ｂ〕［ｃ］[d]﹙e﹚",
    "ＡＢＣ１２３！～",
    "ß ﬁ ŉ ı ǆ ΐ",
    "a\u0000b",
    "\\ $1 ${x} %s ' \" `",
    "艾力 • 买买提",
    "艾力．买买提・阿不都.热合曼·",
    "· · ..",
    "ئالىم\u200cجان",
    "ᠮᠣᠩᠭᠣᠯ\u180e\u200d",
    "𠮷𡈽",
    "e\u0301\u212b",
    "١٢٣ ①②",
    "440309900101001",
    "11010519491231002x",
    "11010519491231002X",
    "11010519491231002X\n",
    "99999999999999999",
    "-1",
    "-9999999999999999",
    "9" * 40,
    "２０１８－０９－０１",
    "24:30:00",
    "1:2:3",
]


def apply(spark: SparkSession, name: str, values: Iterable[str | None]) -> list[str | None]:
    frame = spark.createDataFrame([(i, v) for i, v in enumerate(values)], "i int, v string")
    rows = frame.select("i", NORMALISERS[name](F.col("v")).alias("v")).collect()
    return [row.v for row in sorted(rows)]


def judge(spark: SparkSession, check: str, values: list[str | None]) -> list[bool | None]:
    frame = spark.createDataFrame([(i, v) for i, v in enumerate(values)], "i int, `a``b` string")
    rows = frame.select("i", F.expr(CHECKS[check]("a`b")).alias("ok")).collect()
    return [row.ok for row in sorted(rows)]


def test_every_name_a_contract_may_ask_for_is_one() -> None:
    assert set(NORMALISERS) == set(get_args(NormaliserName))


def test_a_name_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="'upper' is registered twice"):
        normaliser("upper")(F.upper)


def test_every_normaliser_is_idempotent_and_keeps_null(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(i, v) for i, v in enumerate(NASTY)], "i int, v string")
    once = frame.select("i", *(f(F.col("v")).alias(n) for n, f in NORMALISERS.items()))
    # Collected between the two, so that the second pass is not optimised together with the first.
    kept = spark.createDataFrame(once.collect(), once.schema)
    twice = kept.select("i", *(f(F.col(n)).alias(n) for n, f in NORMALISERS.items()))
    first, second = sorted(once.collect()), sorted(twice.collect())
    for before, after in zip(first, second, strict=True):
        assert before.asDict() == after.asDict()
    assert set(first[0].asDict().values()) == {0, None}


def test_half_width_equals_nfkc_for_full_width_ascii(spark: SparkSession) -> None:
    values = [chr(point) for point in range(0xFF01, 0xFF5F)] + ["ａ\u3000ｂ", "\u3000ａ\u00a0"]
    expected = [unicodedata.normalize("NFKC", value).strip() for value in values]
    assert apply(spark, "half_width", values) == expected


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("half_width", {"\ufeff\u00a0 甲 乙 \u200b": "甲 乙", "①ｱ": "①ｱ", "": ""}),
        ("no_space", {" 9\u3000 1\u00a01\u200b0\t": "9110"}),
        ("single_space", {" 南山区 \u3000 深南\n大道\u200b1号 ": "南山区 深南 大道1号"}),
        ("upper", {"abC深": "ABC深"}),
        ("phone", {"+86 138-1234-5678 转12": "13812345678", "０８５１-12345678／13800000000": "085112345678"}),
        ("digits", {"+86 138-１２３４ 5678转x": "8613812345678", "无": ""}),
        (
            "seconds_of_day",
            {
                "24:30:00": "88200",
                " 8:05:09 ": "29109",
                "00:00:00": "0",
                "100:00:01": "360001",
                "88200": "88200",
                "08:60:00": "08:60:00",
                "08:05": "08:05",
                "": "",
            },
        ),
        (
            "person_name",
            {
                "艾力•买买提": "艾力·买买提",
                "艾力 ． 买买提": "艾力·买买提",
                "艾力・买买提.阿不都热合曼": "艾力·买买提·阿不都热合曼",
                " 王\u3000": "王",
                "John Smith": "John Smith",
                "阿不都热依木江·吐尔逊买买提·阿不都克里木": "阿不都热依木江·吐尔逊买买提·阿不都克里木",
                "ئالىم\u200cجان": "ئالىم\u200cجان",
                "ᠮᠣᠩᠭᠣᠯ\u180eᠠ": "ᠮᠣᠩᠭᠣᠯ\u180eᠠ",
            },
        ),
        (
            "place_name",
            {
                "深圳北站": "深圳北",
                "深圳北": "深圳北",
                "深圳北 地铁站": "深圳北",
                "ｃｏｃｏ　Ｐａｒｋ公交站": "COCOPARK",
                "机场（Ｔ３）站": "机场(T3)",
                "机场【T3】": "机场(T3)",
                "站": "站",
                "地铁站": "地铁站",
                "站前路": "站前路",
                "?I岭": None,
                "孖\ufffd": None,
                "岭？": None,
                "-": None,
                "": None,
                "…（）": None,
            },
        ),
        (
            "organisation_name",
            {
                "贵阳（黔）Ａｂ 有限公司": "贵阳(黔)AB有限公司",
                "贵阳〔黔〕有限责任公司": "贵阳(黔)有限责任公司",
                "车站": "车站",
                "?": "?",
            },
        ),
        (
            "resident_id",
            {
                # The number shown in GB 11643-1999 itself, in both forms.
                "110105491231002": "11010519491231002X",
                "11010519491231002x": "11010519491231002X",
                "11010519491231002X": "11010519491231002X",
                "1101051949123100": "1101051949123100",
                "11010549123100x": "11010549123100x",
                " 110105491231002": " 110105491231002",
                "110105491231002\n": "110105491231002\n",
                "１１０１０５４９１２３１００２": "１１０１０５４９１２３１００２",
                "": "",
            },
        ),
    ],
)
def test_values(spark: SparkSession, name: str, cases: dict[str, str | None]) -> None:
    assert apply(spark, name, cases) == list(cases.values())


def test_resident_id_upgrade_has_the_standard_check_digit(spark: SparkSession) -> None:
    seed = random.Random(15)
    old = ["".join(seed.choices(string.digits, k=15)) for _ in range(500)]
    full = [f"{value[:6]}19{value[6:]}" for value in old]
    expected = [value + ric.calc_check_digit(value + "0") for value in full]
    assert apply(spark, "resident_id", old) == expected


def mutated(seed: random.Random, value: str) -> str:
    """One slip of the kinds seen in feeds: a changed, swapped, lost or doubled character."""
    at = seed.randrange(len(value) - 1)
    alphabet = string.digits + string.ascii_uppercase + "０x \n\u3000'"
    kinds = [
        value[:at] + seed.choice(alphabet) + value[at + 1 :],
        value[:at] + seed.choice(string.digits) + value[at + 1 :],
        value[:at] + value[at + 1] + value[at] + value[at + 2 :],
        value[:at] + value[at + 1 :],
        value[:at] + value[at] + value[at:],
        value[:-1] + seed.choice("0123456789X"),
    ]
    return seed.choice(kinds)


JUNK = [value for value in NASTY if value is not None]


def random_uscc(seed: random.Random) -> str:
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = "".join(seed.choices(string.digits, k=8) + seed.choices(letters, k=9))
    return body + uscc.calc_check_digit(body)


def test_uscc_equals_stdnum(spark: SparkSession) -> None:
    seed = random.Random(32100)
    valid = [random_uscc(seed) for _ in range(1000)]
    slips = [mutated(seed, value) for value in valid]
    # stdnum refuses letters in the first two places, which the standard allows: the next test.
    values = [*valid, *(slip for slip in slips if slip[:2].isdigit()), *JUNK]
    # stdnum forgives case and separators; here those are the normalisers' work.
    expected = [uscc.is_valid(value) and uscc.compact(value) == value for value in values]
    assert judge(spark, "uscc", values) == expected
    assert len(values) > 1900
    assert 1000 <= sum(expected) < 1200


def test_uscc_takes_letters_for_the_authority_but_not_in_the_region(spark: SparkSession) -> None:
    bodies = ["N2520115MF0123456", "YA110000600037341", "A1110000600037341", "9111A000600037341"]
    values = [body + uscc.calc_check_digit(body) for body in bodies]
    assert judge(spark, "uscc", values) == [True, True, True, False]


def is_resident_id(value: str) -> bool:
    """GB 11643-1999 without the region, on Python's own calendar."""
    digits_first = value[:17].isascii() and value[:17].isdigit()
    if len(value) != 18 or not digits_first or value[17] not in "0123456789X":
        return False
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    return ric.calc_check_digit(value) == value[17]


def random_resident_id(seed: random.Random, born: str) -> str:
    body = f"{seed.randrange(10**6):06}{born}{seed.randrange(1000):03}"
    return body + ric.calc_check_digit(body + "0")


def test_resident_id_equals_an_independent_computation(spark: SparkSession) -> None:
    seed = random.Random(11643)
    days = [date.fromordinal(seed.randrange(680_000, 740_000)) for _ in range(1000)]
    valid = [random_resident_id(seed, f"{day:%Y%m%d}") for day in days]
    edges = ["20000229", "19000229", "20230229", "00000101", "00010101", "99991231", "20231301"]
    edges += ["20230431", "20230001", "20230100", "19910414"]
    checked = [random_resident_id(seed, born) for born in edges]
    values = [*valid, *(mutated(seed, value) for value in valid), *checked, *JUNK]
    expected = [is_resident_id(value) for value in values]
    assert judge(spark, "resident_id", values) == expected
    assert len(values) > 2000
    assert 1000 <= sum(expected) < 1200


def test_resident_id_does_not_ask_the_district(spark: SparkSession) -> None:
    """Longhua (440309) was made in 2016; people born before that carry its code (fusion.md B2)."""
    value = random_resident_id(random.Random(1), "19900101")
    value = "440309" + value[6:17]
    assert judge(spark, "resident_id", [value + ric.calc_check_digit(value + "0")]) == [True]


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_a_check_of_null_is_null(spark: SparkSession, check: str) -> None:
    assert judge(spark, check, [None]) == [None]
