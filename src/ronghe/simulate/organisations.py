"""Organisations: Guiyang's register before the first delivery, new foundations, and Nanjing's employers."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from ronghe.simulate.divisions import GUIYANG_ABOLISHED, GUIYANG_CURRENT, NANJING, Division
from ronghe.simulate.identity import USCC_ALPHABET, with_organisation_check, with_uscc_check
from ronghe.simulate.persons import canary_names, draw_name, draw_phone
from ronghe.simulate.randomness import stream

_BRANDS = "黔兴恒瑞丰泰鸿达盛源嘉禾众信博远天成华茂金筑林城云岭康宁安顺通联创新宏业德隆昌吉永和诚广聚力飞腾星辰海川锦绣"
_TRADES = (
    *("商贸", "建筑工程", "大数据科技", "信息技术", "物流", "餐饮管理", "旅游开发", "农业发展", "医药", "装饰工程"),
    *("教育咨询", "文化传媒", "汽车服务", "环保科技", "劳务", "房地产开发", "机电设备", "食品", "茶业", "广告"),
)
_SHOPS = ("餐饮店", "便利店", "小吃店", "五金店", "服装店", "理发店", "烟酒店", "汽修店", "药房", "水果店", "牛肉粉馆")
_STREETS = (
    "中华南路",
    "遵义路",
    "瑞金中路",
    "宝山北路",
    "北京路",
    "延安东路",
    "环城北路",
    "人民大道",
    "长岭北路",
    "金阳南路",
)
_ALIVE = ("存续", "存续", "在业")


@dataclass
class Organisation:
    """An organisation as the register knows it; names and codes are canonical."""

    uscc: str
    name: str
    kind: str
    representative: str
    phone: str
    founded: date
    capital: str
    division: Division
    address: str
    status: str
    approved: date

    @property
    def sole_trader(self) -> bool:
        """Whether it is a natural person in business."""
        return self.kind == "sole_trader"


@dataclass(frozen=True)
class Employer:
    """An organisation that insures people in Nanjing."""

    uscc: str
    name: str


class Registrar:
    """Registers organisations; no code and no name is given twice."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._codes: set[str] = set()
        self._names: set[str] = set()

    def register(self, earliest: date, latest: date, representative: str | None) -> Organisation:
        """Return an organisation founded between the two dates, approved on the day of its foundation.

        Args:
            earliest: first possible date of foundation.
            latest: last possible date of foundation.
            representative: a name to use for the representative instead of a drawn one.
        """
        rng = self._rng
        kind = self._draw_kind()
        division, founded = self._draw_origin(earliest, latest)
        person = representative or draw_name(rng)
        return Organisation(
            uscc=self.draw_uscc(_USCC_TYPE.get(kind, "91"), division.code),
            name=self.draw_name(kind, division, person),
            kind=kind,
            representative=person,
            phone=draw_phone(rng),
            founded=founded,
            capital=self.draw_capital(kind),
            division=division,
            address=self.draw_address(division),
            status=rng.choice(_ALIVE),
            approved=founded,
        )

    def draw_name(self, kind: str, division: Division, person: str) -> str:
        """Return a new name of an organisation of that kind."""
        maker = _SOLE_NAME if kind == "sole_trader" else _NAMES[kind]
        return self._unused(lambda: maker(self._rng, division, person), self._names)

    def draw_capital(self, kind: str) -> str:
        """Return a capital in 10,000 yuan with at most four decimals."""
        if kind == "sole_trader":
            return f"{self._rng.randint(2000, 500000) / 10000:.4f}".rstrip("0").rstrip(".")
        if self._rng.random() < 0.85:
            return self._rng.choice(("10", "50", "100", "200", "300", "500", "1000", "5000"))
        return f"{self._rng.randint(10**5, 3 * 10**7) / 10000:.4f}".rstrip("0").rstrip(".")

    def draw_address(self, division: Division) -> str:
        """Return an address in the division."""
        rng = self._rng
        floor = f"{rng.randint(1, 30)}层{rng.randint(1, 12)}号"
        return f"贵州省贵阳市{division.name}{rng.choice(_STREETS)}{rng.randint(1, 399)}号{floor}"

    def employer(self) -> Employer:
        """Return a company of Nanjing."""
        rng = self._rng
        division = rng.choices(list(NANJING), list(NANJING.values()))[0]
        name = self._unused(lambda: _company_name(rng, "南京", "江苏"), self._names)
        return Employer(self.draw_uscc("91", division), name)

    def draw_other_name(self, maker: Callable[[str], str]) -> str:
        """Return a new name that `maker` gives to a brand: for bodies that are no enterprises."""
        return self._unused(lambda: maker(_brand(self._rng)), self._names)

    def draw_uscc(self, kind: str, division: str) -> str:
        """Return a new code that begins with two signs for the kind of body and six for the division."""
        rng = self._rng

        def draw() -> str:
            body = "MA" + "".join(rng.choice(USCC_ALPHABET) for _ in range(6))
            return with_uscc_check(f"{kind}{division}{with_organisation_check(body)}")

        return self._unused(draw, self._codes)

    def _draw_kind(self) -> str:
        return self._rng.choices(list(_KIND_WEIGHTS), list(_KIND_WEIGHTS.values()))[0]

    def _draw_origin(self, earliest: date, latest: date) -> tuple[Division, date]:
        """Return a division and a date on which it was in force; one in twelve has been abolished since."""
        rng = self._rng
        old = [d for d in GUIYANG_ABOLISHED if d.since >= earliest and d.until <= latest]
        current = [d for d in GUIYANG_CURRENT if d.since <= latest]
        pool = old if old and rng.random() < 0.08 else current
        division = rng.choices(pool, [d.weight for d in pool])[0]
        first, last = max(earliest, division.since), min(latest, division.until)
        share = rng.random() ** (0.5 if division.successor is None else 1.0)
        return division, first + timedelta(days=int((last - first).days * share))

    def _unused(self, draw: Callable[[], str], used: set[str]) -> str:
        found = draw()
        while found in used:
            found = draw()
        used.add(found)
        return found


def _brand(rng: random.Random) -> str:
    return "".join(rng.choice(_BRANDS) for _ in range(rng.choice((2, 2, 3, 4))))


def _company_name(rng: random.Random, city: str, province: str) -> str:
    brand, trade = _brand(rng), rng.choice(_TRADES)
    form = rng.choice(("有限公司", "有限公司", "有限责任公司"))
    place = rng.choice((city, province))
    return rng.choice((f"{place}{brand}{trade}{form}",) * 3 + (f"{brand}({place}){trade}{form}",))


def _shop_name(rng: random.Random, division: Division, person: str) -> str:
    city = "贵阳市" if division.name.endswith("区") else ""
    owner = person if rng.random() < 0.6 else _brand(rng)
    suffix = "(个体工商户)" if rng.random() < 0.2 else ""
    kin = rng.choice(("", "", "", "记", "家", "氏"))
    return f"{city}{division.name}{owner}{kin}{rng.choice(_SHOPS)}{suffix}"


_Maker = Callable[[random.Random, Division, str], str]
_SOLE_NAME: _Maker = _shop_name
_NAMES: dict[str, _Maker] = {
    "limited_company": lambda rng, _division, _person: _company_name(rng, "贵阳", "贵州"),
    "joint_stock_company": lambda rng, _division, _person: f"贵州{_brand(rng)}{rng.choice(_TRADES)}股份有限公司",
    "cooperative": lambda rng, division, _person: (
        f"{division.name}{_brand(rng)}{rng.choice(('种植', '养殖', '茶叶', '刺梨'))}农民专业合作社"
    ),
    "partnership": lambda rng, _division, _person: (
        f"贵阳{_brand(rng)}企业管理中心({rng.choice(('有限合伙', '普通合伙'))})"
    ),
}
_KIND_WEIGHTS = {
    "sole_trader": 35,
    "limited_company": 55,
    "joint_stock_company": 3,
    "cooperative": 4,
    "partnership": 3,
}
_USCC_TYPE = {"sole_trader": "92", "cooperative": "93"}

_STOCK = 6000
_EMPLOYERS = 300
_SHARED_SHARE = 0.1
_EARLIEST = date(1985, 1, 1)


def registered_stock(seed: int, scale: float, first_day: date) -> tuple[list[Organisation], Registrar]:
    """Return the register as it stood before the first day, and the registrar who goes on from there.

    Every second or later one of the first has a representative with a canary name.
    """
    rng = stream(seed, "register")
    registrar = Registrar(rng)
    count = max(20, round(_STOCK * scale))
    eve = first_day - timedelta(days=1)
    rare = canary_names(1)[: count // 2]
    found = []
    for number in range(count):
        representative = rare[number // 2] if number % 2 and number // 2 < len(rare) else None
        organisation = registrar.register(_EARLIEST, eve, representative)
        age = (eve - organisation.founded).days
        organisation.approved += timedelta(days=int(age * rng.random()))
        if rng.random() < 0.08:
            organisation.status = rng.choice(("吊销", "注销"))
        found.append(organisation)
    return found, registrar


def employers(seed: int, scale: float, first_day: date) -> list[Employer]:
    """Return Nanjing's employers; the first tenth are `shared_organisations`."""
    count = max(20, round(_EMPLOYERS * scale))
    stock, _ = registered_stock(seed, scale, first_day)
    shared = [Employer(found.uscc, found.name) for found in shared_organisations(stock, scale)]
    registrar = Registrar(stream(seed, "employers"))
    return shared + [registrar.employer() for _ in range(count - len(shared))]


def shared_organisations(stock: list[Organisation], scale: float) -> list[Organisation]:
    """Return the companies of the register that also insure people in Nanjing.

    They are live companies, those with brackets in their names first, because these are spelt in two ways.
    """
    count = max(2, round(max(20, _EMPLOYERS * scale) * _SHARED_SHARE))
    live = [o for o in stock if o.kind == "limited_company" and o.status in _ALIVE]
    return sorted(live, key=lambda o: "(" not in o.name)[:count]
