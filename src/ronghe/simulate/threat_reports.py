"""The threat reports: a STIX 2.1 bundle a week, with sightings at locations.

A bundle stands for itself, so it carries every location again: unchanged objects come as duplicates.
"""

import json
import random
import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from ronghe.simulate.defects import Defect, Fault, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Window
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.records import Rows, document, weekly, write_records
from ronghe.simulate.regions import areas, signal
from ronghe.simulate.security_surveys import systems
from ronghe.simulate.truth import TruthLog

FEED = Feed("cyberspace", "threat_report", "bundle", "json")
COLUMNS = (
    *("type", "spec_version", "id", "created", "modified", "name", "pattern", "pattern_type", "valid_from"),
    *("country", "administrative_area", "sighting_of_ref", "where_sighted_refs", "count"),
)
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_TYPED = ("where_sighted_refs", "count")
_INDICATORS, _MALWARE = 20, 5
_RATE = 0.018


def write_threat_reports(window: Window, log: TruthLog) -> None:
    """Write a bundle per week and note its truth."""
    days = weekly(window)
    rng = stream(window.seed, "threat reports")
    locations = _locations(window, rng)
    rows = [_report(window, day, locations, rng) for day in days]

    def encode(entries: Sequence[Entry], chance: random.Random) -> bytes:
        bundle = {"type": "bundle", "id": _identifier("bundle", chance)}
        objects = [document(COLUMNS, entry.row, _TYPED) for entry in entries]
        return json.dumps({**bundle, "objects": objects}, ensure_ascii=False, indent=1).encode()

    faults = [
        Fault(Defect("duplicate", "deduplicated"), 8, keeps_original=True),
        quarantined("unknown_type", "code:threat_object_kind_code", 4, set_field(_PLACE["type"], "x-rumour")),
        quarantined("bad_identifier", "pattern:object_code", 4, set_field(_PLACE["id"], "indicator-1")),
        quarantined("bad_time", "format:modified_at", 4, set_field(_PLACE["modified"], "yesterday")),
        quarantined("no_identifier", "required:object_code", 4, set_field(_PLACE["id"], "")),
    ]
    write_records(window, log, FEED, days, rows, faults, encode, repeated=len(locations))


def _identifier(kind: str, rng: random.Random) -> str:
    return f"{kind}--{uuid.UUID(int=rng.getrandbits(128), version=4)}"


def _object(kind: str, at: datetime, rng: random.Random, **facts: str) -> list[str]:
    stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{rng.randrange(1000):03d}Z"
    known = {
        "type": kind,
        "spec_version": "2.1",
        "id": _identifier(kind, rng),
        "created": stamp,
        "modified": stamp,
        **facts,
    }
    return [known.get(name, "") for name in COLUMNS]


def _locations(window: Window, rng: random.Random) -> Rows:
    at = datetime.combine(window.days[0] - timedelta(days=300), time(8))
    named = ((area.name, area) for area in areas(window.seed))
    return [_object("location", at, rng, name=name, country="CN", administrative_area=name) for name, _ in named]


def _report(window: Window, day: date, locations: Rows, rng: random.Random) -> Rows:
    """Return a week's objects: locations, indicators and malware, and what was sighted where."""
    at = datetime.combine(day, time(2))
    indicators = [
        _object(
            *("indicator", at, rng),
            name=f"Command server {n}",
            pattern=f"[domain-name:value = 'c{n}.invalid']",
            pattern_type="stix",
            valid_from=f"{at:%Y-%m-%dT%H:%M:%S}Z",
        )
        for n in range(_INDICATORS)
    ]
    malware = [_object("malware", at, rng, name=f"Family {n}") for n in range(_MALWARE)]
    counts = vector_stream(window.seed, f"sightings {day}")
    sightings = []
    for area, location in zip(areas(window.seed), locations, strict=True):
        level = signal(window.seed, area, "sightings")
        for _ in range(2):
            seen = int(counts.poisson(systems(area) * _RATE * level / 2))
            if seen:
                sightings.append(
                    _object(
                        *("sighting", at, rng),
                        sighting_of_ref=rng.choice(indicators)[_PLACE["id"]],
                        where_sighted_refs=json.dumps([location[_PLACE["id"]]]),
                        count=str(seen),
                    )
                )
    return [*(list(row) for row in locations), *indicators, *malware, *sightings]
