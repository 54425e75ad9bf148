"""The education mart, recounted from std."""

import duckdb

from ronghe.home import Home
from tests.oracles import database

# How an outsider attributes a school to a published cell: the finest one shown that covers it.
_CELLS = """
    CREATE TEMP TABLE cell AS
    WITH standing AS (
        SELECT * FROM std_school
        WHERE delivery_id IN (SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted')
        QUALIFY row_number() OVER (PARTITION BY source_code, school_code, term_code
                                   ORDER BY snapshot_date DESC, delivery_id DESC, record_number DESC) = 1),
    today AS (
        SELECT division_code, current_code FROM fused_division
        QUALIFY row_number() OVER (PARTITION BY division_code ORDER BY coalesce(valid_to_year, 9999) DESC,
                                   coalesce(valid_from_year, 0) DESC) = 1),
    school AS (
        SELECT s.source_code, s.term_code, s.school_kind_code, s.pupil_count, s.teacher_count,
               coalesce(t.current_code, s.division_code) AS county, left(county, 4) || '00' AS city,
               left(county, 2) || '0000' AS province
        FROM standing s LEFT JOIN today t USING (division_code))
    SELECT s.*, CASE WHEN q.grain_code IS NOT NULL THEN 0 WHEN c.grain_code IS NOT NULL THEN 1
                     WHEN p.grain_code IS NOT NULL THEN 2 ELSE 3 END AS rung
    FROM school s
    LEFT JOIN mart_education q ON q.grain_code = 'county' AND q.division_code = s.county
         AND q.source_code = s.source_code AND q.term_code = s.term_code AND q.school_kind_code = s.school_kind_code
    LEFT JOIN mart_education c ON c.grain_code = 'city' AND c.division_code = s.city
         AND c.source_code = s.source_code AND c.term_code = s.term_code AND c.school_kind_code = s.school_kind_code
    LEFT JOIN mart_education p ON p.grain_code = 'province' AND p.division_code = s.province
         AND p.source_code = s.source_code AND p.term_code = s.term_code AND p.school_kind_code = s.school_kind_code"""
_RECOUNT = """
    SELECT source_code, [county, city, province][rung + 1] AS division_code, term_code, school_kind_code,
           ['county', 'city', 'province'][rung + 1] AS grain_code, count(*) AS school_count,
           sum(pupil_count)::BIGINT AS pupil_count, sum(teacher_count)::BIGINT AS teacher_count,
           round(sum(pupil_count) / sum(teacher_count), 9) AS pupils_per_teacher
    FROM cell WHERE rung < 3 GROUP BY 1, 2, 3, 4, 5"""
_SHOWN = """
    SELECT source_code, division_code, term_code, school_kind_code, grain_code, school_count, pupil_count,
           teacher_count, round(pupils_per_teacher, 9) FROM mart_education"""
_KEYS = ("county", "city", "province")


def _cells(home: Home) -> duckdb.DuckDBPyConnection:
    tables = database(home, "std.school", "fused.division", "mart.education", "meta.delivery", "meta.gate_audit")
    tables.execute(_CELLS)
    return tables


def education_faults(home: Home) -> list[str]:
    """Every cell equals a recount of the schools it covers, none is small, and no key is shown in part."""
    tables = _cells(home)
    faults = [] if tables.sql(_SHOWN).limit(1).fetchall() else ["mart.education is empty"]
    faults += [f"recounted only: {row}" for row in tables.sql(f"({_RECOUNT}) EXCEPT ALL ({_SHOWN})").fetchall()]
    faults += [f"shown only: {row}" for row in tables.sql(f"({_SHOWN}) EXCEPT ALL ({_RECOUNT})").fetchall()]
    small = tables.sql(f"SELECT * FROM ({_RECOUNT}) WHERE least(pupil_count, teacher_count) < 10").fetchall()
    faults += [f"counts fewer than 10: {row}" for row in small]
    for rung, division in enumerate(_KEYS):
        key = f"source_code, term_code, school_kind_code, {division}"
        in_part = f"SELECT {key} FROM cell GROUP BY {key} HAVING min(rung) <= {rung} AND max(rung) > {rung}"
        faults += [f"shown in part: {row}" for row in tables.sql(in_part).fetchall()]
    return faults + _suppressed(tables)


def _suppressed(tables: duckdb.DuckDBPyConnection) -> list[str]:
    """Compare the schools no cell covers, twice (pupils and teachers), with the newest audit of each term."""
    newest = """
        SELECT coalesce(sum(record_count), 0) FROM meta_gate_audit
        WHERE table_name = 'mart.education' AND grain_code = 'suppressed'"""
    audited = tables.sql(newest).fetchall()[0][0]
    counted = 2 * tables.sql("SELECT count(*) FROM cell WHERE rung = 3").fetchall()[0][0]
    return [] if audited == counted else [f"mart.education: {counted} groups suppressed, the audit says {audited}"]
