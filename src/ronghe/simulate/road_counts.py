"""The road-count feed: JSON Lines of loop detectors, fifteen minutes by fifteen minutes, in UTC+6."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ronghe.simulate.defects import Defect, Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import AT_END, Entry, Feed, Sorter, Window
from ronghe.simulate.files import write_atomically
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import full_width
from ronghe.simulate.truth import TruthLog

FEED = Feed("xinjiang", "road_count", "road_count", "jsonl")
COLUMNS = (
    *("site_code", "site_name", "road_name", "direction", "lon", "lat", "window_start", "window_minutes"),
    *("vehicle_count", "mean_speed_kmh", "occupancy_pct"),
)
_NUMBERS = frozenset({"lon", "lat", "window_minutes", "vehicle_count", "mean_speed_kmh", "occupancy_pct"})
_SITE, _DIRECTION, _START, _COUNT = 0, 3, 6, 8
_SITES = 60
_WINDOWS, _MINUTES = 96, 15
_FUTURE_DAYS = 40

_ROADS = (
    ("新华北路", "人民路口", 87.616, 43.797),
    ("友好北路", "西北路口", 87.601, 43.816),
    ("北京中路", "河滩路口", 87.589, 43.843),
    ("解放南路", "团结路口", 87.622, 43.773),
    ("光明路", "新民路口", 87.628, 43.803),
    ("河滩快速路", "南湖立交", 87.607, 43.826),
    ("苏州路", "长春路口", 87.575, 43.866),
    ("迎宾路", "机场立交", 87.491, 43.905),
    ("西山路", "克西路口", 87.552, 43.805),
    ("大湾路", "延安路口", 87.641, 43.757),
)
_SPELLINGS = {
    "east": ("由西向东", "东行"),
    "west": ("由东向西", "西行"),
    "north": ("由南向北", "北行"),
    "south": ("由北向南", "南行"),
}
_OPPOSITE = (("east", "west"), ("north", "south"))


@dataclass(frozen=True)
class _Site:
    """A detector: one direction of a road at one place; `free` km/h and `busy` vehicles in fifteen minutes."""

    code: str
    name: str
    road: str
    direction: str
    longitude: str
    latitude: str
    free: float
    busy: float


def write_road_counts(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth."""
    rng = stream(window.seed, "road counts")
    sites = _sites(max(2, round(_SITES * window.scale)), rng)
    size = len(sites) * _WINDOWS
    picks = choose(
        _faults(window), [size] * len(window.days), window.factor, vector_stream(window.seed, "road count defects")
    )
    sorter = Sorter([size] * len(window.days), rng)
    seen: set[str] = set()
    for number, day in enumerate(window.days):
        quiet = 0.75 if day.weekday() >= 5 else 1.0
        for index in range(size):
            slot, site = divmod(index, len(sites))
            row = _row(sites[site], window, number, slot, quiet, rng)
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        seen |= {entry.row[_SITE] for entry in entries if entry.accepted}
        write_atomically(window.landing / FEED.path(day), _as_lines(entries, rng))
        log.add_delivery(FEED, day, entries)
    _note_places(log, [site for site in sites if site.code in seen])


def _sites(count: int, rng: random.Random) -> list[_Site]:
    """Return detectors, two for each place: one for either direction."""
    found = []
    for number in range(count):
        place, side = divmod(number, 2)
        road, crossing, longitude, latitude = _ROADS[place % len(_ROADS)]
        # Farther out along the same road there is another place.
        lap = place // len(_ROADS)
        found.append(
            _Site(
                code=f"WL{place:03d}{'AB'[side]}",
                name=f"{road}{crossing}" + (f"{lap + 1}号断面" if lap else ""),
                road=road,
                direction=_OPPOSITE[place % 2][side],
                longitude=f"{longitude + 0.02 * lap:.6f}",
                latitude=f"{latitude + 0.015 * lap:.6f}",
                free=rng.uniform(45, 80),
                busy=rng.uniform(180, 420),
            )
        )
    return found


def _row(site: _Site, window: Window, day: int, slot: int, quiet: float, rng: random.Random) -> list[str]:
    """Return one window of one detector, without defects.

    Speed falls with the square of the load; occupancy follows from count and speed (vehicles of six metres, one lane).
    """
    hour = slot * _MINUTES / 60
    load = 0.04 + 0.8 * math.exp(-((hour - 8.2) ** 2) / 2.2) + 0.9 * math.exp(-((hour - 18.1) ** 2) / 3.0)
    load = min(1.0, quiet * (load + (0.35 if 7 < hour < 21 else 0.0)) * rng.uniform(0.85, 1.1))
    night = hour < 5 and rng.random() < 0.08
    count = 0 if night else max(1, round(site.busy * load))
    speed = max(6.0, site.free * (1 - 0.6 * load**2) + rng.gauss(0, 1.5))
    occupancy = min(100.0, 100 * count * 6 / (speed / 3.6 * _MINUTES * 60)) if count else 0.0
    return [
        site.code,
        site.name if rng.random() > 0.02 else full_width(site.name),
        site.road,
        rng.choice(_SPELLINGS[site.direction]),
        site.longitude,
        site.latitude,
        f"{window.clock(day, slot * _MINUTES * 60):%Y-%m-%d %H:%M:%S}",
        str(_MINUTES),
        str(count),
        f"{speed:.1f}" if count else "",
        f"{occupancy:.2f}",
    ]


def _faults(window: Window) -> list[Fault]:
    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_START] = f"{window.clock(day, 8 * 3600) + timedelta(days=_FUTURE_DAYS):%Y-%m-%d %H:%M:%S}"

    def bad_time(row: list[str], day: int, _rng: random.Random) -> None:
        row[_START] = f"{window.days[day]:%Y}-13-40 08:00:00"

    return [
        *duplicates(within=80, resent=40),
        Fault(Defect("torn", "quarantined", "torn"), 0, at_end=True, exactly=min(2, len(window.days))),
        quarantined("bad_time", "format:window_start_at format:traffic_date", 40, bad_time),
        quarantined("unknown_direction", "code:direction_code", 40, set_field(_DIRECTION, "向上")),
        quarantined("bad_count", "format:vehicle_count", 40, set_field(_COUNT, "--")),
        quarantined("negative_count", "range:vehicle_count", 40, set_field(_COUNT, "-7")),
        quarantined("missing_site", "required:place_code", 20, set_field(_SITE, "")),
        quarantined("future_window", "future:window_start_at future:traffic_date", 20, future),
    ]


def _as_lines(entries: Sequence[Entry], rng: random.Random) -> bytes:
    """Return the file; a record torn off at the end is a line cut inside its first values, without an end."""
    lines = [_line(entry.row) for entry in entries]
    if entries and entries[-1].position == AT_END:
        lines[-1] = lines[-1][: rng.randint(12, len(lines[-1]) - 20)]
        return "\n".join(lines).encode()
    return "".join(f"{line}\n" for line in lines).encode()


def _line(row: Sequence[str]) -> str:
    cells = zip(COLUMNS, row, strict=True)
    return json.dumps({name: _typed(name, text) for name, text in cells}, ensure_ascii=False)


def _typed(name: str, text: str) -> str | float | None:
    """Return numbers as numbers and nothing as null; what a logger garbled stays text."""
    if name not in _NUMBERS:
        return text
    if text in ("", "--"):
        return text or None
    return float(text) if "." in text else int(text)


def _note_places(log: TruthLog, sites: Sequence[_Site]) -> None:
    codes: dict[str, list[str]] = {}
    for site in sites:
        codes.setdefault(site.name, []).append(site.code)
    for site in {site.name: site for site in sites}.values():
        position = (float(site.longitude), float(site.latitude))
        log.add_place(FEED.source, site.name, codes[site.name], "road_site", *position)
