"""Education: schools, pupils and teachers counted by division, term and kind of school.

A source counts a school's pupils before it delivers, so a row speaks for many persons: the gate weighs rows instead of
counting tokens. A pupil is enrolled in one school at a time and a school has one standing row per term, so rows are
disjoint groups, which is what the gate asks for. Teachers are persons like pupils: they are an aspect of their own, and
a cell needs enough of both.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.livelihood.divisions import in_current_divisions

MEASURES = {
    "school_count": "count_if(role = 'pupil')",
    "pupil_count": "sum(person_count) FILTER (WHERE role = 'pupil')",
    "teacher_count": "sum(person_count) FILTER (WHERE role = 'teacher')",
}


def contributions(schools: DataFrame, divisions: DataFrame) -> DataFrame:
    """Return the groups of persons behind each school's standing row of a term: the one counted last.

    Args:
        schools: accepted rows of `std.school`.
        divisions: `fused.division`.

    Returns:
        Two rows per school and term, `role` pupil and teacher: `source_code`, `school_kind_code`, `term_code`,
        `province_code`, `city_code`, `county_code` (as of today), `role`, `person_count`.
    """
    standing = schools.groupBy("source_code", "school_code", "term_code").agg(
        F.max_by(
            F.struct("division_code", "school_kind_code", "pupil_count", "teacher_count"),
            F.struct("snapshot_date", "delivery_id", "record_number"),
        ).alias("last")
    )
    current = in_current_divisions(standing.select("source_code", "term_code", "last.*"), divisions)
    groups = F.array(
        F.struct(F.lit("pupil").alias("role"), F.col("pupil_count").alias("person_count")),
        F.struct(F.lit("teacher").alias("role"), F.col("teacher_count").alias("person_count")),
    )
    return current.select(
        "source_code",
        "school_kind_code",
        "term_code",
        F.concat(F.substring("division_code", 1, 2), F.lit("0000")).alias("province_code"),
        F.concat(F.substring("division_code", 1, 4), F.lit("00")).alias("city_code"),
        F.col("division_code").alias("county_code"),
        F.inline(groups),
    )


def as_table(published: DataFrame) -> DataFrame:
    """Return published cells as the contract of `mart.education` says."""
    return published.withColumns(
        {
            "division_code": F.coalesce("county_code", "city_code", "province_code"),
            # The gate lets no cell without teachers through.
            "pupils_per_teacher": F.col("pupil_count") / F.col("teacher_count"),
        }
    )
