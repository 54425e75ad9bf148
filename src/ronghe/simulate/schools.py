"""The school feed: delimited text in GB18030, every week all schools with their pupils and teachers of the term."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ronghe.simulate.defects import Defect, Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delimited import as_delimited
from ronghe.simulate.delivery import Feed, Sorter, Window
from ronghe.simulate.divisions import NANJING, NANJING_DISTRICTS, nanjing_today, recorded_in_nanjing
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check
from ronghe.simulate.organisations import Registrar
from ronghe.simulate.persons import draw_name, draw_phone
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import canonical, full_width, spell_code, spell_name
from ronghe.simulate.truth import TruthLog

FEED = Feed("nanjing", "school", "xxjbqk", "csv")
DELIMITER = "|"
REFUSED = "少数民族学生占比"
COLUMNS = (
    *("学校标识码", "学校名称", "学校类别", "统一社会信用代码", "举办者", "所在区划", "地址", "经度", "纬度"),
    *("学年学期", "在校生数", "专任教师数", REFUSED, "校长姓名", "联系电话", "统计日期"),
)
_CODE, _KIND, _USCC, _DIVISION, _LONGITUDE, _LATITUDE, _TERM, _PUPILS, _TEACHERS = 0, 2, 3, 5, 7, 8, 9, 10, 11
FREQUENCY_DAYS = 7


@dataclass(frozen=True)
class Stage:
    """A kind of school: spellings, share of all schools, ending of its name, pupils (least, most, usual), ratio."""

    code: str
    spellings: tuple[str, ...]
    share: float
    ending: str
    pupils: tuple[int, int, int]
    pupils_per_teacher: float
    private_share: float


_VOCATIONAL = Stage("vocational_school", ("中职", "中等职业学校"), 4, "中等专业学校", (400, 4000, 1600), 14, 0.1)
_STAGES = (
    Stage("kindergarten", ("幼儿园",), 45, "幼儿园", (110, 450, 220), 8, 0.4),
    Stage("primary_school", ("小学", "小学", "普通小学"), 30, "小学", (300, 2500, 1100), 17, 0.05),
    Stage("junior_middle_school", ("初中", "初级中学"), 14, "初级中学", (250, 1800, 800), 12, 0.08),
    Stage("senior_middle_school", ("高中", "高级中学"), 7, "高级中学", (600, 3000, 1500), 11, 0.08),
    _VOCATIONAL,
)
# The last street's first character is not in GBK: its four bytes are read right as GB18030 only.
_STREETS = ("珠江路", "汉中路", "长江路", "升州路", "中山东路", "大桥北路", "双龙大道", "学前路", "㳇河街")
_SCHOOLS = 1200
# So many that the few defects of a small run leave each delivery fit to be accepted.
_FEWEST = 60
_INSURING = 20
_NO_CODE, _NO_CODE_SHARE = "无", 0.05
_FEWEST_TEACHERS = 12
# One school has so few teachers, whatever the scale, that its county's cell may not be shown; no other is of its kind
# there.
_SMALL_DIVISION = "320118"
_SMALL_PUPILS, _SMALL_TEACHERS = 120, 8


@dataclass(frozen=True)
class School:
    """A school; `uscc` is missing where it is not registered as a body of its own."""

    code: str
    name: str
    stage: Stage
    uscc: str | None
    sponsor: str
    division: str
    address: str
    longitude: float
    latitude: float
    pupils: int
    teachers: int
    head: str
    phone: str


# First two signs of the code (GB 32100-2015): a public institution, a private body that is no enterprise.
_PUBLIC, _PRIVATE = "12", "52"
_ORGANISATION_KINDS = {_PUBLIC: "public_institution", _PRIVATE: "private_non_enterprise"}


def write_schools(window: Window, log: TruthLog) -> None:
    """Write a file per week and note its truth."""
    schools = draw_schools(window.seed, window.scale)
    days = window.days[::FREQUENCY_DAYS]
    rng = stream(window.seed, "school rows")
    deliveries = [_rows(schools, day, rng, with_last_term=day == days[0]) for day in days]
    sizes = [len(rows) for rows in deliveries]
    small = schools[0].code
    every_row = [row for rows in deliveries for row in rows]
    picks = choose(
        _faults(days),
        sizes,
        window.factor,
        vector_stream(window.seed, "school defects"),
        spared=np.array([row[_CODE] == small for row in every_row], dtype=bool),
        only={"bad_uscc": np.array([row[_USCC] != _NO_CODE for row in every_row], dtype=bool)},
    )
    accepted: set[str] = set()
    sorter = Sorter(sizes, rng)
    for number, day in enumerate(days):
        for index, row in enumerate(deliveries[number]):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        write_atomically(window.landing / FEED.path(day), as_delimited(COLUMNS, entries, DELIMITER))
        log.add_delivery(FEED, day, entries)
        accepted.update(entry.row[_CODE] for entry in entries if entry.accepted)
    _note_schools(log, [school for school in schools if school.code in accepted])
    log.add_identifiers("phone", (school.phone for school in schools))


def draw_schools(seed: int, scale: float) -> list[School]:
    """Return the schools; the first is the small one."""
    rng = stream(seed, "schools")
    registrar = Registrar(rng)
    return [_draw_school(number, rng, registrar) for number in range(max(_FEWEST, round(_SCHOOLS * scale)))]


def insuring_schools(seed: int, scale: float) -> list[School]:
    """Return the schools that also insure people: the first ones with a code."""
    found = [school for school in draw_schools(seed, scale) if school.uscc]
    return found[: max(3, round(_INSURING * scale))]


def _draw_school(number: int, rng: random.Random, registrar: Registrar) -> School:
    small = number == 0
    stage = _VOCATIONAL if small else rng.choices(_STAGES, [stage.share for stage in _STAGES])[0]
    today = _SMALL_DIVISION if small else rng.choices(list(NANJING), list(NANJING.values()))[0]
    if not small and stage is _VOCATIONAL and today == _SMALL_DIVISION:
        today = "320115"
    district = NANJING_DISTRICTS[today]
    division = today if small else recorded_in_nanjing(today, rng)
    private, has_code = rng.random() < stage.private_share, rng.random() >= _NO_CODE_SHARE
    name = registrar.draw_other_name(lambda brand: _name(district.name, brand, stage, rng))
    pupils = int(rng.triangular(*stage.pupils))
    teachers = max(_FEWEST_TEACHERS, round(pupils / stage.pupils_per_teacher * rng.uniform(0.85, 1.15)))
    return School(
        code=f"3201{number:06d}",
        name=name,
        stage=stage,
        uscc=registrar.draw_uscc(_PRIVATE if private else _PUBLIC, division) if has_code else None,
        sponsor=draw_name(rng) if private else f"南京市{district.name}教育局",
        division=division,
        address=f"江苏省南京市{district.name}{rng.choice(_STREETS)}{rng.randint(1, 399)}号",
        longitude=round(district.longitude + rng.uniform(-0.08, 0.08), 6),
        latitude=round(district.latitude + rng.uniform(-0.06, 0.06), 6),
        pupils=_SMALL_PUPILS if small else pupils,
        teachers=_SMALL_TEACHERS if small else teachers,
        head=draw_name(rng),
        phone=draw_phone(rng),
    )


def _name(district: str, brand: str, stage: Stage, rng: random.Random) -> str:
    campus = rng.choice(("", "", "", "", "(东校区)", "(北校区)"))
    return f"南京市{district}{brand}{stage.ending}{campus}"


def _rows(schools: Sequence[School], day: date, rng: random.Random, *, with_last_term: bool) -> list[list[str]]:
    """Return a delivery's rows without defects; pupils come and go from week to week."""
    running = _term(day)
    rows = [_row(school, running, day, rng) for school in schools]
    if with_last_term:
        year, half = running
        rows += [_row(school, (year, 1) if half == 2 else (year - 1, 2), day, rng) for school in schools]
    rng.shuffle(rows)
    return rows


def _term(day: date) -> tuple[int, int]:
    """Return the year in which a day's school year began, and which half of it the day is in."""
    if day.month >= 9:
        return day.year, 1
    return day.year - 1, 1 if day.month == 1 else 2


def _spell_term(term: tuple[int, int], rng: random.Random) -> str:
    year, half = term
    return rng.choice(
        (
            *(f"{year}-{year + 1}学年第{'一二'[half - 1]}学期",) * 4,
            f"{year}-{year + 1}学年{'上下'[half - 1]}学期",
            f"{year + half - 1}年{'秋春'[half - 1]}季学期",
        )
    )


def _row(school: School, term: tuple[int, int], day: date, rng: random.Random) -> list[str]:
    moved = rng.randint(-3, 3) if rng.random() < 0.1 else 0
    return [
        school.code,
        spell_name(school.name, rng),
        rng.choice(school.stage.spellings),
        spell_code(school.uscc, rng) if school.uscc else _NO_CODE,
        school.sponsor,
        full_width(school.division) if rng.random() < 0.01 else school.division,
        school.address,
        f"{school.longitude:.6f}",
        f"{school.latitude:.6f}",
        _spell_term(term, rng),
        str(school.pupils + moved),
        str(school.teachers),
        f"{rng.uniform(0, 8):.1f}%",
        school.head,
        school.phone,
        f"{day:%Y/%m/%d}",
    ]


def _faults(days: Sequence[date]) -> list[Fault]:
    def bad_uscc(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_USCC] = break_check(canonical(row[_USCC]).upper(), USCC_ALPHABET)

    def swapped(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_LONGITUDE], row[_LATITUDE] = row[_LATITUDE], row[_LONGITUDE]

    def tear(row: list[str], _day: int, rng: random.Random) -> None:
        del row[rng.randint(2, 10) :]

    return [
        *duplicates(within=40, resent=20),
        Fault(Defect("torn", "quarantined", "torn"), 0, tear, at_end=True, exactly=min(2, len(days))),
        quarantined("bad_uscc", "check:uscc", 20, bad_uscc),
        quarantined("unknown_kind", "code:school_kind_code", 20, set_field(_KIND, "私塾")),
        quarantined("unknown_division", "code:division_code", 20, set_field(_DIVISION, "329999")),
        quarantined("unknown_term", "code:term_code", 10, set_field(_TERM, "暑假")),
        quarantined("swapped_position", "range:latitude", 20, swapped),
        quarantined("negative_pupils", "range:pupil_count", 20, set_field(_PUPILS, "-1")),
        quarantined("unreadable_teachers", "format:teacher_count", 20, set_field(_TEACHERS, "约30")),
    ]


def _note_schools(log: TruthLog, schools: Sequence[School]) -> None:
    """Note the schools of accepted rows, as organisations and as places."""
    for school in schools:
        log.add_place(FEED.source, school.name, [school.code], school.stage.code, school.longitude, school.latitude)
        if school.uscc:
            facts = {
                "name": school.name,
                "kind": _ORGANISATION_KINDS[school.uscc[:2]],
                "founded_date": None,
                "division_code": school.division,
                "current_division_code": nanjing_today(school.division),
                "sole_trader": False,
            }
            log.add_organisation(FEED.source, school.uscc, facts)
