"""Free text crosses to the open half treated, each distinct text analysed once, and not again the next night."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import desensitise_fused
from ronghe.contracts import Catalogue, ContractError, Table, Treatment, catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.privacy.text import columns
from ronghe.privacy.text.columns import MEMORY, RememberedTexts, treatment_version
from ronghe.privacy.treatments import desensitise

pytestmark = pytest.mark.spark

TEXT = "市民王小明反映南山区科苑路12号漏水，电话１３８－１２３４－５６７８"
SAFE = "市民<姓名>反映南山区<地址>漏水，电话<手机号>"


def analyse(**other: object) -> Treatment:
    return Treatment.model_validate({"operator": "analyze", "params": {"policy": "text"}, **other})


def tables(treatment: Treatment) -> tuple[Table, Table]:
    """fused.organisation with its address as free text, and its safe counterpart."""
    found = catalogue()
    origin = found.table("fused.organisation")
    own = [c.model_copy(update={"treatment": treatment}) if c.name == "address" else c for c in origin.columns]
    return origin.model_copy(update={"columns": tuple(own)}), found.table("safe.organisation")


def declared(origin: Table, target: Table) -> Catalogue:
    found = catalogue()
    return Catalogue(
        tables={t.id: t for t in (origin, target, found.table(MEMORY))},
        codesets=found.codesets,
        policies=found.policies,
    )


def rows(spark: SparkSession, origin: Table, texts: list[str | None], is_sole_trader: bool = False):  # type: ignore[no-untyped-def]
    made = [
        {
            "organisation_id": f"org_{n}",
            "uscc": f"91520115AA{n:06d}BH",
            "organisation_name": "样例公司",
            "division_code": "520114",
            "organisation_kind_code": "limited_company",
            "is_sole_trader": is_sole_trader,
            "address": text,
            "source_count": 1,
            "record_count": 1,
        }
        for n, text in enumerate(texts)
    ]
    return spark.createDataFrame([tuple(r.get(c) for c in origin.column_names) for r in made], schema_ddl(origin))


def test_a_column_of_free_text_crosses_treated(spark: SparkSession) -> None:
    origin, target = tables(analyse())
    frame = rows(spark, origin, [TEXT, None, "", TEXT, "路灯坏了"])
    shown = desensitise(frame, origin, target).orderBy("organisation_id").collect()
    assert tuple(shown[0].asDict()) == target.column_names
    assert [row["address"] for row in shown] == [SAFE, None, "", SAFE, "路灯坏了"]


def test_the_other_rows_have_their_own_treatment(spark: SparkSession) -> None:
    origin, target = tables(analyse(when="is_sole_trader", otherwise="redact"))
    for is_sole_trader, expected in ((True, SAFE), (False, "")):
        (row,) = desensitise(rows(spark, origin, [TEXT], is_sole_trader), origin, target).collect()
        assert row["address"] == expected


def test_a_treatment_names_its_policy() -> None:
    for wrong in ({"operator": "analyze"}, {"operator": "redact", "params": {"policy": "text"}}):
        with pytest.raises(ValueError, match="policy"):
            Treatment.model_validate(wrong)
    with pytest.raises(ContractError, match="no policy for text 'other'"):
        catalogue().policy("other")


def test_a_text_is_analysed_in_one_night_only(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, target = tables(analyse())
    found, home = declared(origin, target), Home(tmp_path).make()
    lake = Lake(home, found, spark)
    analysed: list[int] = []
    original = columns.analysed

    def counting(texts, policy):  # type: ignore[no-untyped-def]
        analysed.append(texts.count())
        return original(texts, policy)

    monkeypatch.setattr(columns, "analysed", counting)
    nights = [[TEXT, TEXT, None], [TEXT, "李红投诉", None], [TEXT, "李红投诉"]]
    for night, texts in enumerate(nights):
        lake.replace(origin.id, rows(spark, origin, texts), f"night {night}")
        desensitise_fused.run(JobContext(home, found, spark, lake))
        shown = lake.rows(target.id, ["organisation_id", "address"]).sort_by("organisation_id")["address"].to_pylist()
        expected = {TEXT: SAFE, "李红投诉": "<姓名>投诉", None: None}
        assert shown == [expected[text] for text in texts]
    assert analysed == [1, 1]


def test_what_is_remembered_holds_no_original_and_says_how_much_was_taken(spark: SparkSession, tmp_path: Path) -> None:
    origin, target = tables(analyse())
    lake = Lake(Home(tmp_path).make(), declared(origin, target), spark)
    RememberedTexts(lake).treat(rows(spark, origin, [TEXT]), ["address"], "text", "_treated")
    (row,) = lake.rows(MEMORY).to_pylist()
    assert row["treated_text"] == SAFE
    assert json.loads(row["entity_counts"]) == {"CN_ADDRESS": 1, "CN_MOBILE": 1, "PERSON": 1}
    assert len(row["text_digest"]) == 64
    assert not any("王小明" in str(value) for value in row.values())


def test_another_policy_is_another_version() -> None:
    policy = catalogue().policy("text")
    assert treatment_version(policy) != treatment_version(policy.model_copy(update={"threshold": 0.9}))


def test_another_analyser_analyses_again(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = catalogue().policy("text")
    before = treatment_version(policy)
    columns._code.cache_clear()
    monkeypatch.setattr(columns, "version_of", lambda name: "0" if name == "presidio-analyzer" else version(name))
    after = treatment_version(policy)
    columns._code.cache_clear()
    assert after != before
