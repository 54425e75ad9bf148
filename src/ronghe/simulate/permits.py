"""The permit feed: Parquet in BD-09 with times in epoch seconds; one holder in eight is named without a code."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from ronghe.simulate.coordinates import to_bd09
from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import CHENGDU
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check
from ronghe.simulate.organisations import (
    ALIVE,
    UNKNOWN_ELSEWHERE,
    Employer,
    Registrar,
    employers,
    registered_stock,
)
from ronghe.simulate.persons import canary_names, draw_name, draw_phone
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import canonical, full_width, spell_code, spell_name
from ronghe.simulate.truth import TruthLog

FEED = Feed("chengdu", "permit", "permit", "parquet")
SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("permit_no", "permit_kind", "holder_uscc", "holder_name", "legal_rep", "phone")
        ),
        *((name, pa.int64()) for name in ("issued_ts", "expires_ts")),
        ("address", pa.string()),
        *((name, pa.float64()) for name in ("lon", "lat")),
    ]
)
_KIND, _USCC, _NAME, _ISSUED, _LON = 1, 2, 3, 6, 9
_KINDS = ("食品经营许可", "食品经营许可证", "卫生许可证", "道路运输经营许可", "出版物经营许可", "劳务派遣经营许可")
_STREETS = (
    "人民南路",
    "一环路",
    "二环路",
    "天府大道",
    "蜀都大道",
    "红星路",
    "建设北路",
    "草堂路",
    "双楠路",
    "成洛大道",
)
_DOTS = "·•．・"
_CENTRE = (104.066, 30.66)

_PERMITS = 9000
_PERMITS_PER_HOLDER = 2.5
_FEWEST_HOLDERS = 12
_KNOWN_ELSEWHERE = 1 / 3
_SHOPS = 0.3
_WITHOUT_CODE = 0.12
_VARIED = 0.6
_FUTURE_DAYS = 40
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times less their offset
_OFFSET = timedelta(hours=8)


@dataclass(frozen=True)
class _Holder:
    """Who holds permits, and the person who acts for it."""

    uscc: str
    name: str
    representative: str
    phone: str

    @property
    def sole_trader(self) -> bool:
        return self.uscc.startswith("92")


def write_permits(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth."""
    holders = _holders(window)
    rng = stream(window.seed, "permit rows")
    weights = window.busyness(weekend=0.2)
    total = max(3 * len(weights), round(_PERMITS * window.factor))
    sizes = [max(2, round(total * weight / sum(weights))) for weight in weights]
    picks = choose(_faults(window), sizes, window.factor, vector_stream(window.seed, "permit defects"))
    sorter = Sorter(sizes, rng)
    held: list[tuple[str, _Holder]] = []
    for number, day in enumerate(window.days):
        for index in range(sizes[number]):
            holder = rng.choice(holders)
            code = f"JY1{5101000000000 + len(held):013d}"
            held.append((code, holder))
            sorter.put(
                number,
                index,
                _row(code, holder, window.clock(number, rng.randint(32400, 64800)), rng),
                picks[number].get(index),
            )
        entries = sorter.take(number)
        write_atomically(window.landing / FEED.path(day), _as_parquet(entries))
        log.add_delivery(FEED, day, entries)
        _note_organisations(log, entries, dict(held))
    facts = ({"permit_code": code, "uscc": h.uscc, "sole_trader": h.sole_trader} for code, h in held)
    log.add_facts("permit_holders", facts)
    _note_persons(log, {holder for _, holder in held})


def _holders(window: Window) -> list[_Holder]:
    """Return the holders: a third are known to a register or as employers, the others only here.

    Sole traders hold permits only in their own city, and under their own names as often as not.
    """
    rng = stream(window.seed, "permit holders")
    count = max(_FEWEST_HOLDERS, round(_PERMITS * window.scale / _PERMITS_PER_HOLDER))
    stock, _ = registered_stock(window.seed, window.scale, window.days[0])
    companies = [Employer(o.uscc, o.name) for o in stock if o.kind == "limited_company" and o.status in ALIVE]
    known = {o.uscc: o for o in [*employers(window.seed, window.scale, window.days[0]), *companies]}
    shared = list(known.values())[: round(count * _KNOWN_ELSEWHERE)]
    registrar = Registrar(rng)
    names = canary_names(2)[: count // 4]
    divisions = {division.code: division.weight for division in CHENGDU}
    found = []
    for number in range(count):
        person = names[number // 2] if number % 2 and number // 2 < len(names) else draw_name(rng)
        if number < len(shared):
            one = shared[number]
        elif rng.random() < _SHOPS:
            one = registrar.shop(CHENGDU, person, "成都市")
        else:
            one = registrar.company(divisions, "成都", "四川")
        found.append(_Holder(one.uscc, one.name, person, draw_phone(rng)))
    return found


def _row(code: str, holder: _Holder, issued: datetime, rng: random.Random) -> list[str]:
    """Return a permit as issued, without defects.

    With a code the office's form fills in the registered name; without one a clerk types it from memory.
    """
    coded = rng.random() >= _WITHOUT_CODE
    name = holder.name if coded or holder.sole_trader or rng.random() >= _VARIED else _varied(holder.name, rng)
    seconds = int((issued - _OFFSET - _EPOCH).total_seconds())
    longitude, latitude = to_bd09(_CENTRE[0] + rng.uniform(-0.15, 0.15), _CENTRE[1] + rng.uniform(-0.12, 0.12))
    division = rng.choice(CHENGDU).name
    return [
        code,
        rng.choice(_KINDS),
        spell_code(holder.uscc, rng) if coded else rng.choice(("", "", "无")),
        spell_name(name, rng),
        holder.representative.replace("·", rng.choice(_DOTS)),
        full_width(holder.phone) if rng.random() < 0.02 else holder.phone,
        str(seconds),
        str(seconds + 5 * 365 * 86400) if rng.random() < 0.9 else "",
        f"四川省成都市{division}{rng.choice(_STREETS)}{rng.randint(1, 399)}号{rng.randint(1, 9)}层",
        f"{longitude:.6f}",
        f"{latitude:.6f}",
    ]


def _varied(name: str, rng: random.Random) -> str:
    """Return a company's name as somebody remembers it: the other legal form, or the region in the other place."""
    if rng.random() < 0.5:
        long, short = "有限责任公司", "有限公司"
        return name.replace(long, short) if long in name else name.replace(short, long)
    for region in ("成都", "四川", "贵阳", "贵州", "南京", "江苏"):
        if name.startswith(region):
            return f"{region}市{name.removeprefix(region)}" if region in ("成都", "贵阳", "南京") else name
        if f"({region})" in name:
            return region + name.replace(f"({region})", "")
    return name


def _faults(window: Window) -> list[Fault]:
    def bad_uscc(row: list[str], _day: int, _rng: random.Random) -> None:
        code = canonical(row[_USCC]).upper()
        row[_USCC] = break_check(code if len(code) == 18 else "91510104MA00000000", USCC_ALPHABET)

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        issued = window.clock(day, _FUTURE_DAYS * 86400) - _OFFSET - _EPOCH
        row[_ISSUED] = str(int(issued.total_seconds()))

    return [
        *duplicates(within=40, resent=20),
        quarantined("bad_uscc", "check:uscc", 40, bad_uscc),
        quarantined("unknown_kind", "code:permit_kind_code", 30, set_field(_KIND, "星际航行许可")),
        quarantined("empty_holder", "required:organisation_name", 20, set_field(_NAME, "")),
        quarantined("future_issue", "future:issued_at", 10, future),
        quarantined("missing_issue", "required:issued_at", 10, set_field(_ISSUED, "")),
        quarantined("bad_longitude", "range:longitude", 20, set_field(_LON, "1040.66")),
    ]


def _as_parquet(entries: Sequence[Entry]) -> bytes:
    buffer = BytesIO()
    columns = zip(*(entry.row for entry in entries), strict=True)
    arrays = [pa.array([c or None for c in column]).cast(f.type) for column, f in zip(columns, SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), buffer)
    return buffer.getvalue()


def _note_organisations(log: TruthLog, entries: Sequence[Entry], holders: dict[str, _Holder]) -> None:
    """Note holders of accepted rows that have a code: a link by name changes nothing about an organisation."""
    for entry in entries:
        if entry.accepted and entry.row[_USCC] not in ("", "无"):
            holder = holders[entry.row[0]]
            facts = {"name": holder.name} | UNKNOWN_ELSEWHERE | {"sole_trader": holder.sole_trader}
            log.add_organisation(FEED.source, holder.uscc, facts)


def _note_persons(log: TruthLog, holders: Iterable[_Holder]) -> None:
    rare, found = set(canary_names(2)), list(holders)
    log.add_identifiers("phone", (h.phone for h in found))
    log.add_identifiers("canary_name", (h.representative for h in found if h.representative in rare))
    log.add_identifiers("sole_trader_uscc", (h.uscc for h in found if h.sole_trader))
    log.add_identifiers("sole_trader_name", (h.name for h in found if h.sole_trader))
