"""The enterprise feed: Excel workbooks, the register's stock on the first day and changes on the others."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from io import BytesIO

import numpy as np
import xlsxwriter

from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import GUIYANG
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check
from ronghe.simulate.organisations import (
    Organisation,
    Registrar,
    registered_stock,
    shared_organisations,
)
from ronghe.simulate.persons import canary_names
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import canonical, full_width, spell_code, spell_name, wide_brackets
from ronghe.simulate.truth import TruthLog

FEED = Feed("guiyang", "enterprise", "enterprise", "xlsx")
SHEET = "登记信息"
COLUMNS = (
    *("统一社会信用代码", "企业名称", "企业类型", "法定代表人", "联系电话", "成立日期", "注册资本（万元）"),
    *("行政区划代码", "住所", "登记状态", "核准日期"),
)
_USCC, _NAME, _KIND, _PHONE, _FOUNDED, _DIVISION, _APPROVED = 0, 1, 2, 4, 5, 7, 10
_KIND_SPELLINGS = {
    "limited_company": (
        *("有限责任公司", "有限责任公司", "有限公司", "有限责任公司(自然人独资)"),
        "有限责任公司(自然人投资或控股)",
    ),
    "joint_stock_company": ("股份有限公司",),
    "sole_trader": ("个体工商户", "个体工商户", "个体户", "个体"),
    "cooperative": ("农民专业合作社", "合作社"),
    "partnership": ("合伙企业", "普通合伙企业"),
}
_KIND_OF = {spelling: kind for kind, known in _KIND_SPELLINGS.items() for spelling in known}
_DOTS = "·•．・"
_CHANGES = 4000
_CHANGES_IN_DAYS = 27
_FEWEST_CHANGES = 3
_NEW_SHARE = 0.45
_FUTURE_DAYS = 40
_CLOSED = ("注销", "吊销")


def write_enterprises(window: Window, log: TruthLog) -> None:
    """Write a workbook per day and note its truth."""
    days, spared = _registrations(window)
    rng = stream(window.seed, "enterprise rows")
    sizes = [len(day) for day in days]
    picks = choose(
        _faults(window),
        sizes,
        window.factor,
        vector_stream(window.seed, "enterprise defects"),
        spared=np.array([o.uscc in spared for day in days for o in day], dtype=bool),
    )
    sorter = Sorter(sizes, rng)
    latest: dict[str, list[str]] = {}
    for number, day in enumerate(window.days):
        for index, organisation in enumerate(days[number]):
            sorter.put(number, index, _row(organisation, rng), picks[number].get(index))
        entries = sorter.take(number)
        write_atomically(window.landing / FEED.path(day), _as_workbook(entries, day))
        log.add_delivery(FEED, day, entries)
        latest.update((canonical(entry.row[_USCC]).upper(), entry.row) for entry in entries if entry.accepted)
    _note_organisations(log, latest)
    _note_persons(log, [o for day in days for o in day])


def _registrations(window: Window) -> tuple[list[list[Organisation]], set[str]]:
    """Return each day's states of organisations, and the codes of those that stay free of defects."""
    stock, registrar = registered_stock(window.seed, window.scale, window.days[0])
    shared = {o.uscc for o in shared_organisations(stock, window.scale)}
    rng = stream(window.seed, "registrations")
    known = [o for o in stock if o.status not in _CLOSED]
    days = [list(stock)]
    rng.shuffle(days[0])
    busy = window.busyness(weekend=0.2)[1:]
    total = _CHANGES * window.scale * len(busy) / _CHANGES_IN_DAYS
    for day, weight in zip(window.days[1:], busy, strict=True):
        count = max(_FEWEST_CHANGES, round(total * weight / sum(busy)))
        new = [registrar.register(day, day, None) for _ in range(round(count * _NEW_SHARE))]
        places = rng.sample(range(len(known)), min(count - len(new), len(known)))
        changed = [_change(known[place], day, registrar, rng, shared) for place in places]
        for place, organisation in zip(places, changed, strict=True):
            known[place] = organisation
        known = [o for o in known if o.status not in _CLOSED] + new
        rng.shuffle(states := new + changed)
        days.append(states)
    return days, shared


def _change(old: Organisation, day: date, registrar: Registrar, rng: random.Random, shared: set[str]) -> Organisation:
    """Return the organisation after one change; shared ones keep their names and stay open."""
    what = rng.choices(("address", "capital", "name", "status"), (35, 25, 25, 15))[0]
    if what in ("name", "status") and old.uscc in shared:
        what = "address"
    if what == "name":
        name = registrar.draw_name(old.kind, old.division, old.representative)
        return replace(old, name=name, approved=day)
    if what == "address":
        return replace(old, address=registrar.draw_address(old.division), approved=day)
    if what == "capital":
        return replace(old, capital=registrar.draw_capital(old.kind), approved=day)
    return replace(old, status=rng.choice(("注销", "注销", "吊销", "存续", "在业")), approved=day)


def _row(organisation: Organisation, rng: random.Random) -> list[str]:
    """Return the row a clerk typed, without defects."""
    kind = rng.choice(_KIND_SPELLINGS[organisation.kind])
    phone = organisation.phone
    return [
        spell_code(organisation.uscc, rng),
        spell_name(organisation.name, rng),
        wide_brackets(kind) if rng.random() < 0.5 else kind,
        organisation.representative.replace("·", rng.choice(_DOTS)),
        full_width(phone) if rng.random() < 0.02 else phone,
        _as_date(organisation.founded),
        organisation.capital,
        organisation.division.code,
        organisation.address,
        organisation.status,
        _as_date(organisation.approved),
    ]


def _as_date(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _faults(window: Window) -> list[Fault]:
    def bad_uscc(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_USCC] = break_check(canonical(row[_USCC]).upper(), USCC_ALPHABET)

    def bad_month(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_FOUNDED] = re.sub(r"\d+月", "13月", row[_FOUNDED])

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_APPROVED] = _as_date(window.days[day] + timedelta(days=_FUTURE_DAYS))

    return [
        *duplicates(within=40, resent=20),
        quarantined("bad_uscc", "check:uscc", 40, bad_uscc),
        quarantined("bad_founded_date", "format:founded_date", 40, bad_month),
        quarantined("unknown_kind", "code:organisation_kind_code", 20, set_field(_KIND, "外星企业")),
        quarantined("unknown_division", "code:division_code", 20, set_field(_DIVISION, "529999")),
        quarantined("empty_name", "required:organisation_name", 20, set_field(_NAME, "")),
        quarantined("future_approved_date", "future:approved_date", 10, future),
    ]


def _as_workbook(entries: Sequence[Entry], day: date) -> bytes:
    """Return the workbook; its time of creation is the day's, so that the same rows give the same bytes."""
    buffer = BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": datetime.combine(day, time(18))})
    sheet = book.add_worksheet(SHEET)
    for number, row in enumerate([COLUMNS, *(entry.row for entry in entries)]):
        for column, value in enumerate(row):
            sheet.write_string(number, column, value)
    book.close()
    return buffer.getvalue()


def _note_organisations(log: TruthLog, latest: dict[str, list[str]]) -> None:
    for uscc, row in latest.items():
        kind = _KIND_OF[canonical(row[_KIND])]
        year, month, day = map(int, re.findall(r"\d+", row[_FOUNDED]))
        facts = {
            "name": canonical(row[_NAME]),
            "kind": kind,
            "founded_date": date(year, month, day).isoformat(),
            "division_code": row[_DIVISION],
            "current_division_code": GUIYANG[row[_DIVISION]].current_code,
            "sole_trader": kind == "sole_trader",
        }
        log.add_organisation(FEED.source, uscc, facts)


def _note_persons(log: TruthLog, states: Sequence[Organisation]) -> None:
    rare = set(canary_names(1))
    log.add_identifiers("phone", (o.phone for o in states))
    log.add_identifiers("canary_name", (o.representative for o in states if o.representative in rare))
    log.add_identifiers("sole_trader_uscc", (o.uscc for o in states if o.sole_trader))
    log.add_identifiers("sole_trader_name", (o.name for o in states if o.sole_trader))
