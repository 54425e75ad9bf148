"""Incidents on pipe networks: a table in a database of the source, one row per published state of an incident."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Column, Integer, MetaData, String, Table

from ronghe.simulate.database import write_database
from ronghe.simulate.defects import Defect, Fault, choose, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.persons import draw_name, draw_phone
from ronghe.simulate.pipe_assets import Segment, first_stock
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import spell_code
from ronghe.simulate.truth import TruthLog

CONNECTION = "nanjing_pipes"
# The fetched rows land as JSON Lines; in the database they stand in the order of their numbers.
FEED = Feed("nanjing", "pipe_incident", "pipe_incident", "jsonl")
# Times are text there, as old systems keep them: so they can be wrong.
TABLE = Table(
    "pipe_incident",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("incident_no", String(40)),
    Column("segment_code", String(40)),
    Column("pipe_kind", String(20)),
    Column("incident_kind", String(20)),
    Column("severity", String(20)),
    Column("reported_at", String(19)),
    Column("repaired_at", String(19)),
    Column("affected_households", Integer),
    Column("division_code", String(6)),
    Column("reporter_name", String(40)),
    Column("reporter_phone", String(20)),
    Column("cause", String(200)),
    Column("published_date", String(10)),
)
_COLUMNS = tuple(column.name for column in TABLE.columns)[1:]
_NUMBER, _KIND, _SEVERITY, _REPORTED, _HOUSEHOLDS, _DIVISION, _PUBLISHED = 0, 3, 4, 5, 7, 8, 12
_KINDS = {
    "water_pipe": ("爆管", "渗漏", "渗漏", "第三方破坏"),
    "gas_pipe": ("燃气泄漏", "燃气泄漏", "第三方破坏"),
    "drainage_pipe": ("堵塞", "堵塞", "渗漏"),
    "heat_pipe": ("渗漏", "爆管"),
}
_SEVERITIES, _SEVERITY_WEIGHTS = ("一般", "较大", "重大", "特别重大"), (88, 9, 2.5, 0.5)
_CAUSES = ("管道老化锈蚀", "接口松动", "施工单位开挖挖断", "冬季低温冻裂", "杂物淤积", "路面沉降", "原因待查")
_INCIDENTS = 5000
# So many a day that the few defects of a small run leave each delivery fit to be accepted.
_FEWEST_A_DAY = 40
_NO_SEGMENT, _UNKNOWN_SEGMENT = 0.06, 0.04
_FUTURE_DAYS = 40
_MOMENT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Incident:
    """An incident; `repaired` may lie beyond the window."""

    number: str
    segment: Segment
    segment_code: str
    kind: str
    severity: str
    reported: datetime
    repaired: datetime
    households: int
    reporter: str
    phone: str
    cause: str


def write_pipe_incidents(window: Window, log: TruthLog) -> None:
    """Write the database and note which record of which day is what."""
    rng = stream(window.seed, "pipe incidents")
    incidents = _draw_incidents(window, rng)
    days, single = _states(window, incidents)
    sizes = [len(rows) for rows in days]
    picks = choose(
        _faults(window),
        sizes,
        window.factor,
        vector_stream(window.seed, "pipe incident defects"),
        # Of two states the first must not be published on the day of the second.
        only={"late": np.array([flag for flags in single for flag in flags], dtype=bool)},
    )
    sorter = Sorter(sizes, rng)
    published: list[Entry] = []
    for number, day in enumerate(window.days):
        for index, row in enumerate(days[number]):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        log.add_delivery(FEED, day, entries)
        published += entries
    rows = [{"id": number, **_values(entry.row)} for number, entry in enumerate(published, 1)]
    write_database(window.upstream / f"{CONNECTION}.sqlite", TABLE, rows)
    log.add_identifiers("phone", (incident.phone for incident in incidents))


def _draw_incidents(window: Window, rng: random.Random) -> list[Incident]:
    """Return the incidents in the order in which they were reported."""
    stock = first_stock(window)
    busy = window.busyness(weekend=0.8)
    found: list[Incident] = []
    for day, weight in enumerate(busy):
        count = max(_FEWEST_A_DAY, round(_INCIDENTS * window.factor * weight / sum(busy)))
        for second in sorted(rng.randrange(86400) for _ in range(count)):
            found.append(_draw_incident(len(found) + 1, window.clock(day, second), rng.choice(stock), rng))
    return found


def _draw_incident(number: int, reported: datetime, segment: Segment, rng: random.Random) -> Incident:
    chance = rng.random()
    name, phone = draw_name(rng), draw_phone(rng)
    call = f"，联系人{name} {phone}" if rng.random() < 0.05 else ""
    return Incident(
        number=f"GW{reported:%Y%m%d}{number:06d}",
        segment=segment,
        segment_code="" if chance < _NO_SEGMENT else _segment_code(segment, chance, rng),
        kind=rng.choice(_KINDS[segment.network.code]),
        severity=rng.choices(_SEVERITIES, _SEVERITY_WEIGHTS)[0],
        reported=reported,
        repaired=reported + timedelta(seconds=int(min(rng.lognormvariate(1.6, 0.9), 96) * 3600)),
        households=int(rng.expovariate(1 / 60)),
        reporter=name,
        phone=phone,
        cause=rng.choice(_CAUSES) + call,
    )


def _segment_code(segment: Segment, chance: float, rng: random.Random) -> str:
    """Return the segment's code as typed, or one that no snapshot lists."""
    if chance < _NO_SEGMENT + _UNKNOWN_SEGMENT:
        return f"{segment.code[:-6]}9{segment.code[-5:]}"
    return spell_code(segment.code, rng, odd=0.02)


def _states(window: Window, incidents: Sequence[Incident]) -> tuple[list[list[list[str]]], list[list[bool]]]:
    """Return each day's rows without defects, and for each whether it is the only state of its incident."""
    days: list[list[list[str]]] = [[] for _ in window.days]
    single: list[list[bool]] = [[] for _ in window.days]
    for incident in incidents:
        first = (incident.reported.date() - window.days[0]).days
        last = (incident.repaired.date() - window.days[0]).days
        seen = [first] if last == first or last >= len(days) else [first, last]
        for day in seen:
            days[day].append(_row(incident, window, day, is_repaired=day == last))
            single[day].append(len(seen) == 1)
    return days, single


def _row(incident: Incident, window: Window, day: int, *, is_repaired: bool) -> list[str]:
    return [
        incident.number,
        incident.segment_code,
        incident.segment.network.spellings[0],
        incident.kind,
        incident.severity,
        incident.reported.strftime(_MOMENT),
        incident.repaired.strftime(_MOMENT) if is_repaired else "",
        str(incident.households),
        incident.segment.today,
        incident.reporter,
        incident.phone,
        incident.cause,
        window.days[day].isoformat(),
    ]


def _values(row: Sequence[str]) -> dict[str, str | int | None]:
    """Return a row as the database keeps it: numbers as numbers, nothing as NULL."""
    values: dict[str, str | int | None] = {name: text or None for name, text in zip(_COLUMNS, row, strict=True)}
    values[_COLUMNS[_HOUSEHOLDS]] = int(row[_HOUSEHOLDS])
    return values


def _faults(window: Window) -> list[Fault]:
    def late(row: list[str], day: int, _rng: random.Random) -> None:
        row[_PUBLISHED] = window.days[day].isoformat()

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_REPORTED] = window.clock(day, _FUTURE_DAYS * 86400).strftime(_MOMENT)

    return [
        Fault(Defect("duplicate", "deduplicated"), 40, keeps_original=True),
        Fault(Defect("late", "accepted"), 60, late, delay=(1, 3)),
        quarantined("unknown_kind", "code:incident_kind_code", 30, set_field(_KIND, "管道失踪")),
        quarantined("unknown_severity", "code:severity_code", 30, set_field(_SEVERITY, "很大")),
        quarantined("bad_time", "format:occurred_at", 30, set_field(_REPORTED, "2026-13-45 99:00:00")),
        quarantined("future_report", "future:occurred_at", 20, future),
        quarantined("negative_households", "range:affected_household_count", 30, set_field(_HOUSEHOLDS, "-5")),
        quarantined("unknown_division", "code:division_code", 30, set_field(_DIVISION, "329999")),
        quarantined("empty_number", "required:incident_code", 20, set_field(_NUMBER, "")),
    ]
