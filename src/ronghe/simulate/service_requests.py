"""The request feed of a hotline: JSON Lines, a record for each new request and each change of one."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import SHENZHEN
from ronghe.simulate.files import write_json_lines
from ronghe.simulate.persons import canary_names, draw_name, draw_phone
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.request_texts import Text, common_text, compose
from ronghe.simulate.service_items import basic_codes
from ronghe.simulate.text import full_width
from ronghe.simulate.truth import TruthLog

FEED = Feed("shenzhen", "service_request", "gd12345", "jsonl")
COLUMNS = (
    *(
        "工单编号",
        "更新时间",
        "受理时间",
        "受理日期",
        "受理渠道",
        "诉求主题",
        "事项编码",
        "所属区划",
        "诉求内容",
        "诉求人",
    ),
    *("联系电话", "联系地址", "办理状态", "答复时间", "满意度"),
)
_NUMBER, _UPDATED, _RECEIVED_DAY, _TOPIC, _DIVISION, _TEXT, _STATUS, _ANSWERED, _SATISFACTION = (
    0,
    1,
    3,
    5,
    7,
    8,
    12,
    13,
    14,
)
_CHANNELS = ("电话", "电话", "热线电话", "微信", "微信公众号", "网站", "APP", "客户端")
_TOPICS = {
    "住房保障": 12,
    "交通出行": 18,
    "生态环境": 8,
    "噪音扰民": 14,
    "社保医保": 12,
    "教育服务": 8,
    "劳动用工": 9,
    "市场监管": 10,
    "市政设施": 12,
    "户政服务": 7,
}
_JUDGEMENTS = ("非常满意", "满意", "满意", "基本满意", "不满意", "非常不满意", "")
_ANSWERED_STATUS = ("已办结", "办结")
_FORMAT = "%Y-%m-%d %H:%M:%S"
_FUTURE_DAYS = 40

_REQUESTS = 15500
# So many a day ask, whatever the scale, that a day of a small city can be published as a whole.
_FEWEST_A_DAY = 16
_COMMON_SHARE = 0.38
_COMMON_TEXTS = 0.015
_ANSWERED_SAME_DAY = 0.55
_ANSWERED_LATER = 0.3
_ANONYMOUS = 0.03
_ASKS_AGAIN = 0.04


@dataclass(frozen=True)
class _Requester:
    name: str
    phone: str


@dataclass(frozen=True)
class _State:
    """A row to be delivered on a day; the first state of a request, or the answer that came later."""

    day: int
    at: datetime
    row: list[str]
    said: Text


def write_service_requests(window: Window, log: TruthLog) -> None:
    """Write a file per day and note its truth, with every identifier in the texts."""
    states = _states(window, log)
    rng = stream(window.seed, "service request rows")
    days: list[list[_State]] = [[] for _ in window.days]
    for state in states:
        days[state.day].append(state)
    sizes = [len(day) for day in days]
    picks = choose(_faults(window), sizes, window.factor, vector_stream(window.seed, "service request defects"))
    sorter = Sorter(sizes, rng)
    for number, day in enumerate(window.days):
        for index, state in enumerate(sorted(days[number], key=lambda state: state.at)):
            sorter.put(number, index, state.row, picks[number].get(index))
        entries = sorter.take(number)
        write_json_lines(window.landing / FEED.path(day), map(_record, entries))
        log.add_delivery(FEED, day, entries)
    _note_texts(log, {state.row[_NUMBER]: state.said for state in states})


def _states(window: Window, log: TruthLog) -> list[_State]:
    """Return every state that falls into the window, in no order."""
    rng = stream(window.seed, "service requests")
    weights = window.busyness(weekend=0.55)
    total = _REQUESTS * window.factor
    common = [common_text(rng) for _ in range(max(6, round(total * _COMMON_TEXTS)))]
    names = canary_names(7)
    items = basic_codes(window.seed, window.scale)
    found: list[_State] = []
    people: list[_Requester] = []
    for day, weight in enumerate(weights):
        for number in range(max(_FEWEST_A_DAY, round(total * weight / sum(weights)))):
            person = _requester(rng, people, names)
            said = rng.choice(common) if rng.random() < _COMMON_SHARE else compose(rng)
            code = f"SZ{window.days[day]:%Y%m%d}{number:06d}"
            found.extend(_life(window, day, code, person, said, items, rng))
    log.add_identifiers("phone", (person.phone for person in people))
    log.add_identifiers("canary_name", (person.name for person in people if person.name in names))
    return found


def _requester(rng: random.Random, people: list[_Requester], names: Sequence[str]) -> _Requester:
    """Return somebody; a few ask again, the first ones carry the canary names."""
    if people and rng.random() < _ASKS_AGAIN:
        return rng.choice(people)
    name = names[len(people)] if len(people) < len(names) else draw_name(rng)
    people.append(_Requester(name, draw_phone(rng)))
    return people[-1]


def _life(
    window: Window, day: int, code: str, person: _Requester, said: Text, items: Sequence[str], rng: random.Random
) -> list[_State]:
    """Return the states of one request: as received, and as answered if that was on a later day."""
    received = window.clock(day, rng.randint(7 * 3600, 22 * 3600))
    anonymous = rng.random() < _ANONYMOUS
    division = rng.choices(SHENZHEN, [d.weight for d in SHENZHEN])[0]
    base = [
        code,
        "",
        f"{received:{_FORMAT}}",
        f"{window.days[day]:%Y%m%d}",
        rng.choice(_CHANNELS),
        rng.choices(list(_TOPICS), list(_TOPICS.values()))[0],
        rng.choice(items) if rng.random() < 0.6 else "",
        full_width(division.code) if rng.random() < 0.01 else division.code,
        said.text,
        rng.choice(("匿名", "")) if anonymous else person.name,
        "" if anonymous else _spell_phone(person.phone, rng),
        ""
        if anonymous or rng.random() < 0.3
        else f"深圳市{division.name}{rng.randint(1, 30)}栋{rng.randint(101, 2808)}",
    ]
    fate = rng.random()
    if fate < _ANSWERED_SAME_DAY:
        answered = received + timedelta(seconds=rng.randint(600, 90 * 60))
        return [_state(day, answered, base, rng.choice(_ANSWERED_STATUS), answered, said, rng)]
    first = _state(day, received + timedelta(seconds=60), base, rng.choice(("已受理", "办理中")), None, said, rng)
    later = day + rng.randint(1, 6)
    if fate >= _ANSWERED_SAME_DAY + _ANSWERED_LATER or later >= len(window.days):
        return [first]
    answered = window.clock(later, rng.randint(8 * 3600, 18 * 3600))
    return [first, _state(later, answered, base, rng.choice(_ANSWERED_STATUS), answered, said, rng)]


def _state(
    day: int, at: datetime, base: list[str], status: str, answered: datetime | None, said: Text, rng: random.Random
) -> _State:
    row = [*base, status, f"{answered:{_FORMAT}}" if answered else "", rng.choice(_JUDGEMENTS) if answered else ""]
    row[_UPDATED] = f"{at:{_FORMAT}}"
    return _State(day, at, row, said)


def _spell_phone(phone: str, rng: random.Random) -> str:
    spelt = (phone, phone, phone, f"{phone[:3]} {phone[3:7]} {phone[7:]}", f"+86{phone}", full_width(phone))
    return rng.choice(spelt)


def _faults(window: Window) -> list[Fault]:
    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_UPDATED] = f"{window.clock(day, _FUTURE_DAYS * 86400):{_FORMAT}}"

    return [
        *duplicates(within=60, resent=30),
        quarantined("unknown_topic", "code:request_topic_code", 30, set_field(_TOPIC, "星际移民")),
        quarantined("unknown_status", "code:request_status_code", 20, set_field(_STATUS, "待外星人办理")),
        quarantined("unknown_division", "code:division_code", 20, set_field(_DIVISION, "449999")),
        quarantined("bad_day", "format:received_date", 20, set_field(_RECEIVED_DAY, "20261345")),
        quarantined("empty_text", "required:request_text", 30, set_field(_TEXT, "")),
        quarantined("empty_number", "required:request_number", 10, set_field(_NUMBER, "")),
        quarantined("future_update", "future:updated_at", 10, future),
    ]


def _record(entry: Entry) -> str:
    """Return a record's line; the source leaves out what it does not know."""
    return json.dumps({k: v for k, v in zip(COLUMNS, entry.row, strict=True) if v}, ensure_ascii=False)


def _note_texts(log: TruthLog, said: dict[str, Text]) -> None:
    for name, kind in (("text_identifiers", "identifiers"), ("text_look_alikes", "look_alikes")):
        log.add_facts(
            name,
            (
                {"request_number": number, "entity": entity, "text": text}
                for number, spoken in said.items()
                for entity, text in getattr(spoken, kind)
            ),
        )
    for spoken in said.values():
        for kind, plain in spoken.canonical:
            log.add_identifiers(kind, [plain])
