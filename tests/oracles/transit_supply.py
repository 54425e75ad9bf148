"""Transit supply, counted again from the timetable by other means."""

from ronghe.home import Home
from tests.oracles import database

_RECOUNT = """
    WITH stop AS (
        SELECT source_code, place_code AS stop_code, min(place_id) AS place_id FROM fused_link_place_source
        WHERE place_kind_code IN ('metro_station', 'bus_stop') AND place_code IS NOT NULL GROUP BY ALL),
    timed AS (
        SELECT t.* FROM std_stop_time t
        SEMI JOIN (SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted') USING (delivery_id)),
    going AS (
        SELECT * FROM timed t WHERE departure_seconds IS NOT NULL AND EXISTS (
            FROM timed later WHERE later.source_code = t.source_code AND later.feed_date = t.feed_date
            AND later.trip_code = t.trip_code AND later.stop_sequence > t.stop_sequence)),
    spaced AS (
        SELECT *, departure_seconds - lag(departure_seconds) OVER (
            PARTITION BY source_code, feed_date, stop_code ORDER BY departure_seconds, trip_code) AS gap
        FROM going)
    SELECT source_code, feed_date, place_id, (departure_seconds // 3600)::INT AS service_hour,
           count(*) AS departure_count, avg(gap) / 60 AS headway_minutes
    FROM spaced JOIN stop USING (source_code, stop_code) GROUP BY ALL"""


def transit_supply_faults(home: Home) -> list[str]:
    """Every cell of the mart equals a recount."""
    tables = database(home, "std.stop_time", "fused.link_place_source", "mart.transit_supply", "meta.delivery")
    faults = [
        f"transit supply: counted again and shown differ: {row}"
        for row in tables.sql(
            f"SELECT * FROM ({_RECOUNT}) a FULL JOIN mart_transit_supply b "
            "USING (source_code, feed_date, place_id, service_hour) "
            "WHERE a.departure_count IS DISTINCT FROM b.departure_count OR NOT "
            "(a.headway_minutes IS NOT DISTINCT FROM b.headway_minutes OR "
            "abs(a.headway_minutes - b.headway_minutes) < 1e-6)"
        )
        .limit(20)
        .fetchall()
    ]
    shown = tables.sql("SELECT count(*) FROM mart_transit_supply").fetchall()[0][0]
    return faults if shown else [*faults, "transit supply: the mart is empty"]
