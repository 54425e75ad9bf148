"""Weekly lists of places: a map provider's of one city (CSV, BD-09), a region's service points (UTF-16, WGS-84)."""

import csv
import io
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ronghe.simulate.coordinates import to_bd09
from ronghe.simulate.defects import Defect, Fault, choose, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window, mark_known
from ronghe.simulate.divisions import CHENGDU
from ronghe.simulate.files import write_atomically
from ronghe.simulate.persons import canary_names, draw_name, draw_phone
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import canonical, full_width
from ronghe.simulate.truth import TruthLog

POI_FEED = Feed("chengdu", "poi", "poi", "csv")
POI_COLUMNS = ("uid", "name", "type", "address", "lng", "lat", "listed_on")
OFFICE_FEED = Feed("xinjiang", "service_office", "service_office", "txt")
OFFICE_COLUMNS = (
    *("网点编号", "网点名称", "所属区划", "地址", "经度", "纬度", "开放时间", "联系人", "联系电话", "核实日期"),
)
_POIS, _OFFICES = 1500, 400
_FEWEST = 16
_REVISED = 0.03

# Kind, the provider's words for it, endings of names.
_KINDS = (
    ("school", "科教文化服务;学校;小学", ("小学", "实验小学")),
    ("school", "科教文化服务;学校;中学", ("中学", "外国语学校")),
    ("kindergarten", "科教文化服务;学校;幼儿园", ("幼儿园",)),
    ("hospital", "医疗保健服务;综合医院;综合医院", ("医院", "人民医院")),
    ("clinic", "医疗保健服务;诊所;卫生院", ("社区卫生服务中心",)),
    ("social_security_office", "政府机构及社会团体;政府机关;社保中心", ("社会保险事务中心",)),
    ("park", "风景名胜;公园广场;公园", ("公园", "湿地公园")),
    ("library", "科教文化服务;图书馆;图书馆", ("图书馆",)),
)
_WORDS = "锦绣芙蓉桐梓玉林草堂浣花琴台望江万象清波竹叶沙河青羊天回洛带东安云顶凤凰龙舟双桥红瓦抚琴石羊"
_STREETS = ("人民路", "建设路", "文化路", "解放路", "团结路", "新华路", "胜利路", "幸福路")
_CHENGDU_CENTRE = (104.066, 30.66)
# Code, name and centre of the county or district a service point lies in.
_REGION = (
    ("650102", "天山区", 87.63, 43.79),
    ("650104", "新市区", 87.57, 43.85),
    ("650105", "水磨沟区", 87.64, 43.83),
    ("652801", "库尔勒市", 86.15, 41.76),
    ("652901", "阿克苏市", 80.26, 41.17),
    ("653101", "喀什市", 75.99, 39.47),
    ("653201", "和田市", 79.92, 37.11),
    ("654002", "伊宁市", 81.32, 43.91),
)
_OFFICE_ENDINGS = ("便民服务中心", "民生服务大厅", "社会保障服务所", "综合服务大厅")
_HOURS = ("周一至周五 10:00-14:00,16:00-20:00", "周一至周五 09:30-13:30,15:30-19:00", "周一至周日 10:00-18:30")
_DOTS = "·•．・"
_THIRD_PARTS = ("艾力", "玉素甫", "阿卜杜热合曼", "吐尔迪")


@dataclass(frozen=True)
class _List:
    """A weekly list: its feed, its form, how it is spoiled, where code and name stand, and its primary key."""

    feed: Feed
    write: Callable[[Sequence[Entry]], bytes]
    faults: Sequence[Fault]
    code: int
    name: int
    key: tuple[int, ...]


def write_pois(window: Window, log: TruthLog) -> None:
    """Write the map provider's list of each week and note its truth."""
    rng = stream(window.seed, "pois")
    found = _pois(max(_FEWEST, round(_POIS * window.scale)), rng)
    places = {row[0]: (kind, point) for kind, row, point in found}
    rows = [row for _, row, _ in found]

    def revise(row: list[str], _day: date) -> None:
        row[3] = f"{row[3]}(新址)"

    lists = _revisions(window, rows, rng, revise)
    for week, listed in zip(window.weeks, lists, strict=True):
        for row in listed:
            row[6] = week.isoformat()
    faults = [
        quarantined("unknown_kind", "code:place_kind_code", 30, set_field(2, "天文服务;星际码头;码头")),
        quarantined("empty_name", "required:place_name", 20, set_field(1, "")),
        quarantined("bad_latitude", "format:latitude", 20, set_field(5, "30.6N")),
        quarantined("far_longitude", "range:longitude", 20, set_field(4, "1040.6")),
    ]
    plan = _List(POI_FEED, lambda entries: _delimited(POI_COLUMNS, entries, ",").encode(), faults, 0, 1, (0, 1, 3))
    _write_weekly(window, log, plan, lists, rng, places)


def write_service_offices(window: Window, log: TruthLog) -> None:
    """Write the list of service points of each week and note its truth."""
    rng = stream(window.seed, "service offices")
    count = max(_FEWEST, round(_OFFICES * window.scale))
    rows = _offices(count, window.days[0], rng)
    places = {row[0]: ("service_office", (float(row[4]), float(row[5]))) for row in rows}

    def revise(row: list[str], day: date) -> None:
        row[6], row[9] = rng.choice(_HOURS), _slashed(day)

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[9] = _slashed(window.weeks[day] + timedelta(days=40))

    faults = [
        quarantined("empty_name", "required:place_name", 10, set_field(1, "")),
        quarantined("unknown_division", "code:division_code", 10, set_field(2, "659999")),
        quarantined("bad_verified_date", "format:verified_date", 10, set_field(9, "2026/13/1")),
        quarantined("future_verified_date", "future:verified_date", 5, future),
        quarantined("bad_longitude", "format:longitude", 10, set_field(4, "东经87度")),
    ]
    lists = _revisions(window, rows, rng, revise)
    plan = _List(
        OFFICE_FEED,
        lambda entries: _delimited(OFFICE_COLUMNS, entries, "\t").encode("utf-16"),
        faults,
        0,
        1,
        (0, 9),
    )
    _write_weekly(window, log, plan, lists, rng, places)
    log.add_identifiers("phone", (row[8] for row in rows))
    log.add_identifiers("canary_name", (row[7] for row in rows if row[7] in set(canary_names(3))))


def _write_weekly(
    window: Window,
    log: TruthLog,
    plan: _List,
    lists: Sequence[list[list[str]]],
    rng: random.Random,
    places: dict[str, tuple[str, tuple[float, float]]],
) -> None:
    """Write a whole list each week; what stood in an earlier one is known already."""
    sizes = [len(rows) for rows in lists]
    twice = Fault(Defect("duplicate", "deduplicated"), 20, keeps_original=True)
    picks = choose([twice, *plan.faults], sizes, window.factor, vector_stream(window.seed, f"{plan.feed.id} defects"))
    sorter = Sorter(sizes, rng)
    known: set[object] = set()
    names: dict[str, str] = {}
    for number, day in enumerate(window.weeks):
        for index, row in enumerate(lists[number]):
            sorter.put(number, index, list(row), picks[number].get(index))
        entries = sorter.take(number)
        mark_known(entries, [tuple(entry.row[place] for place in plan.key) for entry in entries], known)
        names |= {entry.row[plan.code]: entry.row[plan.name] for entry in entries if entry.accepted}
        write_atomically(window.landing / plan.feed.path(day), plan.write(entries))
        log.add_delivery(plan.feed, day, entries)
    for code, name in names.items():
        kind, (longitude, latitude) = places[code]
        log.add_place(plan.feed.source, name, (canonical(code),), kind, longitude, latitude)


def _revisions(
    window: Window, rows: Iterable[list[str]], rng: random.Random, revise: Callable[[list[str], date], None]
) -> list[list[list[str]]]:
    """Return the list of each week: some of the week before's rows are revised."""
    lists = [[list(row) for row in rows]]
    for week in window.weeks[1:]:
        lists.append([list(row) for row in lists[-1]])
        for row in rng.sample(lists[-1], max(1, round(len(lists[-1]) * _REVISED))):
            revise(row, week)
    return lists


def _pois(count: int, rng: random.Random) -> list[tuple[str, list[str], tuple[float, float]]]:
    """Return places with their kind and true position; no name is given twice."""
    found: dict[str, tuple[str, list[str], tuple[float, float]]] = {}
    while len(found) < count:
        kind, words, endings = _KINDS[len(found) % len(_KINDS)]
        division = rng.choice(CHENGDU).name
        name = f"成都市{division}{''.join(rng.sample(_WORDS, 2))}{rng.choice(endings)}"
        point = (_CHENGDU_CENTRE[0] + rng.uniform(-0.2, 0.2), _CHENGDU_CENTRE[1] + rng.uniform(-0.15, 0.15))
        longitude, latitude = to_bd09(*point)
        address = f"{division}{rng.choice(_STREETS)}{rng.randint(1, 300)}号"
        row = [f"B0{len(found):08d}", name, words, address, f"{longitude:.6f}", f"{latitude:.6f}", ""]
        if name not in found:
            found[name] = (kind, row, point)
    return list(found.values())


def _offices(count: int, first_day: date, rng: random.Random) -> list[list[str]]:
    """Return service points verified within the year before; contact persons have names of every length."""
    rare = canary_names(3)[: count // 4]
    found: dict[str, list[str]] = {}
    while len(found) < count:
        code, division, longitude, latitude = rng.choice(_REGION)
        street = rng.choice(_STREETS)
        name = f"{division}{street}{''.join(rng.sample(_WORDS, 2))}{rng.choice(_OFFICE_ENDINGS)}"
        number = len(found)
        found.setdefault(
            name,
            [
                f"XJ{number:05d}" if rng.random() > 0.02 else full_width(f"XJ{number:05d}"),
                name,
                code,
                f"新疆{division}{street}{rng.randint(1, 300)}号",
                f"{longitude + rng.uniform(-0.04, 0.04):.6f}",
                f"{latitude + rng.uniform(-0.03, 0.03):.6f}",
                rng.choice(_HOURS),
                rare[number // 2] if number % 2 and number // 2 < len(rare) else _contact(rng),
                draw_phone(rng),
                _slashed(first_day - timedelta(days=rng.randint(1, 365))),
            ],
        )
    return list(found.values())


def _contact(rng: random.Random) -> str:
    dots = rng.choice(_DOTS)
    name = draw_name(rng, dots, dotted=0.6)
    return f"{name}{dots}{rng.choice(_THIRD_PARTS)}" if dots in name and rng.random() < 0.2 else name


def _slashed(day: date) -> str:
    return f"{day.year}/{day.month}/{day.day}"


def _delimited(columns: Sequence[str], entries: Sequence[Entry], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(entry.row for entry in entries)
    return text.getvalue()
