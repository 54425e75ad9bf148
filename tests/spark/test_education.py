"""The education mart: what stands, where it is counted, and what is too small to show."""

from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs import build_education
from ronghe.job import JobContext
from ronghe.livelihood import education
from ronghe.privacy import gate
from tests.oracles.education import education_faults
from tests.spark.lakes import accept, put, put_divisions

pytestmark = pytest.mark.spark

DAY = date(2026, 11, 2)
FEED, TERM, LAST_TERM = "nanjing.school", "2026-2027-1", "2025-2026-2"


def school(code: str, pupils: int = 100, teachers: int = 20, **known: Any) -> dict[str, Any]:
    return {
        "source_code": "nanjing",
        "school_code": code,
        "term_code": TERM,
        "snapshot_date": DAY,
        "school_name": f"学校{code}",
        "school_kind_code": "primary_school",
        "division_code": "320104",
        "pupil_count": pupils,
        "teacher_count": teachers,
        "delivery_id": "d1",
        "record_number": 1,
        **known,
    }


@pytest.fixture
def ctx(ctx: JobContext) -> JobContext:
    put_divisions(ctx, "32")
    accept(ctx, FEED, "d1", "d2")
    return ctx


def shown(ctx: JobContext) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """(term, division, kind) -> schools, pupils, teachers, ratio."""
    return {
        (row["term_code"], row["division_code"], row["school_kind_code"]): (
            *(row["school_count"], row["pupil_count"], row["teacher_count"], row["pupils_per_teacher"]),
        )
        for row in ctx.lake.rows("mart.education").to_pylist()
    }


def test_newest_count_of_a_school_stands_in_its_division_of_today(ctx: JobContext) -> None:
    put(
        ctx,
        "std.school",
        school("1", 100, division_code="320103"),
        school("1", 110, 22, division_code="320103", snapshot_date=DAY + timedelta(7), delivery_id="d2"),
        school("2", 50, 10),
        school("3", 999, delivery_id="not accepted"),
        school("4", 300, 25, school_kind_code="kindergarten"),
        school("1", 90, term_code=LAST_TERM),
    )
    assert build_education.run(ctx) == 2
    assert shown(ctx) == {
        (TERM, "320104", "primary_school"): (2, 160, 32, 5.0),
        (TERM, "320104", "kindergarten"): (1, 300, 25, 12.0),
        (LAST_TERM, "320104", "primary_school"): (1, 90, 20, 4.5),
    }
    assert education_faults(ctx.home) == []


def test_cell_of_few_teachers_is_counted_with_another_above(ctx: JobContext) -> None:
    """Many pupils hide no teacher: the county of nine rises to the city and takes the smallest county along."""
    put(
        ctx,
        "std.school",
        school("1", 500, 9, division_code="320118"),
        school("2", 300, 30, division_code="320102"),
        school("3", 100, 12, division_code="320105"),
        school("4", 9, 500, school_kind_code="kindergarten"),
    )
    assert build_education.run(ctx) == 1
    assert shown(ctx) == {
        (TERM, "320100", "primary_school"): (2, 600, 21, 600 / 21),
        (TERM, "320102", "primary_school"): (1, 300, 30, 10.0),
    }
    trail = {
        r["grain_code"]: (r["cell_count"], r["record_count"]) for r in ctx.lake.rows("meta.gate_audit").to_pylist()
    }
    assert trail == {"county": (1, 2), "city": (1, 4), "province": (0, 0), "suppressed": (1, 2)}
    assert education_faults(ctx.home) == []


def test_term_is_built_again_when_a_delivery_of_it_came(ctx: JobContext) -> None:
    put(ctx, "std.school", school("1"), school("1", term_code=LAST_TERM))
    assert (build_education.run(ctx), build_education.run(ctx)) == (2, 0)
    put(ctx, "std.school", school("2", delivery_id="d2"))
    assert build_education.run(ctx) == 1
    assert shown(ctx)[TERM, "320104", "primary_school"] == (2, 200, 40, 5.0)


def test_recount_finds_what_is_wrong(ctx: JobContext) -> None:
    put(ctx, "std.school", school("1"), school("2", division_code="320102"))
    build_education.run(ctx)
    wrong = ctx.lake.read("mart.education").withColumn("pupil_count", F.col("pupil_count") + 1).localCheckpoint()
    ctx.lake.replace("mart.education", wrong, "wrong")
    assert len(education_faults(ctx.home)) == 4
    ctx.lake.replace("mart.education", wrong.where("false"), "empty")
    assert "mart.education is empty" in education_faults(ctx.home)


def test_contributions_carry_what_the_gate_reads(ctx: JobContext) -> None:
    put(ctx, "std.school", school("1"))
    found = education.contributions(ctx.lake.read("std.school"), ctx.lake.read("fused.division"))
    policy = gate.GatePolicy.model_validate(ctx.catalogue.table("mart.education").gate)
    assert set(found.columns) == set(policy.columns)
    assert {(row["role"], row["person_count"]) for row in found.collect()} == {("pupil", 100), ("teacher", 20)}


def test_every_kind_of_school_is_measured_in_pupils_and_teachers(ctx: JobContext) -> None:
    aspects = ctx.catalogue.table("mart.education").gate.aspects
    kinds = {code.code for code in ctx.catalogue.codeset("school_kind").codes}
    assert aspects.measured == dict.fromkeys(kinds, ("pupil", "teacher"))
