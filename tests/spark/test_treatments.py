"""Each compiled treatment equals the Presidio operator it stands for; nothing personal crosses under the contracts."""

from contextlib import nullcontext
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from presidio_anonymizer.operators import OperatorsFactory, OperatorType
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import desensitise_fused
from ronghe.contracts import Catalogue, ContractError, Table, Treatment, catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.privacy.treatments import EXPRESSIONS, desensitise, expression
from ronghe.standardise.normalisers import NORMALISERS

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("compiled")]

TEXTS = [
    "",
    " ",
    "a",
    "13800000002",
    "北京市朝阳区",
    "𠮷野家",  # U+20BB7, two UTF-16 units
    "野𠮷",
    "👨‍👩‍👧 家",  # one sign to the eye, five characters joined
    "１３８ＡＢ",
    "阿依夏木·买买提",
    "ئۇيغۇر",
    "e\u0301",  # a letter and its combining accent
    "two\nlines",
    "'\"\\$1%_",
    "\x00",
]
SALT = "sixteen bytes or more"


def mask(count: int, from_end: bool, sign: str = "*") -> dict[str, Any]:
    return {"masking_char": sign, "chars_to_mask": count, "from_end": from_end}


CASES = {
    "keep": ("keep", {}),
    "redact": ("redact", {}),
    "replace": ("replace", {"new_value": "<个体工商户>"}),
    "replace with a dollar": ("replace", {"new_value": "$1\\'"}),
    **{f"mask {n} from the end": ("mask", mask(n, True)) for n in (-2, 0, 1, 3, 8, 99)},
    **{f"mask {n} from the start": ("mask", mask(n, False)) for n in (-2, 0, 1, 3, 8, 99)},
    "mask with a sign outside the BMP": ("mask", mask(2, True, "𠮷")),
    "hash": ("hash", {"salt": SALT}),
    "hash sha256": ("hash", {"salt": SALT, "hash_type": "sha256"}),
    "hash sha512": ("hash", {"salt": SALT, "hash_type": "sha512"}),
    "hash with a Chinese salt": ("hash", {"salt": "盐盐盐盐盐盐"}),
}


def treatment(operator: str, params: dict[str, Any] | None = None, **other: Any) -> Treatment:
    return Treatment.model_validate({"operator": operator, "params": params or {}, **other})


def presidio(operator: str, params: dict[str, Any]) -> list[str]:
    made = OperatorsFactory().create_operator_class(operator, OperatorType.Anonymize)
    made.validate(params)
    return [made.operate(text, params) for text in TEXTS]


@pytest.fixture(scope="module")
def treated(spark: SparkSession) -> dict[str, list[str | None]]:
    """Every text, and last a null, under every case."""
    frame = spark.createDataFrame(list(enumerate([*TEXTS, None])), "position int, text string")
    columns = [expression(treatment(*case), F.col("text")).alias(name) for name, case in CASES.items()]
    rows = frame.select("position", *columns).orderBy("position").collect()
    return {name: [row[name] for row in rows] for name in CASES}


# Against Presidio --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_treatment_equals_presidios_operator(treated: dict[str, list[str | None]], name: str) -> None:
    assert treated[name][:-1] == presidio(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_null_stays_null(treated: dict[str, list[str | None]], name: str) -> None:
    assert treated[name][-1] is None


def test_cases_cover_every_treatment() -> None:
    assert {operator for operator, _ in CASES.values()} == set(EXPRESSIONS)


def test_mask_counts_characters_outside_the_bmp_once(treated: dict[str, list[str | None]]) -> None:
    assert treated["mask 1 from the end"][TEXTS.index("野𠮷")] == "野*"
    assert treated["mask 1 from the start"][TEXTS.index("𠮷野家")] == "*野家"


# What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "params"),
    [
        pytest.param("mask", {}, id="mask without parameters"),
        pytest.param("mask", mask(3, True, "**"), id="two masking characters"),
        pytest.param("mask", {**mask(3, True), "chars_to_mask": "3"}, id="a count that is text"),
        pytest.param("mask", {**mask(3, True), "from_end": "yes"}, id="an end that is text"),
        pytest.param("mask", {"masking_char": "*", "chars_to_mask": 3}, id="no end"),
        pytest.param("replace", {}, id="replace without a value"),
        pytest.param("replace", {"new_value": ""}, id="replace with nothing, for which Presidio writes <None>"),
        pytest.param("replace", {"new_value": 5}, id="replace with a number"),
        pytest.param("hash", {}, id="hash without a salt"),
        pytest.param("hash", {"hash_type": "sha256"}, id="hash with a type and no salt"),
        pytest.param("hash", {"salt": ""}, id="hash with an empty salt"),
        pytest.param("hash", {"salt": "short"}, id="hash with a salt that can be guessed"),
        pytest.param("hash", {"salt": SALT, "hash_type": "md5"}, id="hash of an unsafe kind"),
        pytest.param("drop", {}, id="drop"),
        pytest.param("count", {}, id="count"),
    ],
)
def test_treatment_is_refused(spark: SparkSession, operator: str, params: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=operator):
        expression(treatment(operator, params), F.col("text"))


@pytest.mark.parametrize("operator", ["drop", "count", "hash"])
def test_treatment_of_the_other_rows_is_refused_alike(spark: SparkSession, operator: str) -> None:
    declared = treatment("redact", when="is_person", otherwise={"operator": operator})
    with pytest.raises(ContractError, match=operator):
        expression(declared, F.col("text"))


# When and otherwise ------------------------------------------------------------------------------------------------


def by_flag(spark: SparkSession, declared: Treatment) -> dict[bool | None, str | None]:
    frame = spark.createDataFrame([("秘密", flag) for flag in (True, False, None)], "text string, is_person boolean")
    return {row[0]: row[1] for row in frame.select("is_person", expression(declared, F.col("text"))).collect()}


def test_each_row_has_the_treatment_of_its_kind(spark: SparkSession) -> None:
    declared = treatment(
        "replace", {"new_value": "<人>"}, when="is_person", otherwise={"operator": "mask", "params": mask(1, True)}
    )
    found = by_flag(spark, declared)
    assert (found[True], found[False]) == ("<人>", "秘*")


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(treatment("redact", when="is_person", otherwise="keep"), id="redact when"),
        pytest.param(treatment("keep", when="is_person", otherwise="redact"), id="keep when"),
    ],
)
def test_no_value_leaves_when_its_kind_is_unknown(spark: SparkSession, declared: Treatment) -> None:
    assert by_flag(spark, declared)[None] in (None, "")


# The contracts -----------------------------------------------------------------------------------------------------

PERSON = {
    "uscc": "92520115AA000002BH",
    "organisation_name": "阿依夏木·买买提小吃店",
    "legal_representative_name": "阿依夏木·买买提",
    "contact_phone": "13800000002",
    "address": "贵阳市样例路1号",
}


def organisation(**known: Any) -> dict[str, Any]:
    return {
        "organisation_id": "org_1",
        **PERSON,
        "organisation_kind_code": "sole_trader",
        "is_sole_trader": True,
        "founded_date": date(2011, 7, 5),
        "division_code": "520114",
        "source_count": 1,
        "record_count": 2,
        **known,
    }


def crossed(spark: SparkSession, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of fused.organisation as safe.organisation shows them."""
    origin, target = catalogue().table("fused.organisation"), catalogue().table("safe.organisation")
    frame = spark.createDataFrame([tuple(row.get(c) for c in origin.column_names) for row in rows], schema_ddl(origin))
    found = desensitise(frame, origin, target)
    assert tuple(found.columns) == target.column_names
    return [row.asDict() for row in found.collect()]


def test_nothing_of_a_sole_trader_crosses_that_tells_who_it_is(spark: SparkSession) -> None:
    (row,) = crossed(spark, organisation())
    assert not {value for value in PERSON.values() if any(value in str(shown) for shown in row.values())}
    assert (row["uscc"], row["organisation_name"]) == ("<个体工商户>", "<个体工商户>")
    assert (row["contact_phone"], row["address"], row["legal_representative_name"]) == ("", "", "")
    assert (row["organisation_id"], row["founded_date"], row["division_code"]) == ("org_1", date(2011, 7, 5), "520114")


def test_a_company_crosses_with_three_digits_of_its_phone_and_without_its_representative(spark: SparkSession) -> None:
    company = organisation(organisation_kind_code="limited_company", is_sole_trader=False)
    (row,) = crossed(spark, company)
    assert row["contact_phone"] == "138********"
    assert row["legal_representative_name"] == ""
    assert {name: row[name] for name in ("uscc", "organisation_name", "address")} == {
        name: PERSON[name] for name in ("uscc", "organisation_name", "address")
    }


def test_nothing_crosses_when_nobody_knows_whether_it_is_a_sole_trader(spark: SparkSession) -> None:
    (row,) = crossed(spark, organisation(is_sole_trader=None))
    assert not {value for value in PERSON.values() if any(value in str(shown) for shown in row.values())}
    assert not (row["contact_phone"] or "").startswith("138")


def test_what_is_missing_crosses_as_missing(spark: SparkSession) -> None:
    rows = crossed(
        spark,
        organisation(contact_phone=None, legal_representative_name=None, address=None),
        organisation(contact_phone=None, legal_representative_name=None, address=None, is_sole_trader=False),
    )
    for row in rows:
        assert [row[name] for name in ("contact_phone", "legal_representative_name", "address")] == [None] * 3


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param("13800000002", id="mobile"),
        pytest.param("0851-88000002", id="landline"),
        pytest.param("88000002", id="without an area code"),
        pytest.param("13800000002/13900000003", id="two numbers"),
        pytest.param("0851-88000002转8001", id="extension"),
        pytest.param("+86 138 0000 0002", id="with the code of the country"),
    ],
)
def test_a_company_phone_shows_its_first_digits_only_however_it_was_written(spark: SparkSession, cell: str) -> None:
    """From the register's cell over the feed's normalisers to the open half: no number can be called."""
    feed = catalogue().feed("guiyang.enterprise")
    column = next(c for c in feed.columns if c.to == "contact_phone")
    written: Column = reduce(lambda c, name: NORMALISERS[name](c), column.normalise, F.lit(cell))
    phone = spark.range(1).select(written).collect()[0][0]
    (row,) = crossed(spark, organisation(is_sole_trader=False, contact_phone=phone))
    assert sum(sign.isdigit() for sign in row["contact_phone"] or "") <= 5


def tables_that_cross() -> list[Table]:
    return [table for table in catalogue().tables.values() if table.crosses]


@pytest.mark.parametrize("target", tables_that_cross(), ids=lambda table: table.id)
def test_every_treatment_of_the_contracts_compiles(spark: SparkSession, target: Table) -> None:
    origin = catalogue().table(str(target.crosses))
    frame: DataFrame = spark.createDataFrame([], schema_ddl(origin))
    assert desensitise(frame, origin, target).schema.names == list(target.column_names)


def test_a_treatment_taken_back_is_taken_back_in_the_open_half(spark: SparkSession, tmp_path: Path) -> None:
    """Strict, lax by mistake, strict again: the open half shows what is declared now, not what was written once."""
    found, home = catalogue(), Home(tmp_path).make()
    strict, target = found.table("fused.organisation"), found.table("safe.organisation")
    kept = [c.model_copy(update={"treatment": treatment("keep")}) for c in strict.columns]
    lax = strict.model_copy(update={"columns": tuple(kept)})
    company = organisation(organisation_kind_code="limited_company", is_sole_trader=False)
    rows = spark.createDataFrame([tuple(company.get(c) for c in strict.column_names)], schema_ddl(strict))
    shown = []
    for number, declared_then in enumerate((strict, lax, strict), 1):
        origin = declared_then.model_copy(update={"version": f"{number}.0.0"})  # each change is announced
        declared = Catalogue(tables={t.id: t for t in (origin, target)}, codesets=found.codesets)
        lake = Lake(home, declared, spark)
        lake.append(origin.id, rows, "once")
        desensitise_fused.run(JobContext(home, declared, spark, lake))
        shown += lake.rows(target.id, ["contact_phone"])["contact_phone"].to_pylist()
    assert shown == ["138********", "13800000002", "138********"]


def test_nothing_leaves_by_a_grade_that_fell_unannounced(spark: SparkSession, tmp_path: Path) -> None:
    """The table that is crossed from is written by another job, which may come later: the crossing asks by itself."""
    found, home = catalogue(), Home(tmp_path).make()
    strict, target = found.table("fused.organisation"), found.table("safe.organisation")
    opened = {"contact_phone": {"classification": "L1", "treatment": treatment("keep")}}
    fallen = [c.model_copy(update=opened.get(c.name, {})) for c in strict.columns]

    def lake_of(origin: Table) -> Lake:
        tables = {t.id: t for t in (origin, target)}
        return Lake(home, Catalogue(tables=tables, codesets=found.codesets), spark)

    company = organisation(organisation_kind_code="limited_company", is_sole_trader=False)
    rows = spark.createDataFrame([tuple(company.get(c) for c in strict.column_names)], schema_ddl(strict))
    lake_of(strict).append(strict.id, rows, "once")
    for origin, refused in ((strict, None), (strict.model_copy(update={"columns": tuple(fallen)}), r"to 2\.0\.0")):
        lake = lake_of(origin)
        with pytest.raises(ContractError, match=refused) if refused else nullcontext():
            desensitise_fused.run(JobContext(home, lake.catalogue, spark, lake))
    assert lake.rows(target.id, ["contact_phone"])["contact_phone"].to_pylist() == ["138********"]
