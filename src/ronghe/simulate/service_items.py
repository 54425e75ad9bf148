"""Two feeds of service items, once a week: CSV in GB18030, and one JSON document; two in three items are in both."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ronghe.simulate.defects import Fault, choose, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check, with_organisation_check, with_uscc_check
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import full_width
from ronghe.simulate.truth import TruthLog

CSV_FEED = Feed("guiyang", "service_item", "zwfwsx", "csv")
JSON_FEED = Feed("shenzhen", "service_item", "items", "json")
ENCODING = "gb18030"
COLUMNS = (
    *("基本编码", "事项名称", "事项类型", "实施主体", "实施主体统一社会信用代码", "法定办结时限（工作日）"),
    *("承诺办结时限（工作日）", "网上办理深度", "事项状态", "版本生效日期", "目录导出日期"),
)
_CODE, _NAME, _KIND, _USCC, _LEGAL, _SNAPSHOT = 0, 1, 2, 4, 5, 10
# Kind of item and the two digits it has in a basic code.
_KINDS = {
    "行政许可": "01",
    "行政征收": "04",
    "行政给付": "05",
    "行政确认": "07",
    "行政奖励": "08",
    "行政裁决": "09",
    "其他行政权力": "10",
    "公共服务": "20",
}
_WEIGHTS = (30, 2, 8, 14, 2, 1, 13, 30)
_DEPARTMENTS = {
    "人力资源和社会保障局": (
        "14",
        ("就业登记", "失业保险金申领", "职业技能补贴", "劳动合同备案", "职称评审", "社保卡补办"),
    ),
    "住房和城乡建设局": ("17", ("施工许可", "公租房申请", "房屋租赁备案", "物业维修资金使用", "燃气经营许可")),
    "市场监督管理局": ("31", ("企业设立登记", "食品经营许可", "特种设备登记", "计量器具检定", "股权出质登记")),
    "公安局": ("09", ("户口迁移", "居住证签注", "驾驶证换领", "边境通行证", "旅馆业许可")),
    "教育局": ("05", ("民办学校设立", "教师资格认定", "学籍转移", "助学金发放")),
    "卫生健康委员会": ("23", ("医疗机构执业登记", "公共场所卫生许可", "护士执业注册")),
    "交通运输局": ("18", ("道路运输经营许可", "网约车驾驶员证", "公路超限运输许可")),
    "生态环境局": ("16", ("环评文件审批", "排污许可", "辐射安全许可")),
    "自然资源局": ("15", ("不动产登记", "建设用地规划许可", "采矿许可")),
    "民政局": ("11", ("婚姻登记", "低保申请", "社会团体成立登记", "高龄津贴")),
}
_LEVELS = ("网上咨询", "网上预审", "网上受理", "全程网办", "全程网办", "四级", "三级")
_STATUS = {"在用": "ACTIVE", "暂停": "SUSPENDED", "取消": "WITHDRAWN"}
_FUTURE_DAYS = 40

_ITEMS = 1800
# Fewer, and the defects of a short list would stop it.
_FEWEST_ITEMS = 120
_CSV_ITEMS, _JSON_ITEMS = 5 / 6, 2 / 3
_CHANGED = 0.02


@dataclass(frozen=True)
class _Item:
    """An item of the national directory."""

    code: str
    name: str
    kind: str
    department: str
    legal_days: int


@dataclass
class _Offer:
    """An item as one city offers it."""

    item: _Item
    owner: str
    uscc: str
    promised_days: int
    level: str
    status: str
    version: date

    def as_row(self, day: date) -> list[str]:
        """Return the row of a snapshot, without defects."""
        item = self.item
        return [
            item.code,
            item.name,
            item.kind,
            self.owner,
            self.uscc,
            str(item.legal_days),
            str(self.promised_days),
            self.level,
            self.status,
            _as_date(self.version),
            _as_date(day),
        ]


def basic_codes(seed: int, scale: float) -> list[str]:
    """Return the basic codes that somebody may ask about: those of the second city's list."""
    items = _directory(seed, scale)
    return [item.code for item in _listed(JSON_FEED, items)]


def write_service_items(window: Window, log: TruthLog) -> None:
    """Write both lists every week and note their truth: which codes there are and who lists them."""
    items = _directory(window.seed, window.scale)
    listed: dict[str, set[str]] = {}
    for feed, city in ((CSV_FEED, "贵阳市"), (JSON_FEED, "深圳市")):
        for code in _write(feed, city, _listed(feed, items), window, log):
            listed.setdefault(code, set()).add(feed.source)
    log.add_facts("service_items", ({"item_code": c, "sources": sorted(s)} for c, s in sorted(listed.items())))


def _directory(seed: int, scale: float) -> list[_Item]:
    rng = stream(seed, "service item directory")
    found: dict[str, _Item] = {}
    for number in range(max(_FEWEST_ITEMS, round(_ITEMS * scale))):
        kind = rng.choices(list(_KINDS), _WEIGHTS)[0]
        department = rng.choice(list(_DEPARTMENTS))
        digits, subjects = _DEPARTMENTS[department]
        subject = rng.choice(subjects)
        code = f"00{_KINDS[kind]}{digits}{number % 1000:03d}{number // 1000:03d}"
        found[code] = _Item(
            code, f"{subject}（{number + 1}类）", kind, department, rng.choice((5, 10, 15, 20, 20, 30, 60))
        )
    return list(found.values())


def _listed(feed: Feed, items: Sequence[_Item]) -> Sequence[_Item]:
    """Return what a city lists: the first city the beginning of the directory, the second one its end."""
    if feed is CSV_FEED:
        return items[: round(len(items) * _CSV_ITEMS)]
    return items[-round(len(items) * _JSON_ITEMS) :]


def _write(feed: Feed, city: str, items: Sequence[_Item], window: Window, log: TruthLog) -> set[str]:
    """Write a city's weekly lists; return the codes of records that are accepted."""
    rng = stream(window.seed, f"{feed.id} rows")
    offers = _offers(city, items, window.days[0], rng)
    weeks = window.weeks
    sizes = [len(offers)] * len(weeks)
    picks = choose(_faults(weeks), sizes, window.factor, vector_stream(window.seed, f"{feed.id} defects"))
    sorter = Sorter(sizes, rng)
    accepted: set[str] = set()
    for number, day in enumerate(weeks):
        for index, offer in enumerate(offers):
            sorter.put(number, index, offer.as_row(day), picks[number].get(index))
        entries = sorter.take(number)
        content = _as_csv(entries, rng) if feed is CSV_FEED else _as_document(entries, day)
        write_atomically(window.landing / feed.path(day), content)
        log.add_delivery(feed, day, entries)
        accepted |= {entry.row[_CODE] for entry in entries if entry.accepted}
        _change(offers, day, rng)
    return accepted


def _offers(city: str, items: Sequence[_Item], first_day: date, rng: random.Random) -> list[_Offer]:
    codes = {}
    for department in _DEPARTMENTS:
        body = "".join(rng.choice(USCC_ALPHABET) for _ in range(8))
        region = "520100" if city == "贵阳市" else "440300"
        codes[department] = with_uscc_check(f"11{region}{with_organisation_check(body).replace('X', '0')}")
    return [
        _Offer(
            item=item,
            owner=f"{city}{item.department}",
            uscc=codes[item.department],
            promised_days=max(1, item.legal_days // rng.choice((1, 2, 2, 3, 5))),
            level=rng.choice(_LEVELS),
            status=rng.choices(list(_STATUS), (95, 3, 2))[0],
            version=first_day - timedelta(days=rng.randint(30, 1500)),
        )
        for item in items
    ]


def _change(offers: Sequence[_Offer], day: date, rng: random.Random) -> None:
    """Let a few items get a new version before the next list."""
    for offer in rng.sample(offers, max(1, round(len(offers) * _CHANGED))):
        offer.promised_days = max(1, offer.promised_days - rng.randint(0, 3))
        offer.status = rng.choices(list(_STATUS), (90, 5, 5))[0]
        offer.version = day


def _as_date(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _faults(weeks: Sequence[date]) -> list[Fault]:
    def bad_uscc(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_USCC] = break_check(row[_USCC], USCC_ALPHABET)

    def bad_code(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_CODE] = row[_CODE][:-1]

    def future(row: list[str], week: int, _rng: random.Random) -> None:
        row[_SNAPSHOT] = _as_date(weeks[week] + timedelta(days=_FUTURE_DAYS))

    return [
        quarantined("bad_code", "pattern:item_code", 8, bad_code),
        quarantined("bad_uscc", "check:owner_uscc", 8, bad_uscc),
        quarantined("unknown_kind", "code:item_kind_code", 8, set_field(_KIND, "星际许可")),
        quarantined("empty_name", "required:item_name", 8, set_field(_NAME, "")),
        quarantined("bad_days", "format:legal_days", 8, set_field(_LEGAL, "若干")),
        quarantined("future_snapshot", "future:snapshot_date", 4, future),
    ]


def _as_csv(entries: Sequence[Entry], rng: random.Random) -> bytes:
    lines = [",".join(COLUMNS)]
    for entry in entries:
        row = list(entry.row)
        row[_CODE] = full_width(row[_CODE]) if rng.random() < 0.01 else row[_CODE]
        lines.append(",".join(row))
    return "".join(f"{line}\r\n" for line in lines).encode(ENCODING)


def _as_document(entries: Sequence[Entry], day: date) -> bytes:
    """Return the document; a value that is no number stays text, and what is empty is null."""
    items = [_as_item(entry.row) for entry in entries]
    document = {"exportedAt": day.isoformat(), "total": len(items), "data": {"items": items}}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _as_item(row: Sequence[str]) -> dict[str, object]:
    code, name, kind, owner, uscc, legal, promised, level, status, version, snapshot = row
    return {
        "basicCode": code,
        "implementCode": f"{uscc}3{code}",
        "name": name or None,
        "type": kind,
        "owner": {"name": owner, "uscc": uscc},
        "limit": {"legal": int(legal) if legal.isdecimal() else legal, "promised": int(promised)},
        "onlineLevel": level,
        "status": _STATUS[status],
        "effectiveDate": _as_iso(version),
        "snapshotDate": _as_iso(snapshot),
    }


def _as_iso(text: str) -> str:
    year, rest = text.split("年")
    month, day = rest.removesuffix("日").split("月")
    return f"{year}-{int(month):02d}-{int(day):02d}"
