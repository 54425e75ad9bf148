"""Permits, weekly lists, timetables and road counts against an independent reading of their files."""

import csv
import io
import json
import math
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from stdnum import numdb
from stdnum.cn import uscc

from ronghe.simulate import simulate
from ronghe.simulate.coordinates import to_bd09

SCHEMAS = Path(__file__).parents[2] / "schemas"
Record = dict[str, str]
NARROW = {0x3000: " "} | {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
BEIJING = timedelta(hours=8)


@dataclass(frozen=True)
class Run:
    landing: Path
    truth: Path

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.truth / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "landing", folder / "truth", scale=0.05)
    return Run(folder / "landing", folder / "truth")


def plain(text: str) -> str:
    return "".join(text.translate(NARROW).split())


def read_parquet(path: Path) -> Iterator[Record]:
    for row in pq.read_table(path).to_pylist():
        yield {name: "" if value is None else str(value) for name, value in row.items()}


def read_csv(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> Iterator[Record]:
    yield from csv.DictReader(io.StringIO(path.read_bytes().decode(encoding)), delimiter=delimiter)


def read_member(path: Path, member: str) -> Iterator[Record]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        yield from csv.DictReader(io.StringIO(archive.read(member).decode()))


def read_lines(path: Path) -> Iterator[Record]:
    for line in path.read_text("utf-8").splitlines():
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            yield {"torn": line}
        else:
            yield {name: "" if value is None else str(value) for name, value in found.items()}


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "chengdu.permit": read_parquet,
    "chengdu.poi": read_csv,
    "chengdu.stop": lambda path: read_member(path, "stops.txt"),
    "chengdu.stop_time": lambda path: read_member(path, "stop_times.txt"),
    "xinjiang.road_count": read_lines,
    "xinjiang.service_office": lambda path: read_csv(path, "utf-16", "\t"),
}
FEEDS = tuple(READERS)
# Of the places of the two sources these are from the feeds here.
KINDS = {
    *("school", "kindergarten", "hospital", "clinic", "social_security_office", "park", "library"),
    *("metro_station", "bus_stop", "road_site", "service_office"),
}
WEEKLY = {"chengdu.poi", "chengdu.stop", "chengdu.stop_time", "xinjiang.service_office"}


@cache
def contract(feed: str) -> dict[str, Any]:
    source, name = feed.split(".")
    return yaml.safe_load((SCHEMAS / "sources" / source / f"{name}.odcs.yaml").read_text("utf-8"))["schema"][0]


@cache
def spellings(name: str) -> set[str]:
    content = yaml.safe_load((SCHEMAS / "codesets" / f"{name}.yaml").read_text("utf-8"))
    return {s for code in content["codes"] for s in (code["name_zh"], *code.get("aliases", []))}


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - local times of the sources
    except ValueError:
        return None


def first(*rules: tuple[str, bool]) -> str | None:
    return next((reason for reason, broken in rules if broken), None)


def off(value: float | None, limit: float) -> bool:
    return value is not None and abs(value) > limit


def why_permit(record: Record, day: date) -> str | None:
    issued = datetime.fromtimestamp(int(record["issued_ts"] or 0), UTC) + BEIJING
    code = plain(record["holder_uscc"])
    return first(
        ("check:uscc", code not in ("", "无") and not uscc.is_valid(code)),
        ("code:permit_kind_code", record["permit_kind"] not in spellings("permit_kind")),
        ("required:organisation_name", record["holder_name"] == ""),
        ("required:issued_at", record["issued_ts"] == ""),
        ("future:issued_at", issued.date() > day),
        ("range:longitude", off(number(record["lon"]), 180)),
    )


def why_poi(record: Record, _day: date) -> str | None:
    return first(
        ("code:place_kind_code", record["type"] not in spellings("place_kind")),
        ("required:place_name", record["name"] == ""),
        ("format:latitude", number(record["lat"]) is None),
        ("range:longitude", off(number(record["lng"]), 180)),
    )


def why_stop(record: Record, _day: date) -> str | None:
    return first(
        ("required:place_name", record["stop_name"] == ""),
        ("format:latitude", number(record["stop_lat"]) is None),
        ("range:longitude", off(number(record["stop_lon"]), 180)),
    )


def why_stop_time(record: Record, _day: date) -> str | None:
    sequence = number(record["stop_sequence"])
    return first(
        ("required:trip_code", record["trip_id"] == ""),
        ("required:stop_code", record["stop_id"] == ""),
        ("format:stop_sequence", sequence is None),
        ("range:stop_sequence", sequence is not None and sequence < 0),
        ("format:departure_seconds", not re.fullmatch(r"\d+:[0-5]\d:[0-5]\d", record["departure_time"])),
    )


def why_road_count(record: Record, day: date) -> str | None:
    if "torn" in record:
        return "torn"
    start, vehicles = moment(record["window_start"], "%Y-%m-%d %H:%M:%S"), number(record["vehicle_count"])
    late = start is not None and start.date() > day + timedelta(days=1)
    return first(
        ("required:place_code", record["site_code"] == ""),
        ("code:direction_code", record["direction"] not in spellings("road_direction")),
        ("format:window_start_at format:traffic_date", start is None),
        ("future:window_start_at future:traffic_date", late),
        ("range:vehicle_count", vehicles is not None and vehicles < 0),
        ("format:vehicle_count", vehicles is None),
    )


def why_service_office(record: Record, day: date) -> str | None:
    verified = moment(record["核实日期"], "%Y/%m/%d")
    known = any("county" in facts for _, facts in numdb.get("cn/loc").info(record["所属区划"]))
    return first(
        ("required:place_name", record["网点名称"] == ""),
        ("code:division_code", not known),
        ("format:verified_date", verified is None),
        ("future:verified_date", verified is not None and verified.date() > day),
        ("format:longitude", number(record["经度"]) is None),
    )


WHY: dict[str, Callable[[Record, date], str | None]] = {
    "chengdu.permit": why_permit,
    "chengdu.poi": why_poi,
    "chengdu.stop": why_stop,
    "chengdu.stop_time": why_stop_time,
    "xinjiang.road_count": why_road_count,
    "xinjiang.service_office": why_service_office,
}
# The primary key of the target, as far as the file has it; a timetable is another one with every delivery.
KEYS: dict[str, Callable[[Record, str], tuple[str, ...]]] = {
    "chengdu.permit": lambda r, _: (r["permit_no"], r["issued_ts"]),
    "chengdu.poi": lambda r, _: (r["uid"], r["name"], r["type"], r["address"]),
    "chengdu.stop": lambda r, _: (r["stop_id"], r["stop_name"]),
    "chengdu.stop_time": lambda r, day: (day, r["trip_id"], r["stop_sequence"]),
    "xinjiang.road_count": lambda r, _: (r["site_code"], r["direction"][-1], r["window_start"]),
    "xinjiang.service_office": lambda r, _: (plain(r["网点编号"]), r["核实日期"]),
}


def records(run: Run, feed: str) -> Iterator[tuple[dict[str, Any], Record, dict[str, Any]]]:
    """Delivery, record and defect; sound records are accepted without kind and reason."""
    defects = {(d["path"], d["record_number"]): d for d in run.rows("defects") if d["feed"] == feed}
    sound = {"kind": None, "fate": "accepted", "reason": None}
    for delivery in run.rows("deliveries"):
        if delivery["feed"] == feed:
            for position, record in enumerate(READERS[feed](run.landing / delivery["path"]), 1):
                yield delivery, record, defects.get((delivery["path"], position), sound)


def accepted(run: Run, feed: str) -> Iterator[Record]:
    return (record for _, record, defect in records(run, feed) if defect["fate"] == "accepted")


@pytest.mark.parametrize("feed", FEEDS)
def test_columns_are_the_contracts(run: Run, feed: str) -> None:
    _, record, _ = next(records(run, feed))
    assert sorted(record) == sorted(column["name"] for column in contract(feed)["properties"])


@pytest.mark.parametrize("feed", FEEDS)
def test_truth_is_conserved_in_every_delivery(run: Run, feed: str) -> None:
    deliveries = [d for d in run.rows("deliveries") if d["feed"] == feed]
    assert len(deliveries) == (4 if feed in WEEKLY else 28)
    fates = Counter((delivery["path"], defect["fate"]) for delivery, _, defect in records(run, feed))
    for delivery in deliveries:
        found = {fate: fates[delivery["path"], fate] for fate in ("accepted", "deduplicated", "quarantined")}
        assert found == {fate: delivery[fate] for fate in found}
        assert delivery["read"] == sum(found.values()) > 0


@pytest.mark.parametrize("feed", FEEDS)
def test_records_are_wrong_exactly_where_the_truth_says_so(run: Run, feed: str) -> None:
    for delivery, record, defect in records(run, feed):
        reason = WHY[feed](record, date.fromisoformat(delivery["business_date"]))
        assert reason == defect["reason"], (delivery["path"], record)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_key_is_known_exactly_where_the_truth_says_so(run: Run, feed: str) -> None:
    seen: set[tuple[str, ...]] = set()
    for delivery, record, defect in records(run, feed):
        if defect["fate"] == "quarantined":
            continue
        found = KEYS[feed](record, delivery["business_date"])
        assert (found in seen) == (defect["fate"] == "deduplicated"), (delivery["path"], record)
        seen.add(found)


@pytest.mark.parametrize("feed", FEEDS)
def test_every_kind_of_defect_is_there_at_least_twice(run: Run, feed: str) -> None:
    kinds = Counter(defect["kind"] for _, _, defect in records(run, feed) if defect["kind"])
    assert len(kinds) >= 5
    assert min(kinds.values()) >= 2


def test_permits_name_their_holders_with_and_without_a_code(run: Run) -> None:
    holders = {row["permit_code"]: row for row in run.rows("permit_holders")}
    registered = {o["uscc"]: o["name"] for o in run.rows("organisations")}
    permits = list(accepted(run, "chengdu.permit"))
    coded = [r for r in permits if r["holder_uscc"] not in ("", "无")]
    assert 0.06 < 1 - len(coded) / len(permits) < 0.2
    assert all(plain(r["holder_uscc"]).upper() == holders[r["permit_no"]]["uscc"] for r in coded)
    names = {(plain(r["holder_name"]), registered[holders[r["permit_no"]]["uscc"]]) for r in coded}
    elsewhere = {o["uscc"] for o in run.rows("organisations") if set(o["sources"]) - {"chengdu"}}
    share = sum(holders[r["permit_no"]]["uscc"] in elsewhere for r in permits) / len(permits)
    assert 0.2 < share < 0.5
    # The register may have another name since; nobody else has.
    assert sum(typed != name for typed, name in names) < 0.1 * len(names)


def test_permits_lie_in_the_city_under_bd09(run: Run) -> None:
    for record in accepted(run, "chengdu.permit"):
        assert abs(float(record["lon"]) - to_bd09(104.066, 30.66)[0]) < 0.16
        assert abs(float(record["lat"]) - to_bd09(104.066, 30.66)[1]) < 0.13


def test_shift_of_coordinates_is_the_known_one() -> None:
    """Tiananmen: the pair that coordinate converters publish as their example."""
    assert to_bd09(116.404, 39.915) == pytest.approx((116.41662724378733, 39.922699552216216), abs=1e-8)


def test_archive_is_a_timetable_by_its_own_rules(run: Run) -> None:
    """Members, references and the order of times, as the GTFS Schedule reference has them."""
    paths = sorted(run.landing.glob("chengdu/gtfs/*/*.zip"))
    assert len(paths) == 4
    for path in paths:
        stops = {r["stop_id"]: r for r in read_member(path, "stops.txt") if why_stop(r, date.max) is None}
        trips = {r["trip_id"]: r for r in read_member(path, "trips.txt")}
        routes = {r["route_id"] for r in read_member(path, "routes.txt")}
        services = {r["service_id"] for r in read_member(path, "calendar.txt")}
        assert {r["route_id"] for r in trips.values()} == routes
        assert {r["service_id"] for r in trips.values()} == services
        everything = {r["stop_id"] for r in read_member(path, "stops.txt")}
        assert {r["parent_station"] for r in stops.values()} - {""} <= everything
        times = defaultdict(dict)
        for record in read_member(path, "stop_times.txt"):
            if why_stop_time(record, date.max) is None:
                # A vehicle stops at a platform or at the roadside, never at a station as such.
                assert record["stop_id"] in everything
                assert stops.get(record["stop_id"], {"location_type": "0"})["location_type"] != "1"
                times[record["trip_id"]][int(record["stop_sequence"])] = record["departure_time"]
        assert times.keys() <= trips.keys()
        assert all(list(found.values()) == sorted(found.values()) for found in map(sorted_by_key, times.values()))
        assert any(time >= "24:00:00" for found in times.values() for time in found.values())


def sorted_by_key(found: dict[int, str]) -> dict[int, str]:
    return dict(sorted(found.items()))


def test_timetable_is_another_one_every_week(run: Run) -> None:
    found = defaultdict(set)
    for delivery, record, _ in records(run, "chengdu.stop_time"):
        found[delivery["business_date"]].add((record["trip_id"], record["stop_sequence"], record["departure_time"]))
    weeks = list(found.values())
    assert all(len(one & other) < 0.01 * len(one) for one, other in pairwise(weeks))


def test_roads_are_full_at_the_sites_own_rush_hours(run: Run) -> None:
    by_hour: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for record in accepted(run, "xinjiang.road_count"):
        if record["mean_speed_kmh"]:
            hour = int(record["window_start"][11:13])
            by_hour[hour].append((int(record["vehicle_count"]), float(record["mean_speed_kmh"])))
        else:
            assert record["vehicle_count"] == "0"
    volume = {hour: sum(n for n, _ in found) for hour, found in by_hour.items()}
    speed = {hour: math.fsum(v for _, v in found) / len(found) for hour, found in by_hour.items()}
    assert max(volume, key=lambda hour: volume[hour]) in (17, 18)
    assert speed[18] < 0.75 * speed[3]


def test_contacts_have_names_of_every_length_and_dot(run: Run) -> None:
    names = {record["联系人"] for record in accepted(run, "xinjiang.service_office")}
    assert {len(re.split("[·•．・]", name)) for name in names} == {1, 2, 3}
    assert {dot for name in names for dot in name if dot in "·•．・"} == set("·•．・")
    assert max(map(len, names)) > 9


def test_persons_are_noted(run: Run) -> None:
    known = json.loads((run.truth / "identifiers.json").read_text("utf-8"))
    phones = {plain(r["phone"]) for r in accepted(run, "chengdu.permit")}
    phones |= {r["联系电话"] for r in accepted(run, "xinjiang.service_office")}
    assert phones <= set(known["phone"])
    holders = {row["permit_code"]: row for row in run.rows("permit_holders")}
    traders = {row["uscc"] for row in holders.values() if row["sole_trader"]}
    assert traders
    assert traders <= set(known["sole_trader_uscc"])
    shops = {plain(r["holder_name"]) for r in accepted(run, "chengdu.permit") if holders[r["permit_no"]]["sole_trader"]}
    assert shops <= set(known["sole_trader_name"])


def test_places_are_those_of_the_accepted_records(run: Run) -> None:
    codes = {("chengdu", *(r["uid"] for r in [record])) for record in accepted(run, "chengdu.poi")} | {
        ("chengdu", r["stop_id"]) for r in accepted(run, "chengdu.stop")
    }
    codes |= {("xinjiang", r["site_code"]) for r in accepted(run, "xinjiang.road_count")}
    codes |= {("xinjiang", plain(r["网点编号"])) for r in accepted(run, "xinjiang.service_office")}
    places = [p for p in run.rows("places") if p["source"] in ("chengdu", "xinjiang") and p["kind"] in KINDS]
    noted = Counter((p["source"], code) for p in places for code in p["codes"])
    assert set(noted) == codes
    assert set(noted.values()) == {1}
