"""Persons: names of every form, resident identity numbers, telephones. All are made up."""

import random
from dataclasses import dataclass
from datetime import date, timedelta

from ronghe.simulate.identity import to_15, with_resident_check

_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶"
    "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
_COMPOUND_SURNAMES = ("欧阳", "上官", "司马", "诸葛", "皇甫", "令狐")
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红玲建国梅琴云兰凤洁琳素莲真环雪荣爱妹香月媛瑞凡佳"
    "嘉琼勤珍贞莉慧倩文斌宇浩凯健俊帆鑫波辉力永毅峰宁贵福生元全胜学祥才发武新利清飞彬富顺信子昌成康星光天达安"
)
_DOTTED_FIRST = ("阿依古丽", "迪丽努尔", "艾合买提", "古丽娜尔", "买买提", "扎西", "卓玛", "才让")
_DOTTED_SECOND = ("买买提", "吐尔逊", "阿不都拉", "依明", "次仁", "多吉", "央金", "热合曼")
_DOTTED_SHARE = 0.02

# County-level codes that were in force in every year from 1960 on, so that no birth contradicts its place.
_REGIONS = (
    *("110105", "110108", "310101", "310104", "310106", "330122", "340121", "340421"),
    *("340621", "350121", "360121", "430121", "430321", "422822", "510121", "513401"),
    *("520203", "522622", "522701", "610323", "620121"),
)
_NANJING = ("320102", "320104", "320105", "320106", "320111", "320113", "320114")
_NANJING_SINCE = 1984
_SHORT_BEFORE = 1985
_SHORT_SHARE = 0.03


def _rare_characters() -> tuple[str, ...]:
    """Return the Chinese characters that GBK has and GB 2312 has not; no other simulated text uses them."""
    found = []
    for lead in range(0x81, 0xA1):
        for trail in (*range(0x40, 0x7F), *range(0x80, 0xFF)):
            character = bytes((lead, trail)).decode("gbk")
            if character not in "孖龘靐":
                found.append(character)
    return tuple(found)


_RARE = _rare_characters()
CANARIES_PER_FEED = 40


def canary_names(block: int) -> list[str]:
    """Return a feed's forty names of characters that occur nowhere else (feeds take different blocks)."""
    start = 2 * CANARIES_PER_FEED * (block + 10)
    return [f"龘靐{_RARE[start + 2 * n]}{_RARE[start + 2 * n + 1]}" for n in range(CANARIES_PER_FEED)]


def draw_name(rng: random.Random, dots: str = "·", dotted: float = _DOTTED_SHARE) -> str:
    """Return a name of two to four characters, or for a share one of two parts with one of the given dots."""
    if rng.random() < dotted:
        return f"{rng.choice(_DOTTED_FIRST)}{rng.choice(dots)}{rng.choice(_DOTTED_SECOND)}"
    surname = rng.choice(_COMPOUND_SURNAMES) if rng.random() < 0.02 else rng.choice(_SURNAMES)
    length = 1 if rng.random() < 0.25 else 2
    return surname + "".join(rng.choice(_GIVEN) for _ in range(length))


def draw_phone(rng: random.Random) -> str:
    """Return a mobile number of eleven digits."""
    return f"1{rng.choice('35789')}{rng.randrange(10**9):09d}"


@dataclass(frozen=True)
class Person:
    """An insured person. `short_id` is the 15-digit form, for those whose rows use both."""

    resident_id: str
    short_id: str | None
    name: str
    phone: str
    account: str
    ethnicity: str


_ETHNICITIES = ("汉族", "苗族", "布依族", "回族", "满族", "土家族", "侗族", "维吾尔族", "藏族", "彝族")
_ETHNICITY_WEIGHTS = (88, 2, 1, 2, 2, 1, 1, 1, 1, 1)


def draw_persons(rng: random.Random, count: int, dots: str) -> list[Person]:
    """Return distinct persons born from 1960 to 2004; the first ones carry the canary names."""
    numbers = _draw_resident_ids(rng, count)
    accounts = rng.sample(range(10**8), count)
    names = canary_names(0)[: count // 2]
    names += [draw_name(rng, dots) for _ in range(count - len(names))]
    ethnicities = rng.choices(_ETHNICITIES, _ETHNICITY_WEIGHTS, k=count)
    old = [number for number in numbers if int(number[6:10]) < _SHORT_BEFORE]
    short = set(rng.sample(old, min(len(old), max(2, round(count * _SHORT_SHARE)))))
    return [
        Person(
            resident_id=number,
            short_id=to_15(number) if number in short else None,
            name=name,
            phone=draw_phone(rng),
            account=f"3201{account:08d}",
            ethnicity=ethnicity,
        )
        for number, name, account, ethnicity in zip(numbers, names, accounts, ethnicities, strict=True)
    ]


def draw_resident_id(rng: random.Random) -> str:
    """Return an identity number of somebody born from 1960 to 2004 in a region that was there at the time."""
    birth = date(1960, 1, 1) + timedelta(days=rng.randrange(45 * 365))
    return with_resident_check(f"{rng.choice(_REGIONS)}{birth:%Y%m%d}{rng.randrange(1000):03d}")


def _draw_resident_ids(rng: random.Random, count: int) -> list[str]:
    first_birth, last_birth = date(1960, 1, 1), date(2004, 12, 31)
    span = (last_birth - first_birth).days
    found: dict[str, None] = {}
    while len(found) < count:
        birth = first_birth + timedelta(days=rng.randint(0, span))
        local = birth.year >= _NANJING_SINCE and rng.random() < 0.7
        region = rng.choice(_NANJING if local else _REGIONS)
        found[with_resident_check(f"{region}{birth:%Y%m%d}{rng.randrange(1000):03d}")] = None
    return list(found)
