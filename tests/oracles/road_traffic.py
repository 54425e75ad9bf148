"""Road traffic, counted again from the records by other means."""

from ronghe.home import Home
from tests.oracles import database

_RECOUNT = """
    WITH site AS (
        SELECT source_code, place_code, min(place_id) AS place_id FROM fused_link_place_source
        WHERE place_kind_code = 'road_site' AND place_code IS NOT NULL GROUP BY ALL),
    accepted AS (SELECT DISTINCT delivery_id FROM meta_delivery WHERE event_code = 'accepted'),
    slot AS (
        SELECT r.source_code, traffic_date, place_id, direction_code, window_start_at,
               max(window_minutes) AS minutes, sum(vehicle_count) AS vehicles,
               sum(vehicle_count * mean_speed_kmh) AS way,
               sum(vehicle_count) FILTER (mean_speed_kmh IS NOT NULL) AS moving, avg(occupancy_pct) AS occupancy
        FROM std_road_count r SEMI JOIN accepted USING (delivery_id) JOIN site USING (source_code, place_code)
        GROUP BY ALL),
    day AS (
        SELECT source_code, traffic_date, place_id, direction_code,
               quantile_cont(way / moving, 0.85) FILTER (moving > 0) AS free
        FROM slot GROUP BY ALL)
    SELECT source_code, traffic_date, place_id, direction_code, date_trunc('hour', window_start_at) AS hour_start_at,
           sum(vehicles)::BIGINT AS vehicle_count,
           CASE WHEN sum(moving) > 0 THEN sum(way) / sum(moving) END AS mean_speed_kmh,
           sum(occupancy * minutes) / sum(minutes) FILTER (occupancy IS NOT NULL) AS occupancy_pct,
           least(1.0, sum(minutes) / 60.0) AS coverage_share, any_value(free) AS free_flow_speed_kmh,
           CASE WHEN sum(moving) > 0 THEN any_value(free) / (sum(way) / sum(moving)) END AS congestion_index
    FROM slot JOIN day USING (source_code, traffic_date, place_id, direction_code)
    GROUP BY ALL"""
_KEY = "source_code, traffic_date, place_id, direction_code, hour_start_at"
_FIGURES = (
    *("vehicle_count", "mean_speed_kmh", "occupancy_pct", "coverage_share", "free_flow_speed_kmh"),
    "congestion_index",
)


def road_traffic_faults(home: Home) -> list[str]:
    """Every cell of the mart equals a recount, no vehicle is lost, and the figures can be true."""
    tables = database(home, "std.road_count", "fused.link_place_source", "mart.road_traffic", "meta.delivery")
    tables.execute("SET TimeZone = 'UTC'")
    # Percentiles and means of doubles differ in their last digits between two engines.
    same = " AND ".join(
        f"(a.{name} IS NOT DISTINCT FROM b.{name} OR abs(a.{name} - b.{name}) < 1e-6)" for name in _FIGURES
    )
    faults = [
        f"road traffic: counted again and shown differ: {row}"
        for row in tables.sql(
            f"SELECT * FROM ({_RECOUNT}) a FULL JOIN mart_road_traffic b USING ({_KEY}) "
            f"WHERE NOT coalesce({same}, false)"
        )
        .limit(20)
        .fetchall()
    ]
    counted, shown = tables.sql(
        "SELECT (SELECT sum(vehicle_count) FROM std_road_count SEMI JOIN "
        "(SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted') USING (delivery_id)), "
        "(SELECT sum(vehicle_count) FROM mart_road_traffic)"
    ).fetchall()[0]
    if counted != shown or not shown:
        faults.append(f"road traffic: {counted} vehicles counted, {shown} shown")
    wrong = tables.sql(
        "SELECT count(*) FROM mart_road_traffic WHERE coverage_share NOT BETWEEN 0 AND 1 "
        "OR occupancy_pct NOT BETWEEN 0 AND 100 OR congestion_index <= 0 "
        "OR (vehicle_count = 0 AND mean_speed_kmh IS NOT NULL)"
    ).fetchall()[0][0]
    return [*faults, *([f"road traffic: {wrong} rows cannot be true"] if wrong else [])]
