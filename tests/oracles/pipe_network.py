"""The pipe network mart, recounted from std and fused.asset; and fused.asset against the truth."""

from ronghe.contracts import catalogue
from ronghe.home import Home
from tests.oracles import database, truth

_TABLES = ("std.pipe_incident", "fused.asset", "fused.division", "mart.pipe_network", "meta.delivery")
_RECOUNT = """
    WITH state AS (
        SELECT i.*, timezone(z.zone, i.occurred_at::TIMESTAMPTZ)::DATE AS event_date,
               epoch(ended_at::TIMESTAMPTZ) - epoch(occurred_at::TIMESTAMPTZ) AS seconds
        FROM std_pipe_incident i JOIN zone z USING (source_code)
        WHERE delivery_id IN (SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted')),
    today AS (
        SELECT division_code, current_code FROM fused_division
        QUALIFY row_number() OVER (PARTITION BY division_code ORDER BY coalesce(valid_to_year, 9999) DESC,
                                   coalesce(valid_from_year, 0) DESC) = 1),
    incident AS (
        SELECT s.* REPLACE (coalesce(t.current_code, s.division_code) AS division_code)
        FROM (FROM state QUALIFY row_number() OVER (
                  PARTITION BY source_code, incident_code
                  ORDER BY published_date DESC, delivery_id DESC, record_number DESC) = 1) s
        LEFT JOIN today t USING (division_code)),
    network AS (
        SELECT source_code, coalesce(current_division_code, division_code) AS division_code, asset_kind_code,
               sum(length_m) / 1000 AS km
        FROM fused_asset GROUP BY ALL),
    cell AS (
        SELECT source_code, division_code, asset_kind_code, event_date
        FROM (SELECT DISTINCT source_code, event_date FROM state) JOIN network USING (source_code)
        UNION SELECT source_code, division_code, asset_kind_code, event_date FROM incident)
    SELECT c.source_code, c.division_code, c.asset_kind_code, c.event_date, count(i.incident_code) AS incident_count,
           count(*) FILTER (severity_code = 'minor') AS minor_count,
           count(*) FILTER (severity_code = 'major') AS major_count,
           count(*) FILTER (severity_code = 'serious') AS serious_count,
           count(*) FILTER (severity_code = 'extreme') AS extreme_count, count(i.ended_at) AS repaired_count,
           round(avg(i.seconds) / 3600, 6) AS mean_repair_hours,
           round(any_value(n.km), 5)::DOUBLE AS network_km,
           round(count(i.incident_code) * 100 / nullif(any_value(n.km), 0), 4) AS rate
    FROM cell c
    LEFT JOIN incident i USING (source_code, division_code, asset_kind_code, event_date)
    LEFT JOIN network n USING (source_code, division_code, asset_kind_code)
    GROUP BY 1, 2, 3, 4"""
_SHOWN = """
    SELECT source_code, division_code, asset_kind_code, event_date, incident_count, minor_count, major_count,
           serious_count, extreme_count, repaired_count, round(mean_repair_hours, 6), network_km::DOUBLE,
           round(incidents_per_100_km, 4) FROM mart_pipe_network"""


def pipe_network_faults(home: Home) -> list[str]:
    """Every row equals a recount of the standing incidents of its day over the length of its network."""
    tables = database(home, *_TABLES)
    tables.execute("SET TimeZone = 'UTC'")
    tables.execute("CREATE TEMP TABLE zone (source_code VARCHAR, zone VARCHAR)")
    zones = [(f.source_code, f.timezone) for f in catalogue().feeds.values() if f.target == "std.pipe_incident"]
    tables.executemany("INSERT INTO zone VALUES (?, ?)", zones)
    faults = [] if tables.sql(_SHOWN).limit(1).fetchall() else ["mart.pipe_network is empty"]
    faults += [f"recounted only: {row}" for row in tables.sql(f"({_RECOUNT}) EXCEPT ALL ({_SHOWN})").fetchall()]
    return faults + [f"shown only: {row}" for row in tables.sql(f"({_SHOWN}) EXCEPT ALL ({_RECOUNT})").fetchall()]


def asset_faults(home: Home) -> list[str]:
    """Every asset is a true one, in its newest accepted state, with the owner that some source knows."""
    columns = (
        *("asset_kind_code", "asset_code", "material_code", "diameter_mm", "length_m", "built_year"),
        *("division_code", "current_division_code", "owner_uscc"),
    )
    tables = database(home, "fused.asset", "fused.organisation")
    rows = tables.sql(
        "SELECT a.asset_kind_code, a.asset_code, material_code, diameter_mm, length_m::VARCHAR, built_year, "
        "a.division_code, a.current_division_code, o.uscc "
        "FROM fused_asset a LEFT JOIN fused_organisation o ON o.organisation_id = a.owner_organisation_id"
    ).fetchall()
    organisations = {row["uscc"] for row in truth(home, "organisations")}
    known = {
        tuple(row[name] if name != "owner_uscc" or row[name] in organisations else None for name in columns)
        for row in truth(home, "assets")
    }
    faults = [f"fused, but not true: {row}" for row in sorted(set(rows) - known, key=str)]
    return faults + [f"true, but not fused: {row}" for row in sorted(known - set(rows), key=str)]
