"""Events, service items and requests against the truth and std."""

from math import asin, cos, radians, sin, sqrt

from ronghe.home import Home
from tests.oracles import ACCEPTED, database, truth

_RADIUS_METRES, _EARTH_METRES = 300.0, 6_371_008.8
_EVENT_TABLES = (
    *("std.incident", "std.pipe_incident", "fused.event", "fused.place", "fused.link_place_source", "fused.asset"),
    *("safe.event", "meta.delivery"),
)
# The asset of an incident of a network is the one its newest state names, if there is such an asset.
_ASSETS = f"""
    WITH newest AS (
        SELECT source_code, incident_code,
               arg_max(asset_kind_code, (published_date, delivery_id, record_number)) AS asset_kind_code,
               arg_max(asset_code, (published_date, delivery_id, record_number)) AS asset_code
        FROM std_pipe_incident WHERE {ACCEPTED} GROUP BY 1, 2)
    SELECT e.incident_code FROM fused_event e LEFT JOIN newest n USING (source_code, incident_code)
    LEFT JOIN fused_asset a ON a.source_code = n.source_code AND a.asset_kind_code = n.asset_kind_code
     AND a.asset_code = n.asset_code
    WHERE e.asset_id IS DISTINCT FROM a.asset_id"""


def event_faults(home: Home) -> list[str]:
    """Each accepted incident is one event, keyed to the place the truth says, which lies in reach if both are known."""
    tables = database(home, *_EVENT_TABLES)
    wanted = {
        row
        for name in ("std_incident", "std_pipe_incident")
        for row in tables.sql(f"SELECT DISTINCT source_code, incident_code FROM {name} WHERE {ACCEPTED}").fetchall()
    }
    rows = tables.sql(
        "SELECT e.source_code, e.incident_code, e.place_id, e.longitude, e.latitude, p.longitude, p.latitude "
        "FROM fused_event e LEFT JOIN fused_place p USING (place_id)"
    ).fetchall()
    codes = {
        place: set(found)
        for place, found in tables.sql(
            "SELECT place_id, list(DISTINCT place_code) FROM fused_link_place_source GROUP BY 1"
        ).fetchall()
    }
    known = {fact["incident_code"]: fact["place_codes"] for fact in truth(home, "incidents")}
    found = [(row[0], row[1]) for row in rows]
    faults = [f"fused.event: {key} is missing" for key in wanted - set(found)]
    faults += [f"fused.event: {key} is there twice" for key in set(found) if found.count(key) > 1]
    for _, code, place, *positions in rows:
        if code in known and bool(known[code]) != bool(place and codes[place] & set(known[code] or ())):
            faults.append(f"fused.event: {code} should be at {known[code]}, is at {place}")
        if place and None not in positions and _metres(*positions) > _RADIUS_METRES + 1:
            faults.append(f"fused.event: {code} is {_metres(*positions):.0f} m from its place")
    faults += [f"fused.event: {code} is not keyed to its asset" for (code,) in tables.sql(_ASSETS).fetchall()]
    events = tables.sql("SELECT count(*) FROM safe_event").fetchall()[0][0]
    return faults if events == len(rows) > 0 else [*faults, f"safe.event has {events} rows, fused.event {len(rows)}"]


def _metres(east: float, north: float, other_east: float, other_north: float) -> float:
    """Return the distance on a sphere (haversine)."""
    x, y, u, v = map(radians, (east, north, other_east, other_north))
    return 2 * _EARTH_METRES * asin(sqrt(sin((v - y) / 2) ** 2 + cos(y) * cos(v) * sin((u - x) / 2) ** 2))


def service_item_faults(home: Home) -> list[str]:
    """Each item that the truth knows is one row, counted once for each city that lists it, in its newest state."""
    tables = database(home, "std.service_item", "fused.service_item", "meta.delivery")
    found = dict(tables.sql("SELECT item_code, source_count FROM fused_service_item").fetchall())
    known = {fact["item_code"]: len(fact["sources"]) for fact in truth(home, "service_items")}
    faults = [f"fused.service_item: {c}: {found.get(c)} sources, true are {known.get(c)}" for c in found.keys() ^ known]
    faults += [
        f"fused.service_item: {c}: {found[c]} sources, true are {n}" for c, n in known.items() if found.get(c, n) != n
    ]
    stale = tables.sql(
        f"""
        SELECT f.item_code FROM fused_service_item f JOIN (
            SELECT item_code, arg_max(item_status_code, newest) AS status, arg_max(owner_name, newest) AS owner
            FROM (SELECT *, (snapshot_date, source_code, delivery_id, record_number) AS newest FROM std_service_item)
            WHERE {ACCEPTED} GROUP BY 1) s USING (item_code)
        WHERE f.item_status_code <> s.status OR f.owner_name <> s.owner"""
    ).fetchall()
    return faults + [f"fused.service_item: {code} is not in its newest state" for (code,) in stale]


def request_faults(home: Home) -> list[str]:
    """Each request is one row in its newest state; only items that are known key it; who asked is nowhere."""
    tables = database(
        home,
        "std.service_request",
        "fused.service_request",
        "fused.service_item",
        "safe.service_request",
        "meta.delivery",
    )
    newest = f"""
        SELECT source_code, s.request_number, s.received_at, s.request_topic_code, s.division_code, i.item_code,
               s.request_status_code, s.satisfaction_code, s.request_text
        FROM std_service_request s LEFT JOIN fused_service_item i ON i.item_code = s.item_code WHERE {ACCEPTED}
        QUALIFY row_number() OVER (PARTITION BY source_code, request_number
                                   ORDER BY updated_at DESC, delivery_id DESC, record_number DESC) = 1"""
    shown = """
        SELECT source_code, request_number, received_at, request_topic_code, division_code, item_code,
               request_status_code, satisfaction_code, request_text FROM fused_service_request"""
    wrong = tables.sql(f"SELECT count(*) FROM (({newest}) EXCEPT ALL ({shown}))").fetchall()[0][0]
    extra = tables.sql(f"SELECT count(*) FROM (({shown}) EXCEPT ALL ({newest}))").fetchall()[0][0]
    faults = [f"fused.service_request: {wrong} requests missing or wrong, {extra} too many"] if wrong or extra else []
    known, ids, safe = tables.sql(
        "SELECT count(DISTINCT request_number), count(DISTINCT request_id), "
        "(SELECT count(*) FROM safe_service_request) FROM fused_service_request"
    ).fetchall()[0]
    return faults if known == ids == safe > 0 else [*faults, f"{known} requests, {ids} ids, {safe} safe rows"]
