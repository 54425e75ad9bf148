"""A day's figures of air and water once more, from std and with the standards' limits as they are printed."""

from ronghe.home import Home
from tests.oracles import ACCEPTED, database

# GB 3095-2012 table 1, class 2, and GB 3838-2002 table 1, class III: unit, least, most, readings needed and full day.
_PRINTED = """
    ('pm2_5', 'ug/m3', NULL, 75, 20, 24), ('pm10', 'ug/m3', NULL, 150, 20, 24), ('so2', 'ug/m3', NULL, 150, 20, 24),
    ('no2', 'ug/m3', NULL, 80, 20, 24), ('co', 'mg/m3', NULL, 4, 20, 24), ('o3', 'ug/m3', NULL, 160, 14, 24),
    ('ph', '[pH]', 6, 9, 4, 6), ('dissolved_oxygen', 'mg/L', 5, NULL, 4, 6),
    ('permanganate_index', 'mg/L', NULL, 6, 4, 6),
    ('ammonia_nitrogen', 'mg/L', NULL, 1.0, 4, 6), ('total_phosphorus', 'mg/L', NULL, 0.2, 4, 6)"""
_RECOUNT = f"""
    CREATE TEMP TABLE wanted AS
    WITH printed(indicator_code, unit_code, least, most, needed, full_day) AS (VALUES {_PRINTED}),
    reading AS (
        SELECT r.*, l.place_id, (measured_at::TIMESTAMP + INTERVAL 8 HOUR) AS beijing,
               CASE WHEN reading_flag_code IN ('valid', 'below_detection') THEN reading_value::DOUBLE END AS v
        FROM std_environment_reading r
        JOIN fused_link_place_source l ON l.source_code = r.source_code AND l.place_kind_code = r.place_kind_code
         AND l.place_code = r.place_code AND l.place_name = r.place_name
        WHERE {ACCEPTED}),
    hourly AS (
        SELECT source_code, place_id, indicator_code, beijing::DATE AS reading_date, hour(beijing) AS h, v
        FROM reading),
    eight AS (
        SELECT source_code, place_id, indicator_code, reading_date, s.start, avg(v) AS mean
        FROM hourly, range(0, 17) s(start)
        WHERE indicator_code = 'o3' AND v IS NOT NULL AND h BETWEEN s.start AND s.start + 7
        GROUP BY ALL HAVING count(*) >= 6),
    ozone AS (SELECT source_code, place_id, indicator_code, reading_date, max(mean) AS peak, count(*) AS windows
              FROM eight GROUP BY ALL),
    day AS (
        SELECT source_code, place_id, indicator_code, reading_date, avg(v) AS mean, max(v) AS top, count(*) AS n,
               count(v) AS good
        FROM hourly GROUP BY ALL)
    SELECT d.*, p.unit_code, p.least, p.most, round(d.good / p.full_day, 2) AS share,
           CASE WHEN indicator_code = 'o3' THEN CASE WHEN o.windows >= p.needed OR o.peak > p.most THEN o.peak END
                WHEN d.good >= p.needed THEN d.mean END AS judged
    FROM day d JOIN printed p USING (indicator_code)
    LEFT JOIN ozone o USING (source_code, place_id, indicator_code, reading_date)"""
_KEYS = "source_code, place_id, indicator_code, reading_date"
# Values are kept with four decimals; what lies that close to a limit may be told either way.
_WRONG = f"""
    SELECT {_KEYS} FROM wanted w FULL JOIN mart_ecology m USING ({_KEYS})
    WHERE w.n IS NULL OR m.reading_count IS NULL OR w.n <> m.reading_count OR w.good <> m.valid_count
       OR w.unit_code <> m.unit_code OR abs(w.share - m.valid_share::DOUBLE) > 0.006
       OR w.mean IS NULL <> (m.mean_value IS NULL) OR abs(w.mean - m.mean_value::DOUBLE) > 0.0002
       OR abs(w.top - m.maximum_value::DOUBLE) > 0.0002
       OR w.judged IS NULL <> (m.assessed_value IS NULL) OR abs(w.judged - m.assessed_value::DOUBLE) > 0.0002
       OR w.least IS DISTINCT FROM m.lower_limit::DOUBLE OR w.most IS DISTINCT FROM m.upper_limit::DOUBLE
       OR w.judged IS NULL <> (m.is_exceeded IS NULL)
       OR (m.is_exceeded <> (w.judged > coalesce(w.most, 1e9) OR w.judged < coalesce(w.least, -1))
           AND least(abs(w.judged - coalesce(w.most, 1e9)), abs(w.judged - coalesce(w.least, -1))) > 0.0002)"""


def ecology_faults(home: Home) -> list[str]:
    """Every figure equals the recount, both ways; some days exceed a limit, some do not, some are not judged."""
    tables = database(home, "std.environment_reading", "fused.link_place_source", "mart.ecology", "meta.delivery")
    tables.execute("SET TimeZone = 'UTC'")
    tables.execute(_RECOUNT)
    faults = [f"mart.ecology: wrong or missing {row}" for row in tables.sql(_WRONG).fetchall()]
    verdicts = {row[0] for row in tables.sql("SELECT DISTINCT is_exceeded FROM mart_ecology").fetchall()}
    return faults if verdicts >= {True, False} else [*faults, f"mart.ecology: its verdicts are only {verdicts}"]
