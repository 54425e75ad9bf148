"""The social-security feed: XML in GBK, one file per day of settlement."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ronghe.simulate.defects import (
    Defect,
    Fault,
    choose,
    duplicates,
    quarantined,
    set_field,
)
from ronghe.simulate.delivery import AT_END, Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import NANJING
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check, to_18
from ronghe.simulate.organisations import Employer, employers
from ronghe.simulate.persons import Person, canary_names, draw_persons
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.schools import insuring_schools
from ronghe.simulate.text import canonical, full_width, spell_code, spell_name
from ronghe.simulate.truth import TruthLog

FEED = Feed("nanjing", "social_security", "sbjf", "xml")
ENCODING = "gbk"
ROOT, RECORD = "社会保险", "参保记录"
REFUSED = "民族"
COLUMNS = (
    *("个人编号", "公民身份号码", "姓名", REFUSED, "联系电话", "险种", "参保区划", "缴费月份", "缴费基数"),
    *("单位缴费", "个人缴费", "单位统一社会信用代码", "单位名称", "结算时间"),
)
_ID, _SCHEME, _DIVISION, _BASE, _USCC, _EMPLOYER, _SETTLED = 1, 5, 6, 8, 11, 12, 13
_AMOUNTS = (8, 9, 10)
# What only the register knows of an organisation.
_UNKNOWN_HERE = {
    **dict.fromkeys(("kind", "founded_date", "division_code", "current_division_code")),
    "sole_trader": False,
}
_RESIDENT_ALPHABET = "0123456789X"
# The two dots a name's parts may have in GBK; it has no U+2022 and no U+30FB.
_DOTS = "·．"


@dataclass(frozen=True)
class Scheme:
    """An insurance scheme: its spellings and the shares of employer and person."""

    spellings: tuple[str, ...]
    employer: float
    individual: float


_PENSION = Scheme(("城镇职工基本养老保险", "城镇职工基本养老保险", "企业职工基本养老保险", "职工养老"), 0.16, 0.08)
_MEDICAL = Scheme(("职工基本医疗保险", "职工基本医疗保险", "职工医疗"), 0.08, 0.02)
_INJURY = Scheme(("工伤保险",), 0.004, 0.0)
_UNEMPLOYMENT = Scheme(("失业保险",), 0.005, 0.005)
_EVERYONES = (_PENSION, _MEDICAL, _INJURY)

_PERSONS = 18000
_FEWEST_PERSONS = 60
_FOURTH_SCHEME_SHARE = 1 / 3
# So few people here have unemployment insurance, whatever the scale, that publishing must suppress something.
_SMALL_DIVISION = "320118"
_SMALL_GROUP = 5


@dataclass(frozen=True)
class _Account:
    """A person's month: where, with whom, which schemes, and when it is settled."""

    person: Person
    division: str
    employer: Employer
    base: float
    month: str
    day: int
    second: int
    schemes: tuple[Scheme, ...]
    small_group: bool


def write_social_security(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth."""
    accounts = _draw_accounts(window)
    rng = stream(window.seed, "social security rows")
    days: list[list[list[str]]] = [[] for _ in window.days]
    spared: list[list[bool]] = [[] for _ in window.days]
    for account in accounts:
        days[account.day].extend(_rows(account, window, rng))
        spared[account.day].extend([account.small_group] * len(account.schemes))
    sizes = [len(rows) for rows in days]
    picks = choose(
        _faults(window),
        sizes,
        window.factor,
        vector_stream(window.seed, "social security defects"),
        spared=np.array([flag for flags in spared for flag in flags], dtype=bool),
    )
    sorter = Sorter(sizes, rng)
    for number, day in enumerate(window.days):
        for index, row in enumerate(days[number]):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        write_atomically(window.landing / FEED.path(day), _as_xml(entries, rng))
        log.add_delivery(FEED, day, entries)
        _note_entries(log, entries)
    _note_persons(log, [account.person for account in accounts])


def _draw_accounts(window: Window) -> list[_Account]:
    """Return the accounts in order of settlement."""
    rng = stream(window.seed, "accounts")
    persons = draw_persons(rng, max(_FEWEST_PERSONS, round(_PERSONS * window.factor)), _DOTS)
    rng.shuffle(persons)
    firms = employers(window.seed, window.scale, window.days[0])
    firms += [Employer(str(school.uscc), school.name) for school in insuring_schools(window.seed, window.scale)]
    rng.shuffle(firms)
    weights = [(rank + 3) ** -0.7 for rank in range(len(firms))]
    hired = rng.choices(firms, weights, k=len(persons))
    small = 2 * _SMALL_GROUP
    calendar = [*_small_group_days(window, rng), *_spread_days(window, len(persons) - small, rng)]
    divisions = [_SMALL_DIVISION] * small
    divisions += rng.choices(list(NANJING), list(NANJING.values()), k=len(persons) - small)
    found = [
        _Account(
            person=person,
            division=division,
            employer=employer,
            base=round(rng.triangular(4000, 30000, 7500), 2),
            month=month,
            day=day,
            second=rng.randint(8 * 3600, 18 * 3600),
            schemes=_draw_schemes(division, number < small, rng),
            small_group=number < small,
        )
        for number, (person, employer, (day, month), division) in enumerate(
            zip(persons, hired, calendar, divisions, strict=True)
        )
    ]
    return sorted(found, key=lambda account: (account.day, account.second))


def _months(window: Window) -> tuple[str, str]:
    """Return the month before the last day's, and the last day's."""
    last = window.days[-1]
    return f"{last.replace(day=1) - timedelta(days=1):%Y%m}", f"{last:%Y%m}"


def _small_group_days(window: Window, rng: random.Random) -> list[tuple[int, str]]:
    """Return day and month for the small group: equally many for each of the two months."""
    found = []
    for month in _months(window):
        days = [n for n, day in enumerate(window.days) if f"{day:%Y%m}" >= month]
        found += [(rng.choice(days), month) for _ in range(_SMALL_GROUP)]
    return found


def _spread_days(window: Window, count: int, rng: random.Random) -> list[tuple[int, str]]:
    """Return day and month for everybody else: each day has somebody, no month lies ahead of its day."""
    days = list(range(len(window.days)))[:count]
    days += rng.choices(range(len(window.days)), window.busyness(weekend=0.3), k=count - len(days))
    before, _ = _months(window)
    own = [f"{day:%Y%m}" for day in window.days]
    return [(day, min(before, own[day]) if rng.random() < 0.3 else own[day]) for day in days]


def _draw_schemes(division: str, small_group: bool, rng: random.Random) -> tuple[Scheme, ...]:
    """Return the three schemes everyone has, for a third the fourth; in the small division it is rare."""
    fourth = division != _SMALL_DIVISION and rng.random() < _FOURTH_SCHEME_SHARE
    return (*_EVERYONES, _UNEMPLOYMENT) if fourth or small_group else _EVERYONES


def _rows(account: _Account, window: Window, rng: random.Random) -> Iterator[list[str]]:
    """Return an account's rows, one per scheme, without defects."""
    person, employer, base = account.person, account.employer, account.base
    settled = window.clock(account.day, account.second).isoformat()
    for number, scheme in enumerate(account.schemes):
        division = account.division
        yield [
            person.account,
            _spell_id(person, number, rng),
            person.name,
            person.ethnicity,
            person.phone,
            rng.choice(scheme.spellings),
            full_width(division) if rng.random() < 0.01 else division,
            account.month,
            f"{base:.2f}",
            f"{base * scheme.employer:.2f}",
            f"{base * scheme.individual:.2f}",
            spell_code(employer.uscc, rng),
            spell_name(employer.name, rng),
            settled,
        ]


def _spell_id(person: Person, number: int, rng: random.Random) -> str:
    """Return the identity number as typed; who has a 15-digit form has it on every second row."""
    spelt = person.resident_id if person.short_id is None or number % 2 else person.short_id
    if spelt.endswith("X") and rng.random() < 0.3:
        spelt = spelt.lower()
    return full_width(spelt) if rng.random() < 0.02 else spelt


def _faults(window: Window) -> list[Fault]:
    def restate(row: list[str], day: int, rng: random.Random) -> None:
        correction = rng.uniform(1.02, 1.2)
        for column in _AMOUNTS:
            row[column] = f"{float(row[column]) * correction:.2f}"
        row[_SETTLED] = window.clock(day, rng.randint(8 * 3600, 18 * 3600)).isoformat()

    def bad_id(row: list[str], _day: int, _rng: random.Random) -> None:
        typed = canonical(row[_ID]).upper()
        row[_ID] = break_check(typed if len(typed) == 18 else to_18(typed), _RESIDENT_ALPHABET)

    def bad_uscc(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_USCC] = break_check(canonical(row[_USCC]).upper(), USCC_ALPHABET)

    torn_files = min(4, max(1, len(window.days) // 2))
    return [
        *duplicates(within=60, resent=30),
        Fault(Defect("restated", "accepted"), 600, restate, keeps_original=True, delay=(1, 999)),
        Fault(Defect("torn", "quarantined", "torn"), 0, at_end=True, exactly=torn_files),
        quarantined("bad_person_id", "check:person_token", 40, bad_id),
        quarantined("unknown_scheme", "code:scheme_code", 40, set_field(_SCHEME, "补充保险")),
        quarantined("unknown_division", "code:division_code", 40, set_field(_DIVISION, "999999")),
        quarantined("bad_base", "format:base_cny", 40, set_field(_BASE, "abc")),
        quarantined("bad_employer_uscc", "check:employer_uscc", 40, bad_uscc),
        quarantined("empty_person_id", "required:person_token", 20, set_field(_ID, "")),
    ]


def _as_xml(entries: Sequence[Entry], rng: random.Random) -> bytes:
    """Return the file; where the last record is torn, nothing follows it."""
    head = f'<?xml version="1.0" encoding="{ENCODING.upper()}"?>\n<{ROOT}>\n'
    records = [_record(entry.row) for entry in entries]
    tail = f"</{ROOT}>\n"
    if entries and entries[-1].position == AT_END:
        row = entries[-1].row
        least, most = (len(_record(row[:count], closed=False)) for count in (3, 11))
        records[-1] = records[-1][: rng.randint(least, most)]
        tail = ""
    return (head + "".join(records) + tail).encode(ENCODING)


def _record(row: Sequence[str], *, closed: bool = True) -> str:
    """Return a record's text. No value holds a character that XML reserves."""
    fields = "".join(f"<{column}>{value}</{column}>" for column, value in zip(COLUMNS, row, strict=False))
    return f"<{RECORD}>{fields}" + (f"</{RECORD}>\n" if closed else "")


def _note_entries(log: TruthLog, entries: Sequence[Entry]) -> None:
    """Note employers of accepted rows, and the identity numbers that were damaged on the way."""
    for entry in entries:
        if entry.accepted:
            facts = {"name": canonical(entry.row[_EMPLOYER])} | _UNKNOWN_HERE
            log.add_organisation(FEED.source, canonical(entry.row[_USCC]).upper(), facts)
    damaged = [e.row[_ID] for e in entries if e.defect and e.defect.kind == "bad_person_id"]
    log.add_identifiers("damaged_resident_id", damaged)


def _note_persons(log: TruthLog, persons: Sequence[Person]) -> None:
    rare = set(canary_names(0))
    log.add_identifiers("resident_id", (p.resident_id for p in persons))
    log.add_identifiers("resident_id", (p.short_id for p in persons if p.short_id))
    log.add_identifiers("phone", (p.phone for p in persons))
    log.add_identifiers("account_number", (p.account for p in persons))
    log.add_identifiers("canary_name", (p.name for p in persons if p.name in rare))
