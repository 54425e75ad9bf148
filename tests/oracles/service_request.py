"""Requests counted again from std, and what a published figure may not tell."""

from ronghe.home import Home
from tests.oracles import ACCEPTED, database, differences, suppressed_faults

# How an outsider attributes a request to a published cell: the finest one shown that covers it.
_CELLS = f"""
    CREATE TEMP TABLE cell AS
    WITH state AS (
        SELECT s.*, row_number() OVER (PARTITION BY source_code, request_number
                                       ORDER BY updated_at, delivery_id, record_number) AS nth,
               count(*) OVER (PARTITION BY source_code, request_number) AS states
        FROM std_service_request s WHERE {ACCEPTED}),
    request AS (
        SELECT source_code, request_number, min(received_date) FILTER (nth = 1) AS received_date,
               min(requester_token) FILTER (nth = 1) AS person, min(division_code) FILTER (nth = states) AS county,
               min(request_topic_code) FILTER (nth = states) AS topic,
               min(date_diff('millisecond', received_at, answered_at)) FILTER (nth = states) / 3600000.0 AS hours
        FROM state GROUP BY ALL)
    SELECT r.*, left(county, 4) || '00' AS city,
           CASE WHEN a.grain_code IS NOT NULL THEN 0 WHEN b.grain_code IS NOT NULL THEN 1
                WHEN c.grain_code IS NOT NULL THEN 2 ELSE 3 END AS rung
    FROM request r
    LEFT JOIN mart_service_request a ON a.grain_code = 'county' AND a.source_code = r.source_code
         AND a.division_code = r.county AND a.request_topic_code = r.topic AND a.received_date = r.received_date
    LEFT JOIN mart_service_request b ON b.grain_code = 'city' AND b.source_code = r.source_code
         AND b.division_code = left(r.county, 4) || '00' AND b.request_topic_code = r.topic
         AND b.received_date = r.received_date
    LEFT JOIN mart_service_request c ON c.grain_code = 'all_topics' AND c.source_code = r.source_code
         AND c.division_code = left(r.county, 4) || '00' AND c.received_date = r.received_date"""
# A figure about the answered is told only where those answered and those not are ten or more, or none.
_RECOUNT = """
    CREATE TEMP TABLE recount AS
    SELECT source_code, [county, city, city][rung + 1] AS division_code, received_date,
           CASE WHEN rung < 2 THEN topic END AS request_topic_code,
           ['county', 'city', 'all_topics'][rung + 1] AS grain_code, count(*) AS request_count,
           count(DISTINCT person) AS persons, count(DISTINCT person) FILTER (hours IS NOT NULL) AS helped,
           count(DISTINCT person) FILTER (hours IS NULL) AS waiting, avg(hours) AS mean_hours,
           CASE WHEN (count(hours) = 0 OR helped >= 10) AND (count(hours) = count(*) OR waiting >= 10)
                THEN count(hours) END AS answered_count
    FROM cell WHERE rung < 3 GROUP BY ALL"""
_COLUMNS = "source_code, division_code, received_date, request_topic_code, grain_code, request_count, answered_count"
# Hours are kept with two decimals.
_WRONG_HOURS = """
    SELECT r.division_code, r.received_date, r.request_topic_code FROM recount r JOIN mart_service_request m
      ON m.source_code = r.source_code AND m.division_code = r.division_code AND m.received_date = r.received_date
     AND m.request_topic_code IS NOT DISTINCT FROM r.request_topic_code AND m.grain_code = r.grain_code
    WHERE (m.mean_hours_to_answer IS NULL) <> (r.helped < 10)
       OR abs(m.mean_hours_to_answer::DOUBLE - r.mean_hours) > 0.0051"""


def service_request_faults(home: Home) -> list[str]:
    """Every cell of the mart equals a recount of the requests it covers, none is small, none is shown in part."""
    tables = database(home, "std.service_request", "mart.service_request", "meta.gate_audit", "meta.delivery")
    tables.execute("SET TimeZone = 'UTC'")
    tables.execute(_CELLS)
    tables.execute(_RECOUNT)
    faults = differences(tables, f"SELECT {_COLUMNS} FROM recount", f"SELECT {_COLUMNS} FROM mart_service_request")
    faults += [f"mart.service_request: wrong hours of {row}" for row in tables.sql(_WRONG_HOURS).fetchall()]
    faults += suppressed_faults(tables, "mart.service_request", 3)
    small = tables.sql("SELECT persons FROM recount WHERE persons < 10").fetchall()
    faults += [f"mart.service_request: a cell of {n} requesters" for (n,) in small]
    keys = ("county, topic, received_date", "city, topic, received_date", "city, received_date")
    for rung, key in enumerate(keys):
        in_part = f"SELECT 1 FROM cell GROUP BY {key} HAVING min(rung) <= {rung} AND max(rung) > {rung}"
        if tables.sql(in_part).limit(1).fetchall():
            faults.append(f"mart.service_request: a key ({key}) is shown in part")
    return faults
