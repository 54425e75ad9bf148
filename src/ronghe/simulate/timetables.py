"""A city's timetable as GTFS: one archive a week, from which two feeds read a member each (stops and stop times)."""

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ronghe.simulate.defects import Defect, Fault, choose, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window, mark_known
from ronghe.simulate.files import write_atomically
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.truth import TruthLog

STOPS = Feed("chengdu", "stop", "timetable", "zip", folder="gtfs")
STOP_TIMES = Feed("chengdu", "stop_time", "timetable", "zip", folder="gtfs")
STOP_COLUMNS = ("stop_id", "stop_name", "stop_lat", "stop_lon", "location_type", "parent_station")
STOP_TIME_COLUMNS = ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence")
_FIRST, _LAST = 5 * 3600 + 2400, 24 * 3600 + 600
_DWELL = 30

# Real stations of two lines, WGS-84 to about 200 m; they cross at the third.
_METRO = (
    ("人民北路", 104.0664, 30.6862),
    ("文殊院", 104.0662, 30.6749),
    ("天府广场", 104.0657, 30.6574),
    ("锦江宾馆", 104.0654, 30.6496),
    ("省体育馆", 104.0644, 30.6311),
    ("火车南", 104.0630, 30.6080),
    ("世纪城", 104.0634, 30.5545),
    ("中医大省医院", 104.0360, 30.6712),
    ("通惠门", 104.0440, 30.6650),
    ("人民公园", 104.0540, 30.6590),
    ("春熙路", 104.0770, 30.6550),
    ("牛王庙", 104.0930, 30.6430),
)
_LINES = {"M1": (0, 1, 2, 3, 4, 5, 6), "M2": (7, 8, 9, 2, 10, 11)}
_BUS = (
    ("青羊宫", 104.0370, 30.6660),
    ("宽窄巷子", 104.0490, 30.6690),
    ("骡马市", 104.0620, 30.6690),
    ("红星路口", 104.0800, 30.6620),
    ("九眼桥", 104.0860, 30.6400),
    ("川大西门", 104.0760, 30.6350),
    ("磨子桥", 104.0740, 30.6310),
    ("华西坝", 104.0640, 30.6420),
    ("武侯祠", 104.0440, 30.6430),
    ("高升桥", 104.0420, 30.6370),
    ("双楠", 104.0300, 30.6390),
    ("杜甫草堂", 104.0240, 30.6600),
)
_ROUTES = {
    "B8": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "B35": (11, 0, 1, 2, 7, 8, 9, 10),
    "B56": (3, 4, 5, 6, 7, 8, 9, 10, 11, 0),
    "B62": (2, 3, 4, 5, 6, 7, 8, 9),
}
_TRIPS = {"M": 300, "B": 240}
_FEWEST_TRIPS = 4


@dataclass(frozen=True)
class _Trip:
    route: str
    trip: str
    direction: int
    start: int
    stops: tuple[str, ...]


def write_timetables(window: Window, log: TruthLog) -> None:
    """Write an archive per week and note the truth of its two feeds; the timetable is another one every week."""
    rng = stream(window.seed, "timetable")
    weeks = [list(_trips(number, window.scale)) for number in range(len(window.weeks))]
    times = [[row for trip in trips for row in _stop_times(trip)] for trips in weeks]
    stops = list(_stop_rows())
    twice = Fault(Defect("duplicate", "deduplicated"), 20, keeps_original=True)
    chance = vector_stream(window.seed, "timetable defects")
    stop_picks = choose(_STOP_FAULTS, [len(stops)] * len(weeks), window.factor, chance)
    time_picks = choose([twice, *_TIME_FAULTS], [len(rows) for rows in times], window.factor, chance)
    stop_sorter = Sorter([len(stops)] * len(weeks), rng)
    time_sorter = Sorter([len(rows) for rows in times], rng)
    known: set[object] = set()
    listed: set[str] = set()
    for number, day in enumerate(window.weeks):
        for index, row in enumerate(stops):
            stop_sorter.put(number, index, list(row), stop_picks[number].get(index))
        for index, row in enumerate(times[number]):
            time_sorter.put(number, index, row, time_picks[number].get(index))
        stop_entries, time_entries = stop_sorter.take(number), time_sorter.take(number)
        mark_known(stop_entries, [entry.row[0] for entry in stop_entries], known)
        listed |= {entry.row[0] for entry in stop_entries if entry.accepted}
        write_atomically(window.landing / STOPS.path(day), _archive(day, weeks[number], stop_entries, time_entries))
        log.add_delivery(STOPS, day, stop_entries)
        log.add_delivery(STOP_TIMES, day, time_entries)
    _note_places(log, stops, listed)


def _stop_rows() -> Iterator[list[str]]:
    """Yield stations, each with two platforms, and bus stops, one on either side of the road."""
    for number, (name, longitude, latitude) in enumerate(_METRO):
        place = [name, f"{latitude:.6f}", f"{longitude:.6f}"]
        yield [f"S{number:02d}", f"{name}站", *place[1:], "1", ""]
        yield from ([f"S{number:02d}-{side}", *place, "0", f"S{number:02d}"] for side in (0, 1))
    for number, (name, longitude, latitude) in enumerate(_BUS):
        yield from ([f"P{number:02d}-{s}", name, f"{latitude:.6f}", f"{longitude:.6f}", "", ""] for s in (0, 1))


def _trips(week: int, scale: float) -> Iterator[_Trip]:
    """Yield a week's trips of one day; every week starts them some minutes later."""
    for route, numbers in (_LINES | _ROUTES).items():
        count = max(_FEWEST_TRIPS, round(_TRIPS[route[0]] * scale))
        for direction in (0, 1):
            order = numbers if direction == 0 else numbers[::-1]
            stops = tuple(f"{'S' if route[0] == 'M' else 'P'}{n:02d}-{direction}" for n in order)
            for number in range(count):
                start = _FIRST + 60 * week + (_LAST - _FIRST) * number // (count - 1)
                yield _Trip(route, f"{route}-{direction}-{number:04d}", direction, start, stops)


def _stop_times(trip: _Trip) -> Iterator[list[str]]:
    second = trip.start
    for sequence, stop in enumerate(trip.stops, 1):
        yield [trip.trip, _clock(second), _clock(second + _DWELL), stop, str(sequence)]
        second += 150 if trip.route[0] == "M" else 210


def _clock(second: int) -> str:
    """Return a time of the service day, beyond 24:00:00 after midnight."""
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


_STOP_FAULTS = (
    Fault(Defect("duplicate", "deduplicated"), 2, keeps_original=True),
    quarantined("empty_name", "required:place_name", 2, set_field(1, "")),
    quarantined("bad_latitude", "format:latitude", 2, set_field(2, "北纬30度")),
    quarantined("far_longitude", "range:longitude", 2, set_field(3, "1040.6")),
)
_TIME_FAULTS = (
    quarantined("bad_time", "format:departure_seconds", 20, set_field(2, "08:61:00")),
    quarantined("missing_stop", "required:stop_code", 20, set_field(3, "")),
    quarantined("negative_sequence", "range:stop_sequence", 20, set_field(4, "-1")),
    quarantined("bad_sequence", "format:stop_sequence", 20, set_field(4, "first")),
    quarantined("missing_trip", "required:trip_code", 20, set_field(0, "")),
)


def _archive(day: date, trips: Sequence[_Trip], stops: Sequence[Entry], times: Sequence[Entry]) -> bytes:
    """Return the archive; its members bear the day's date, so that the same rows give the same bytes."""
    until = day + timedelta(days=6)
    routes = [
        [r, "cd", r, f"{'地铁' if r[0] == 'M' else '公交'}{r[1:]}", 1 if r[0] == "M" else 3] for r in _LINES | _ROUTES
    ]
    members: dict[str, tuple[Sequence[str], Iterable[Sequence[object]]]] = {
        "agency.txt": (
            ("agency_id", "agency_name", "agency_url", "agency_timezone"),
            [("cd", "成都公共交通", "https://transit.example.org", "Asia/Shanghai")],
        ),
        "feed_info.txt": (
            ("feed_publisher_name", "feed_publisher_url", "feed_lang", "feed_start_date", "feed_end_date"),
            [("成都公共交通", "https://transit.example.org", "zh", f"{day:%Y%m%d}", f"{until:%Y%m%d}")],
        ),
        "calendar.txt": (
            ("service_id", *_WEEKDAYS, "start_date", "end_date"),
            [("daily", *[1] * 7, f"{day:%Y%m%d}", f"{until:%Y%m%d}")],
        ),
        "routes.txt": (("route_id", "agency_id", "route_short_name", "route_long_name", "route_type"), routes),
        "trips.txt": (
            ("route_id", "service_id", "trip_id", "direction_id"),
            [(trip.route, "daily", trip.trip, trip.direction) for trip in trips],
        ),
        "stops.txt": (STOP_COLUMNS, [entry.row for entry in stops]),
        "stop_times.txt": (STOP_TIME_COLUMNS, [entry.row for entry in times]),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (columns, rows) in members.items():
            text = io.StringIO()
            csv.writer(text).writerows([columns, *rows])
            archive.writestr(zipfile.ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0)), text.getvalue().encode())
    return buffer.getvalue()


_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _note_places(log: TruthLog, stops: Iterable[list[str]], listed: set[str]) -> None:
    """Note stations with their platforms and stops of both sides as places, as far as they were ever listed."""
    places: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for code, name, latitude, longitude, *_ in stops:
        if code in listed:
            kind = "metro_station" if code.startswith("S") else "bus_stop"
            places[kind, name.removesuffix("站"), longitude, latitude].add(code)
    for (kind, name, longitude, latitude), codes in places.items():
        log.add_place(STOPS.source, name, codes, kind, float(longitude), float(latitude))
