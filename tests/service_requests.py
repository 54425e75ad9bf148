"""Made-up service requests: sentences of citizens with identifiers planted in every spelling, and look-alikes."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from ronghe.simulate.identity import break_check, to_15, with_resident_check, with_uscc_check
from ronghe.simulate.text import full_width

_REGIONS = ("110105", "440305", "320102", "520103", "650102", "310101", "810000", "450981")
_SENTENCES = (
    "市民反映小区噪音扰民，{0}，请尽快处理。",
    "来电人称水管漏水三天无人修，{0}",
    "{0}，投诉物业乱收费",
    "诉求：公交站台破损（{0}）希望修复",
    "咨询社保转移手续{0}谢谢",
    "反映路灯不亮；{0}；已多次致电",
)


@dataclass(frozen=True)
class Planted:
    """A text, the identifier in it as written, and its kind (none for a look-alike)."""

    text: str
    value: str
    entity: str | None
    spelling: str


def grouped(value: str, sizes: tuple[int, ...], separator: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(value[at : at + size])
        at += size
    return separator.join([*parts, value[at:]] if value[at:] else parts)


def resident_id(rng: random.Random) -> str:
    born = f"{rng.randint(1935, 2020)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    return with_resident_check(f"{rng.choice(_REGIONS)}{born}{rng.randrange(1000):03d}")


def old_resident_id(rng: random.Random) -> str:
    while (number := resident_id(rng))[6:8] != "19":
        pass
    return to_15(number)


def mobile(rng: random.Random) -> str:
    return f"1{rng.choice('3456789')}{rng.randrange(10**9):09d}"


def luhn(first: str) -> str:
    total = sum(sum(divmod(int(d) * (2 - n % 2), 10)) for n, d in enumerate(reversed(first)))
    return first + str(-total % 10)


def card(rng: random.Random) -> str:
    prefix, size = rng.choice((("6222", 19), ("6217", 19), ("6228", 16), ("4367", 16), ("5187", 16)))
    return luhn(prefix + "".join(rng.choices("0123456789", k=size - len(prefix) - 1)))


def mail(rng: random.Random) -> str:
    user = rng.choice(("zhangsan", "li.si", "wang_wu99", "a-b", "x12345678", "13800001111"))
    return f"{user}{rng.randrange(100)}@{rng.choice(('163.com', 'qq.com', 'vip.sina.com.cn', 'sz.gov.cn'))}"


def landline(rng: random.Random) -> str:
    return f"{rng.choice(('0755', '0851', '025', '010'))}{rng.choice('2345678')}{rng.randrange(10**7):07d}"


def uscc(rng: random.Random) -> str:
    organisation = "".join(rng.choices("0123456789ABCDEFGHJKLMNPQRTUWXY", k=8))
    return with_uscc_check(f"9144030{rng.randrange(10)}{organisation}{rng.randrange(10)}".ljust(17, "A"))


def plate(rng: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return rng.choice("粤贵苏京新藏") + rng.choice(letters) + "".join(rng.choices("0123456789" + letters, k=5))


Spelling = Callable[[random.Random, str], str]

_ID_SPELLINGS: dict[str, Spelling] = {
    "plain": lambda _, v: v,
    "full width": lambda _, v: full_width(v),
    "spaced": lambda _, v: grouped(v, (6, 8), " "),
    "hyphenated": lambda _, v: grouped(v, (6, 8), "-"),
    "lower case": lambda _, v: v.lower(),
    "wrong check": lambda _, v: break_check(v, "0123456789X"),
    "each spaced": lambda _, v: " ".join(v),
}
_MOBILE_SPELLINGS: dict[str, Spelling] = {
    "plain": lambda _, v: v,
    "full width": lambda _, v: full_width(v),
    "spaced": lambda _, v: grouped(v, (3, 4), " "),
    "hyphenated": lambda _, v: grouped(v, (3, 4), "-"),
    "dotted": lambda _, v: grouped(v, (3, 4), "·"),
    "wide space": lambda _, v: grouped(v, (3, 4), "\u3000"),
    "with +86": lambda _, v: f"+86{v}",
    "with +86 and a space": lambda _, v: f"+86 {v}",
    "with (86)": lambda _, v: f"(+86){v}",
    "with 0086": lambda _, v: f"0086{v}",
    "each spaced": lambda _, v: " ".join(v),
    "written out": lambda _, v: v.translate(str.maketrans("0123456789", "零一二三四五六七八九")),
}
_CARD_SPELLINGS: dict[str, Spelling] = {
    "plain": lambda _, v: v,
    "full width": lambda _, v: full_width(v),
    "spaced": lambda _, v: grouped(v, (4, 4, 4, 4), " "),
    "hyphenated": lambda _, v: grouped(v, (4, 4, 4, 4), "-"),
    "wrong check": lambda _, v: break_check(v, "0123456789"),
}
KINDS: dict[str, tuple[str, Callable[[random.Random], str], dict[str, Spelling], tuple[str, ...]]] = {
    "resident id": ("CN_RESIDENT_ID", resident_id, _ID_SPELLINGS, ("", "身份证", "身份证号码：", "本人")),
    "old resident id": (
        "CN_RESIDENT_ID",
        old_resident_id,
        {name: _ID_SPELLINGS[name] for name in ("plain", "full width", "spaced")},
        ("", "身份证", "证件号："),
    ),
    "mobile": (
        "CN_MOBILE",
        mobile,
        _MOBILE_SPELLINGS,
        ("", "电话", "联系方式：", "手机号是", "请回电", "tel", "QQ或Phone"),
    ),
    "bank card": ("CN_BANK_CARD", card, _CARD_SPELLINGS, ("", "卡号", "退款账号：")),
    "mail": (
        "EMAIL",
        mail,
        {
            "plain": lambda _, v: v,
            "full width": lambda _, v: full_width(v),
            "spaced": lambda _, v: v.replace("@", " @ "),
            "upper case": lambda _, v: v.upper(),
        },
        ("", "邮箱", "材料发到"),
    ),
    "landline": (
        "CN_LANDLINE",
        landline,
        {
            "plain": lambda _, v: v,
            "hyphenated": lambda _, v: f"{v[:-8]}-{v[-8:]}",
            "bracketed": lambda _, v: f"({v[:-8]}){v[-8:]}",
            "extension": lambda _, v: f"{v[:-8]}-{v[-8:]}转801",
        },
        ("", "座机", "电话："),
    ),
    "credit code": (
        "CN_USCC",
        uscc,
        {"plain": lambda _, v: v, "full width": lambda _, v: full_width(v), "lower case": lambda _, v: v.lower()},
        ("", "信用代码："),
    ),
    "plate": (
        "CN_PLATE",
        plate,
        {"plain": lambda _, v: v, "dotted": lambda _, v: f"{v[:2]}·{v[2:]}", "lower case": lambda _, v: v.lower()},
        ("", "车牌", "一辆"),
    ),
}


def planted(kind: str, count: int, seed: int) -> list[Planted]:
    """Return requests with one identifier of the kind each; every spelling, glued to Han signs on both sides."""
    entity, draw, spellings, cues = KINDS[kind]
    rng = random.Random(f"{kind}/{seed}")
    found = []
    for number in range(count):
        spelling = list(spellings)[number % len(spellings)]
        value = spellings[spelling](rng, draw(rng))
        text = rng.choice(_SENTENCES).format(rng.choice(cues) + value)
        found.append(Planted(text, value, entity, spelling))
    return found


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    "order": lambda r: f"订单号2026{r.randint(1, 12):02d}{r.randint(1, 28):02d}{_digits(r, r.randint(6, 12))}",
    "order of a shop": lambda r: f"订单编号：{r.choice('123456789')}{_digits(r, 17)}",
    "waybill of 20 digits": lambda r: f"运单{r.choice('123456789')}{_digits(r, 19)}",
    "waybill": lambda r: f"快递单号{r.choice(('SF', 'YT', 'JD', 'ZTO'))}{_digits(r, 13)}",
    "request": lambda r: f"工单号SZ2026{_digits(r, 8)}",
    "date": lambda r: f"2026年{r.randint(1, 12)}月{r.randint(1, 28)}日",
    "dashed date and time": lambda r: f"2026-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:30",
    "date of eight digits": lambda r: f"2026{r.randint(1, 12):02d}{r.randint(1, 28):02d}",
    "amount": lambda r: f"{r.choice('123456789')}{_digits(r, r.randint(2, 10))}.{_digits(r, 2)}元",
    "big amount": lambda r: f"补贴{r.choice('123456789')}{_digits(r, 10)}元",
    "hotline": lambda r: f"拨打{r.choice(('12345', '110', '12306', '96110', '95588'))}",
    "share": lambda r: f"{r.randint(1, 99)}.{_digits(r, 2)}%",
    "meters": lambda r: f"长{r.randint(100, 9999)}米宽{r.randint(2, 40)}米",
    "line": lambda r: f"乘坐地铁{r.randint(1, 14)}号线",
    "bus": lambda r: f"乘坐{r.randint(1, 999)}路公交车",
    "postcode": lambda r: f"邮编518{_digits(r, 3)}",
    "version": lambda r: f"应用版本v{r.randint(1, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)}",
    "document": lambda r: f"深府〔2026〕{r.randint(1, 99)}号文",
    "digest": lambda r: f"校验码{''.join(r.choices('0123456789abcdef', k=32))}",
    "timestamp": lambda r: f"时间戳{r.randint(1_600_000_000, 1_800_000_000)}",
}


def look_alikes(count: int, seed: int) -> list[Planted]:
    """Return requests with a number in them that identifies nobody."""
    rng = random.Random(f"look-alikes/{seed}")
    found = []
    for number in range(count):
        kind = list(LOOK_ALIKES)[number % len(LOOK_ALIKES)]
        value = LOOK_ALIKES[kind](rng)
        found.append(Planted(rng.choice(_SENTENCES).format(value), value, None, kind))
    return found
