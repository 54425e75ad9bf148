"""The security survey: CSV, what regions report each week of incidents, defence and governance."""

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ronghe.simulate.defects import Defect, Fault, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Window
from ronghe.simulate.randomness import vector_stream
from ronghe.simulate.records import Rows, weekly, write_records
from ronghe.simulate.regions import Area, signal, units
from ronghe.simulate.truth import TruthLog

FEED = Feed("cyberspace", "security_survey", "survey", "csv")
COLUMNS = ("region_code", "indicator_code", "value", "unit", "base", "period")
_SYSTEMS = 900
_MISSING = 0.05


@dataclass(frozen=True)
class _Question:
    """What is asked; `base` is a multiple of the systems, `value` draws the figure from base and risk."""

    code: str
    unit: str
    base: float
    value: Callable[[np.random.Generator, float, float], float]


def _events(rate: float) -> Callable[[np.random.Generator, float, float], float]:
    return lambda rng, base, risk: float(rng.poisson(base * rate * risk))


def _share(best: float, lost: float) -> Callable[[np.random.Generator, float, float], float]:
    return lambda rng, base, risk: float(rng.binomial(int(base), best - lost * risk))


def _days(rng: np.random.Generator, _base: float, risk: float) -> float:
    return round(float(np.clip(0.5 + 10.5 * risk + rng.normal(0, 0.4), 0.1, 60)), 1)


_QUESTIONS = (
    _Question("incident", "1", 1, _events(0.028)),
    _Question("defaced_site", "1", 3, _events(0.011)),
    _Question("containment_time", "d", 0, _days),
    _Question("patched_system", "1", 1, _share(0.98, 0.64)),
    _Question("protected_endpoint", "1", 12, _share(0.97, 0.62)),
    _Question("tested_backup", "1", 1, _share(0.94, 0.8)),
    _Question("filed_system", "1", 1, _share(0.98, 0.63)),
    _Question("drill", "1", 0.5, _share(0.93, 0.85)),
    _Question("security_staff", "1", 1, _share(0.058, 0.05)),
    _Question("security_budget", "CNY", 40_000, _share(0.14, 0.12)),
)


def systems(unit: Area) -> int:
    """Return how many information systems a unit has registered."""
    return round(_SYSTEMS * unit.weight)


def write_security_surveys(window: Window, log: TruthLog) -> None:
    """Write a survey per week and note its truth."""
    days = weekly(window)
    rng = vector_stream(window.seed, "surveys")
    rows = [_answers(window, day, rng) for day in days]
    faults = [
        Fault(Defect("duplicate", "deduplicated"), 8, keeps_original=True),
        quarantined("unknown_region", "code:region_code", 4, set_field(0, "大洋市")),
        quarantined("unknown_indicator", "code:survey_indicator_code", 4, set_field(1, "happiness")),
        quarantined("negative_value", "range:reported_value", 4, set_field(2, "-3")),
        quarantined("no_number", "format:reported_value", 4, set_field(2, "约三成")),
        quarantined("empty_value", "required:reported_value", 4, set_field(2, "-")),
        quarantined("bad_period", "format:reported_until_date", 4, set_field(5, "2026-02-30")),
    ]
    write_records(window, log, FEED, days, rows, faults, _as_csv)


def _answers(window: Window, day: date, rng: np.random.Generator) -> Rows:
    """Return a week's answers; a region answers under its code or its name, and leaves some questions out."""
    rows = []
    for unit in units(window.seed):
        by_name = rng.random() < 0.3
        for question in _QUESTIONS:
            base = round(systems(unit) * question.base)
            value = question.value(rng, base, signal(window.seed, unit, question.code))
            if unit.silent or rng.random() < _MISSING:
                continue
            who = unit.name if by_name else unit.code
            figure = f"{value:.1f}" if question.unit == "d" else f"{value:.0f}"
            rows.append([who, question.code, figure, question.unit, str(base) if base else "", day.isoformat()])
    return rows


def _as_csv(entries: Sequence[Entry], _rng: random.Random) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *(entry.row for entry in entries)])
    return text.getvalue().encode()
