"""The incident feed: what an emergency centre's interface serves, one JSON object per closed incident, in GCJ-02."""

import json
import random
from datetime import timedelta
from math import cos, radians, sin

from ronghe.simulate.coordinates import to_gcj02
from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import SHENZHEN
from ronghe.simulate.files import write_json_lines
from ronghe.simulate.persons import draw_name, draw_phone
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.stations import PLACES, Place
from ronghe.simulate.truth import TruthLog

# The file the transport makes of each day; `PATH` is where the interface serves all of them.
FEED = Feed("shenzhen", "emergency_incident", "emergency_incident", "jsonl")
PATH = "v1/incidents"
_NUMBER, _DAY, _KIND, _LEVEL, _OCCURRED, _LONGITUDE, _DISTRICT, _NAME = 0, 1, 2, 3, 4, 7, 9, 10
_KINDS = {"火灾": 22, "火警": 10, "内涝": 8, "积水内涝": 4, "交通事故": 36, "人员拥挤": 15, "大客流": 5}
_CROWDING = ("人员拥挤", "大客流")
_LEVELS = ("四级", "四级", "IV级", "三级", "III级", "一般", "二级")
_ROADS = ("科技南路", "深南大道", "红荔路", "布龙路", "龙岗大道", "宝安大道", "创业路", "梅观路")
_CENTRE, _SPREAD = (114.0, 22.62), (0.2, 0.1)
_FORMAT = "%Y-%m-%d %H:%M:%S"
_METRES_PER_DEGREE = 111_320.0
_NEAR_METRES = 200

_INCIDENTS = 3000
_FEWEST_A_DAY = 2
_AT_PLACE = 0.4
_WITHOUT_POSITION = 0.05


def write_incidents(window: Window, log: TruthLog) -> None:
    """Write what the interface serves and note the truth: each day's records, and the place of each incident."""
    rng = stream(window.seed, "incidents")
    total = _INCIDENTS * window.factor / len(window.days)
    sizes = [max(_FEWEST_A_DAY, round(total * rng.uniform(0.8, 1.2))) for _ in window.days]
    picks = choose(_faults(window), sizes, window.factor, vector_stream(window.seed, "incident defects"))
    sorter = Sorter(sizes, rng)
    served: list[str] = []
    for number, day in enumerate(window.days):
        for index in range(sizes[number]):
            place, row = _incident(window, number, index, rng, log)
            sorter.put(number, index, row, picks[number].get(index))
            codes = sorted(place.codes) if place else None
            log.add_facts("incidents", [{"incident_code": row[_NUMBER], "place_codes": codes}])
        entries = sorter.take(number)
        for entry in entries:
            # A record that is sent again is published again.
            entry.row[_DAY] = entry.row[_DAY] if entry.defect and entry.defect.fate == "quarantined" else str(day)
        served.extend(map(_record, entries))
        log.add_delivery(FEED, day, entries)
    write_json_lines(window.upstream / "api" / f"{PATH}.jsonl", served)


def _incident(
    window: Window, day: int, index: int, rng: random.Random, log: TruthLog
) -> tuple[Place | None, list[str]]:
    """Return an incident's row, without defects, and the place it must be keyed to, if any.

    Where it is at a place, it lies within 200 m of it, or has its name and no position.
    """
    kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    place = rng.choice(PLACES) if kind in _CROWDING or rng.random() < _AT_PLACE else None
    name = f"{rng.choice(_ROADS)}{rng.randint(1, 299)}号"
    if place is None:
        longitude, latitude = _far_from_places(rng)
    else:
        bearing, metres = rng.uniform(0, 6.28), rng.uniform(0, _NEAR_METRES)
        longitude = place.longitude + metres * sin(bearing) / _METRES_PER_DEGREE / cos(radians(place.latitude))
        latitude = place.latitude + metres * cos(bearing) / _METRES_PER_DEGREE
        name = rng.choice(place.spellings) if rng.random() < 0.5 else name
    shifted = [f"{value:.6f}" for value in to_gcj02(longitude, latitude)]
    if place is None and rng.random() < _WITHOUT_POSITION:
        shifted = ["", ""]
    occurred = window.clock(day, rng.randint(0, 20 * 3600))
    arrived = occurred + timedelta(minutes=rng.randint(3, 25))
    closed = arrived + timedelta(minutes=rng.randint(5, 180))
    phone = draw_phone(rng)
    log.add_identifiers("phone", [phone])
    times = [f"{moment:{_FORMAT}}" for moment in (occurred, arrived, closed)]
    return place, [
        f"SZYJ{window.days[day]:%Y%m%d}{index:05d}",
        str(window.days[day]),
        kind,
        rng.choice(_LEVELS),
        *times,
        *shifted,
        rng.choices(SHENZHEN, [d.weight for d in SHENZHEN])[0].code,
        name,
        draw_name(rng),
        phone,
    ]


def _far_from_places(rng: random.Random) -> tuple[float, float]:
    """Return a position at least 600 m from every place."""
    while True:
        longitude = _CENTRE[0] + rng.uniform(-_SPREAD[0], _SPREAD[0])
        latitude = _CENTRE[1] + rng.uniform(-_SPREAD[1], _SPREAD[1])
        if all(_metres(longitude, latitude, place) > 600 for place in PLACES):
            return longitude, latitude


def _metres(longitude: float, latitude: float, place: Place) -> float:
    east = (longitude - place.longitude) * cos(radians(latitude))
    return float(((east**2 + (latitude - place.latitude) ** 2) ** 0.5) * _METRES_PER_DEGREE)


def _faults(window: Window) -> list[Fault]:
    def bad_time(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_OCCURRED] = f"{row[_OCCURRED][:4]}-13-45 99:00:00"

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_OCCURRED] = f"{window.clock(day, 40 * 86400):{_FORMAT}}"

    return [
        *duplicates(within=20, resent=15),
        quarantined("unknown_kind", "code:incident_kind_code", 15, set_field(_KIND, "陨石")),
        quarantined("unknown_level", "code:severity_code", 15, set_field(_LEVEL, "九级")),
        quarantined("unknown_division", "code:division_code", 10, set_field(_DISTRICT, "449999")),
        quarantined("bad_time", "format:occurred_at", 10, bad_time),
        quarantined("future_time", "future:occurred_at", 10, future),
        quarantined("bad_longitude", "range:longitude", 10, set_field(_LONGITUDE, "1140.5")),
        quarantined("empty_number", "required:incident_code", 10, set_field(_NUMBER, "")),
    ]


def _record(entry: Entry) -> str:
    number, day, kind, level, occurred, arrived, closed, longitude, latitude, district, name, who, phone = entry.row
    return json.dumps(
        {
            "incident_no": number or None,
            "published": day,
            "kind": kind,
            "level": level,
            "time": {"occurred": occurred, "arrived": arrived, "closed": closed},
            "location": {
                "lon": float(longitude) if longitude else None,
                "lat": float(latitude) if latitude else None,
                "district": district,
                "name": name,
            },
            "reporter": {"name": who, "phone": phone},
        },
        ensure_ascii=False,
    )
