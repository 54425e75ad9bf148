"""The swipe feed: CSV in GB18030, one file per service day."""

import random
from collections.abc import Iterator

import numpy as np

from ronghe.simulate.defects import (
    Defect,
    Fault,
    Mask,
    choose,
    duplicates,
    quarantined,
    set_field,
)
from ronghe.simulate.delimited import ENCODING, as_delimited
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.files import write_atomically
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.stations import DAMAGED_NAME, DAMAGED_STATION, MISSING_NAME, STOPS
from ronghe.simulate.text import full_width
from ronghe.simulate.trips import BUS_IN, METRO_IN, METRO_OUT, Swipes, travel
from ronghe.simulate.truth import TruthLog

FEED = Feed("shenzhen", "swipe", "swipe", "csv")
COLUMNS = (
    *("卡号", "交易时间", "交易类型", "线路名称", "站点编码", "站点名称", "经度", "纬度", "设备编号"),
    *("交易金额", "结算日期"),
)
_CARD, _TIME, _KIND, _CODE, _NAME, _FARE, _SERVICE_DAY = 0, 1, 2, 4, 5, 9, 10
_KINDS = {METRO_IN: "地铁入站", METRO_OUT: "地铁出站", BUS_IN: "巴士"}
_ENTRY_ALIAS = "地铁进站"
_FUTURE_DAYS = 40


def write_swipes(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth."""
    swipes = travel(window)
    picks = choose(
        _faults(window),
        swipes.sizes,
        window.factor,
        vector_stream(window.seed, "swipe defects"),
        only=_eligible(swipes),
    )
    rng = stream(window.seed, "swipe rows")
    sorter = Sorter(swipes.sizes, rng)
    first = 0
    for number, day in enumerate(window.days):
        last = first + swipes.sizes[number]
        for index, row in enumerate(_rows(window, number, swipes, slice(first, last), rng)):
            sorter.put(number, index, row, picks[number].get(index))
        first = last
        entries = sorter.take(number)
        write_atomically(
            window.landing / FEED.path(day), as_delimited(COLUMNS, entries, ",", lambda entry: _line(entry, rng))
        )
        log.add_delivery(FEED, day, entries)
    used = np.unique(swipes.card).tolist()
    log.add_identifiers("card", (swipes.cards[card] for card in used))


def _faults(window: Window) -> list[Fault]:
    torn = Defect("torn", "quarantined", "torn")

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_SERVICE_DAY] = f"{window.clock(day, _FUTURE_DAYS * 86400):%Y%m%d}"

    def placeless(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_CODE], row[_NAME] = "", MISSING_NAME

    def impossible(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_TIME] = f"{row[_TIME][:4]}-13-45 99:00:00"

    def negative(row: list[str], _day: int, rng: random.Random) -> None:
        row[_FARE] = f"-{rng.randint(1, 9)}.00"

    return [
        *duplicates(within=300, resent=100),
        Fault(Defect("late", "accepted"), 400, delay=(1, 3)),
        Fault(Defect("very_late", "accepted"), 20, delay=(9, 12)),
        Fault(torn, 0, at_end=True, exactly=2),
        Fault(torn, 58),
        Fault(Defect("undecodable", "quarantined", "undecodable"), 20),
        quarantined("bad_time", "format:swiped_at", 60, impossible),
        quarantined("unknown_kind", "code:swipe_kind_code", 60, set_field(_KIND, "轻轨入站")),
        quarantined("no_place", "any_of:place_code,place_name", 60, placeless),
        quarantined("negative_fare", "range:fare_cny", 40, negative),
        quarantined("future_service_date", "future:service_date", 20, future),
        quarantined("empty_card", "required:card_token", 40, set_field(_CARD, "")),
        Fault(Defect("damaged_name", "accepted"), 300, set_field(_NAME, DAMAGED_NAME)),
        Fault(Defect("missing_name", "accepted"), 40, set_field(_NAME, MISSING_NAME)),
    ]


def _eligible(swipes: Swipes) -> dict[str, Mask]:
    """Only one station's name is damaged on the way: its first character is not in GB 2312."""
    damaged = [n for n, stop in enumerate(STOPS) if stop.place.name == DAMAGED_STATION]
    return {"damaged_name": np.isin(swipes.stop, damaged)}


def _rows(window: Window, day: int, swipes: Swipes, part: slice, rng: random.Random) -> Iterator[list[str]]:
    """Return one service day's rows as the clearing centre writes them, without defects."""
    dates = (window.clock(day, 0).date(), window.clock(day, 86400).date())
    service_day = f"{dates[0]:%Y%m%d}"
    columns = (swipes.card, swipes.second, swipes.kind, swipes.stop, swipes.reader)
    values = (column[part].tolist() for column in (*columns, swipes.fare_cents))
    for card, second, kind, stop_number, reader, cents in zip(*values, strict=True):
        stop = STOPS[stop_number]
        hour, minute = second // 3600, second // 60 % 60
        yield [
            swipes.cards[card],
            f"{dates[hour // 24]} {hour % 24:02d}:{minute:02d}:{second % 60:02d}",
            _ENTRY_ALIAS if kind == METRO_IN and rng.random() < 0.06 else _KINDS[kind],
            stop.line if rng.random() > 0.03 else full_width(stop.line),
            stop.code,
            stop.place.name if rng.random() > 0.25 else rng.choice(stop.place.spellings),
            stop.longitude,
            stop.latitude,
            f"{stop.code[-7:]}{reader:02d}",
            f"{cents // 100}.{cents % 100:02d}",
            service_day,
        ]


def _line(entry: Entry, rng: random.Random) -> bytes:
    row = entry.row
    kind = entry.defect.kind if entry.defect else ""
    if kind == "undecodable":
        before = ",".join([*row[:_NAME], row[_NAME][:1]])
        after = ",".join([row[_NAME][1:], *row[_NAME + 1 :]])
        return before.encode(ENCODING) + b"\xff" + after.encode(ENCODING)
    line = ",".join(row)
    if kind == "torn":
        line = line[: rng.randint(len(",".join(row[:2])) + 1, len(",".join(row[:9])))]
    return line.encode(ENCODING)
