"""The host scan: JSON Lines, one object per reachable host and week."""

import json
import random
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from ronghe.simulate.defects import Defect, Fault, quarantined, set_field
from ronghe.simulate.delivery import Feed, Window
from ronghe.simulate.randomness import vector_stream
from ronghe.simulate.records import Rows, json_lines, weekly, write_records
from ronghe.simulate.regions import Area, areas, signal
from ronghe.simulate.truth import TruthLog
from ronghe.simulate.vulnerabilities import universe

FEED = Feed("cyberspace", "host_scan", "hosts", "jsonl")
COLUMNS = (
    *("ip", "scanned_at", "region_code", "services.count", "services.control", "services.names"),
    *("open_database", "end_of_life", "vulns"),
)
_IP, _SCANNED, _REGION, _COUNT = 0, 1, 2, 3
_TYPED = frozenset(COLUMNS) - {"ip", "region_code"}
_HOSTS = 20_000
_FEWEST = 6
_NAMES = ("https", "http", "ssh", "smtp", "rdp", "ftp", "dns", "mysql", "redis", "modbus")
# Of a host's vulnerabilities, how many are listed as exploited.
_EXPLOITED_SHARE = 0.3
_FUTURE_DAYS = 40


def write_host_scans(window: Window, log: TruthLog) -> None:
    """Write a scan per week and note its truth."""
    days = weekly(window)
    rng = vector_stream(window.seed, "host scans")
    rows = [_scan(window, day, rng) for day in days]

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_SCANNED] = _seconds(days[day] + timedelta(days=_FUTURE_DAYS), 0)

    faults = [
        Fault(Defect("duplicate", "deduplicated"), 80, keeps_original=True),
        Fault(Defect("torn", "quarantined", "torn"), 0, at_end=True, exactly=1),
        quarantined("unknown_region", "code:region_code", 60, set_field(_REGION, "990000")),
        quarantined("empty_address", "required:host_token", 30, set_field(_IP, "")),
        quarantined("negative_count", "range:open_service_count", 30, set_field(_COUNT, "-1")),
        quarantined("no_count", "format:open_service_count", 30, set_field(_COUNT, "many")),
        quarantined("future_scan", "future:scanned_at", 20, future),
    ]
    write_records(window, log, FEED, days, rows, faults, json_lines(COLUMNS, _TYPED))
    log.add_identifiers("ip_address", (row[_IP] for day in rows for row in day))


def _seconds(day: date, second: int) -> str:
    return str(int(datetime.combine(day, time(), UTC).timestamp()) - 8 * 3600 + second)


def _scan(window: Window, day: date, rng: np.random.Generator) -> Rows:
    """Return what a scan finds, hosts of one area after the other's shuffled together."""
    known = universe(window.seed, window.scale, window.days[-1])
    cves = [v.cve for v in known]
    exploited = sum(v.added is not None for v in known)
    everywhere = areas(window.seed)
    total = sum(area.weight for area in everywhere)
    rows: list[list[str]] = []
    for area in everywhere:
        count = max(_FEWEST, round(_HOSTS * window.scale * area.weight / total))
        rows += _hosts(window, area, count, day, len(rows), rng, cves, exploited)
    return [rows[place] for place in rng.permutation(len(rows)).tolist()]


def _hosts(
    window: Window,
    area: Area,
    count: int,
    day: date,
    first: int,
    rng: np.random.Generator,
    cves: list[str],
    exploited: int,
) -> Rows:
    def level(what: str) -> float:
        return signal(window.seed, area, what)

    services = 1 + rng.poisson(1 + 7.5 * level("services"), count)
    databases = rng.random(count) < 0.18 * level("databases")
    controls = rng.random(count) < 0.15 * level("controls")
    ended = rng.random(count) < 0.45 * level("end of life")
    found = rng.poisson(0.05 + 2.0 * level("vulnerabilities"), count)
    second = rng.integers(0, 86_400, count)
    rows = []
    for n in range(count):
        host = first + n
        listed = rng.random(found[n]) < _EXPLOITED_SHARE
        picks = np.where(listed, rng.integers(0, exploited, found[n]), rng.integers(exploited, len(cves), found[n]))
        names = rng.choice(_NAMES[:8], size=min(3, services[n]), replace=False).tolist()
        rows.append(
            [
                f"198.18.{host >> 8 & 255}.{host & 255}",
                _seconds(day, int(second[n])),
                area.code,
                str(services[n]),
                str(int(controls[n])),
                json.dumps(names + (["modbus"] if controls[n] else [])),
                json.dumps(bool(databases[n])),
                json.dumps(bool(ended[n])),
                json.dumps(sorted({cves[pick] for pick in picks.tolist()})),
            ]
        )
    return rows
