"""The sensors' events: Suricata's EVE as JSON Lines, alerts among flows, queries and the sensor's own statistics."""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from ronghe.simulate.defects import Defect, Fault, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Feed, Window
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.records import Rows, json_lines, write_records
from ronghe.simulate.regions import Area, areas, signal
from ronghe.simulate.truth import TruthLog

FEED = Feed("cyberspace", "network_event", "eve", "json")
COLUMNS = (
    *("timestamp", "flow_id", "in_iface", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto"),
    *("alert.action", "alert.gid", "alert.signature_id", "alert.rev", "alert.signature", "alert.category"),
    *("alert.severity", "flow.pkts_toserver", "dns.rrname", "stats.uptime", "host", "fields.region_code"),
)
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_NUMBERS = (
    *("flow_id", "src_port", "dest_port", "alert.gid", "alert.signature_id", "alert.rev", "alert.severity"),
    *("flow.pkts_toserver", "stats.uptime"),
)
_FUTURE_DAYS = 40


@dataclass(frozen=True)
class _Rule:
    """A made-up rule: number, name, class (Suricata's words), severity, and alerts a sensor and day at full risk."""

    number: int
    name: str
    category: str
    severity: int
    rate: float


_RULES = (
    _Rule(9900001, "RONGHE TROJAN Check-in", "A Network Trojan was detected", 1, 4.0),
    _Rule(9900002, "RONGHE WEB Command injection", "Web Application Attack", 1, 4.0),
    _Rule(9900003, "RONGHE EXPLOIT Gateway takeover", "Attempted Administrator Privilege Gain", 1, 3.0),
    _Rule(9900004, "RONGHE SCAN SSH sweep", "Attempted Information Leak", 2, 9.0),
    _Rule(9900005, "RONGHE SCAN Port sweep", "Detection of a Network Scan", 3, 7.0),
    _Rule(9900006, "RONGHE POLICY Unusual agent", "Potential Corporate Privacy Violation", 1, 0.0),
    _Rule(9900007, "RONGHE INFO Odd header", "Generic Protocol Command Decode", 3, 3.0),
)
_DECODE = _RULES[-1]
# What has nothing to do with risk, a sensor and day.
_NOISE, _FLOWS, _QUERIES = 2.0, 9.0, 7.0
_DOWN = 0.08


def write_network_events(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth."""
    rng = vector_stream(window.seed, "network events")
    down = _outages(window)
    rows = [_day(window, number, down, rng) for number in range(len(window.days))]

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[0] = _stamp(window.days[day] + timedelta(days=_FUTURE_DAYS), 1.0)

    def impossible(row: list[str], _day: int, _rng: random.Random) -> None:
        row[0] = f"{row[0][:4]}-13-45T99:00:00.000000+0800"

    faults = [
        *duplicates(within=120, resent=60),
        Fault(Defect("late", "accepted"), 100, delay=(1, 3)),
        Fault(Defect("torn", "quarantined", "torn"), 0, at_end=True, exactly=2),
        quarantined("bad_time", "format:observed_at", 40, impossible),
        quarantined("no_time", "required:observed_at", 20, set_field(0, "")),
        quarantined("future_event", "future:observed_at", 20, future),
        quarantined("unknown_kind", "code:event_kind_code", 40, set_field(_PLACE["event_type"], "wormhole")),
        quarantined("unknown_region", "code:region_code", 40, set_field(_PLACE["fields.region_code"], "990000")),
        quarantined("impossible_severity", "range:severity_level", 20, set_field(_PLACE["alert.severity"], "0")),
    ]
    alerts = np.array([row[_PLACE["event_type"]] == "alert" for day in rows for row in day], dtype=bool)
    encode = json_lines(COLUMNS, _NUMBERS)
    write_records(window, log, FEED, window.days, rows, faults, encode, only={"impossible_severity": alerts})
    seen = (row[_PLACE[name]] for day in rows for row in day for name in ("src_ip", "dest_ip"))
    log.add_identifiers("ip_address", filter(None, seen))


def _sensors(area: Area) -> list[str]:
    """Return the names of an area's sensors: one to three, by its size."""
    return [f"sensor-{area.code}-{n}" for n in range(1, 1 + min(3, max(1, round(area.weight))))]


def _outages(window: Window) -> set[tuple[str, int]]:
    """Return on which days which sensor sees nothing: for a few days on end, and always in a silent area."""
    rng = stream(window.seed, "outages")
    down = set()
    for area in areas(window.seed):
        for sensor in _sensors(area):
            left = 0
            for day in range(len(window.days)):
                if left == 0 and rng.random() < _DOWN:
                    left = rng.randint(1, 3)
                if left or area.silent:
                    down.add((sensor, day))
                left = max(0, left - 1)
    return down


def _day(window: Window, number: int, down: set[tuple[str, int]], rng: np.random.Generator) -> Rows:
    """Return a day's events in the order of time, as a shipper that collects from all sensors sends them."""
    timed: list[tuple[float, list[str]]] = []
    for area in areas(window.seed):
        for sensor in _sensors(area):
            if (sensor, number) not in down:
                timed += _events(window, number, area, sensor, rng)
    timed.sort(key=lambda item: item[0])
    return [row for _, row in timed]


def _events(
    window: Window, number: int, area: Area, sensor: str, rng: np.random.Generator
) -> list[tuple[float, list[str]]]:
    day = window.days[number]
    common = {"host": sensor, "fields.region_code": area.code, "in_iface": "eth1"}
    found = [{"event_type": "stats", "stats.uptime": str(86_400 * (number + 1))}]
    for rule in _RULES:
        level = signal(window.seed, area, rule.category)
        noise = _NOISE if rule is _DECODE else 0
        found += [_alert(rule, rng) for _ in range(rng.poisson((rule.rate * level + noise) * window.scale))]
    found += [
        {**_flow(rng), "event_type": "flow", "flow.pkts_toserver": str(rng.integers(1, 90))}
        for _ in range(rng.poisson(_FLOWS * window.scale))
    ]
    found += [
        {**_flow(rng), "event_type": "dns", "proto": "UDP", "dns.rrname": "host.example"}
        for _ in range(rng.poisson(_QUERIES * window.scale))
    ]
    seconds = rng.uniform(0, 86_399, len(found)).tolist()
    return [
        (second, _row({**event, **common, "timestamp": _stamp(day, second)}))
        for second, event in zip(seconds, found, strict=True)
    ]


def _stamp(day: date, second: float) -> str:
    """Return an instant as Suricata writes it: microseconds, and an offset without a colon."""
    return f"{datetime.combine(day, time()) + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}+0800"


def _flow(rng: np.random.Generator) -> dict[str, str]:
    attacker, port, low, high, flow = rng.integers((0, 1024, 0, 1, 1), (65_536, 65_536, 256, 255, 2**50)).tolist()
    return {
        "flow_id": str(flow),
        "src_ip": f"198.19.{attacker >> 8}.{attacker & 255}",
        "src_port": str(port),
        "dest_ip": f"10.47.{low}.{high}",
        "dest_port": "443",
        "proto": "TCP",
    }


def _alert(rule: _Rule, rng: np.random.Generator) -> dict[str, str]:
    return {
        **_flow(rng),
        "event_type": "alert",
        "alert.action": "blocked" if rng.random() < 0.1 else "allowed",
        "alert.gid": "1",
        "alert.signature_id": str(rule.number),
        "alert.rev": "1",
        "alert.signature": rule.name,
        "alert.category": rule.category,
        "alert.severity": str(rule.severity),
    }


def _row(event: dict[str, str]) -> list[str]:
    return [event.get(name, "") for name in COLUMNS]
