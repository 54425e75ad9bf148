"""What people say to a hotline: texts from templates, with identifiers of persons in every spelling, and look-alikes.

Every planted identifier is noted as it stands in the text; so is every number that only looks like one.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ronghe.simulate.identity import USCC_ALPHABET, to_15, with_organisation_check, with_uscc_check
from ronghe.simulate.persons import draw_name, draw_phone, draw_resident_id
from ronghe.simulate.text import full_width

_DOTS = "·•．・"
_ROADS = ("科技南路", "深南大道", "滨河大道", "红荔路", "布龙路", "龙岗大道", "宝安大道", "新洲路", "创业路", "梅观路")
_ESTATES = ("阳光花园", "翠竹苑", "海天公寓", "荔园新村", "金湖大厦", "锦绣家园", "福民小区", "桃源居")
_MAILS = ("163.com", "qq.com", "126.com", "sina.com.cn", "example.cn")
_PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_RESIDENT_CHECKS = "0123456789X"


@dataclass
class Text:
    """A text, the identifiers in it and the look-alikes, each with its type and as written."""

    text: str
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    look_alikes: list[tuple[str, str]] = field(default_factory=list)
    # Kind and canonical form of what names a person, as the list of identifiers of the truth keeps it.
    canonical: list[tuple[str, str]] = field(default_factory=list)


_Spelt = tuple[str, str, str]


def _mobile(rng: random.Random) -> _Spelt:
    number = draw_phone(rng)
    parts = (number[:3], number[3:7], number[7:])
    spaced = " ".join(parts)
    foreign = (f"+86{number}", f"+86 {spaced}", f"0086-{number}")
    spelt = rng.choice((number, number, spaced, "-".join(parts), full_width(number), *foreign))
    return spelt, "phone", number


def _landline(rng: random.Random) -> _Spelt:
    area, number = rng.choice((("0755", 8), ("0851", 8), ("0739", 7)))
    local = f"{rng.randint(2, 8)}{rng.randrange(10 ** (number - 1)):0{number - 1}d}"
    spelt = rng.choice((f"{area}-{local}", f"{area}-{local}", f"{area}{local}", f"{area} {local}"))
    return (f"{spelt}转{rng.randint(100, 8999)}" if rng.random() < 0.15 else spelt), "landline", area + local


def _resident_id(rng: random.Random) -> _Spelt:
    number = draw_resident_id(rng)
    spelt = rng.choice((number, number, f"{number[:6]} {number[6:14]} {number[14:]}", full_width(number)))
    if spelt.endswith("X") and rng.random() < 0.5:
        spelt = spelt.lower()
    return spelt, "resident_id", number


def _short_id(rng: random.Random) -> _Spelt:
    long = draw_resident_id(rng)
    while long[6:8] != "19":
        long = draw_resident_id(rng)
    short = to_15(long)
    return short, "resident_id", short


def _mistyped_id(rng: random.Random) -> _Spelt:
    number = draw_resident_id(rng)
    wrong = _RESIDENT_CHECKS[(_RESIDENT_CHECKS.index(number[-1]) + rng.randint(1, 9)) % 11]
    return number[:-1] + wrong, "damaged_resident_id", number[:-1] + wrong


def _card(rng: random.Random) -> _Spelt:
    length = rng.choice((19, 19, 16))
    body = rng.choice(("622202", "621700", "622848", "625912")) + "".join(rng.choices("0123456789", k=length - 7))
    number = next(body + digit for digit in "0123456789" if _luhn(body + digit))
    grouped = " ".join(number[n : n + 4] for n in range(0, length, 4))
    return rng.choice((number, number, grouped)), "bank_card", number


def _luhn(number: str) -> bool:
    doubled = (sum(divmod(2 * int(d), 10)) for d in number[-2::-2])
    return (sum(map(int, number[-1::-2])) + sum(doubled)) % 10 == 0


def _mail(rng: random.Random) -> _Spelt:
    name = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(4, 9)))
    mail = f"{name}{rng.choice(('', '.', '_'))}{rng.randint(1, 9999)}@{rng.choice(_MAILS)}"
    return mail, "mail", mail


def _plate(rng: random.Random) -> _Spelt:
    city = rng.choice(("粤B", "粤S", "贵A", "湘A"))
    tail = "".join(rng.choice("0123456789" * 3 + _PLATE_LETTERS) for _ in range(4)) + str(rng.randint(0, 9))
    if rng.random() < 0.3:
        tail = rng.choice("DF") + f"{rng.randrange(10**5):05d}"
    return f"{city}{rng.choice(('', '', '·', ' '))}{tail}", "plate", city + tail


def _sole_trader(rng: random.Random) -> _Spelt:
    body = "MA" + "".join(rng.choice(USCC_ALPHABET) for _ in range(6))
    code = with_uscc_check(f"92{rng.choice(('440304', '440305', '440306'))}{with_organisation_check(body)}")
    return code, "sole_trader_uscc", code


def _address(rng: random.Random) -> _Spelt:
    road, estate = f"{rng.choice(_ROADS)}{rng.randint(1, 299)}号", rng.choice(_ESTATES)
    where = rng.choice(
        (
            f"{road}{estate}{rng.randint(1, 20)}栋{rng.randint(101, 3206)}室",
            f"{estate}{rng.randint(1, 30)}栋{rng.choice('ABC')}座{rng.randint(101, 2808)}房",
            f"{rng.choice(_ROADS)}{rng.randint(1, 99)}巷{rng.randint(1, 60)}号{rng.randint(2, 8)}楼",
            f"{estate}{rng.randint(1, 9)}号楼{rng.randint(1, 5)}单元{rng.randint(101, 1804)}",
        )
    )
    return where, "home_address", where


def _person(rng: random.Random) -> _Spelt:
    name = draw_name(rng, _DOTS)
    return name, "name_in_text", name


_ENTITIES: Mapping[str, tuple[str, Callable[[random.Random], _Spelt]]] = {
    "name": ("PERSON", _person),
    "mobile": ("CN_MOBILE", _mobile),
    "landline": ("CN_LANDLINE", _landline),
    "id": ("CN_RESIDENT_ID", _resident_id),
    "short_id": ("CN_RESIDENT_ID_15", _short_id),
    "bad_id": ("CN_RESIDENT_ID", _mistyped_id),
    "card": ("CN_BANK_CARD", _card),
    "mail": ("EMAIL_ADDRESS", _mail),
    "plate": ("CN_PLATE", _plate),
    "uscc": ("CN_USCC", _sole_trader),
    "address": ("CN_ADDRESS", _address),
}


def _order(rng: random.Random) -> str:
    return f"2026{rng.randint(1, 11):02d}{rng.randint(1, 28):02d}{rng.randrange(10**12):012d}"


def _amount(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.randint(10, 99999)}.{rng.randint(10, 99)}元",
            f"{rng.randint(1, 80)}万元",
            f"{rng.randint(100, 9999)}元",
        )
    )


def _day(rng: random.Random) -> str:
    month, day = rng.randint(1, 11), rng.randint(1, 28)
    return rng.choice(
        (f"2026年{month}月{day}日", f"2026-{month:02d}-{day:02d}", f"{month}月{day}日", f"2026{month:02d}{day:02d}")
    )


def _contract(rng: random.Random) -> str:
    return rng.choice(
        (f"HT-2026-{rng.randrange(10**6):06d}", f"SZZL{rng.randrange(10**8):08d}", f"第{rng.randint(1000, 9999)}号")
    )


def _express(rng: random.Random) -> str:
    return f"SF{rng.randrange(10**13):013d}"


def _line(rng: random.Random) -> str:
    return rng.choice((f"M{rng.randint(101, 599)}路", f"{rng.randint(1, 399)}路公交", f"{rng.randint(1, 16)}号线"))


def _meter(rng: random.Random) -> str:
    return rng.choice(
        (f"{rng.randint(20, 140)}.{rng.randint(1, 9)}平方米", f"{rng.randint(55, 92)}分贝", f"{rng.randint(1, 28)}层")
    )


_LOOK_ALIKES: Mapping[str, Callable[[random.Random], str]] = {
    "order": _order,
    "amount": _amount,
    "day": _day,
    "contract": _contract,
    "express": _express,
    "line": _line,
    "meter": _meter,
}

# Braces name an entity of one of both tables above. Text is glued to what it names, as people type.
_PERSONAL = (
    "市民{name}来电反映，家住{address}，楼上装修噪音约{meter}，多次沟通无果，请联系{mobile}处理。",
    "本人{name}，身份证号{id}，{day}在社保窗口办理转移手续，至今未到账，联系电话：{mobile}。",
    "市民{name}先生咨询居住证办理进度，身份证{short_id}，手机{mobile}，希望尽快答复。",
    "{name}女士称其公司拖欠工资{amount}，工资卡号{card}，合同编号{contract}，请劳动部门核实并回电{mobile}。",
    "车牌{plate}长期占用{address}消防通道，{day}再次发现，投诉人{name}，电话{landline}。",
    "网购订单号{order}，商家不退款{amount}，请退回银行卡{card}，邮箱{mail}。",
    "我是{name}，公积金提取申请{contract}被退回，身份证号码{bad_id}，请发邮件到{mail}说明原因。",
    "个体户{name}反映，统一社会信用代码{uscc}的营业执照变更已提交{day}，仍显示待审核，联系{mobile}。",
    "乘坐{line}时遗失背包，内有身份证{id}和银行卡，失主{name}，电话{mobile}或{landline}。",
    "投诉{address}一楼餐饮油烟扰民，{day}起每晚超过{meter}，业主{name}电话{mobile}。",
    "请协调退还押金{amount}，转账至{card}户名{name}，联系方式{mobile}。",
    "家长{name}反映孩子学位申请材料已于{day}提交，户籍地址{address}，邮箱{mail}未收到回执。",
    "车主{name}的{plate}在{address}门口被刮擦，交警已登记，快递单{express}可作证，请调取监控，电话{mobile}。",
    "快递{express}一直未送达，收件人{name}，收件地址{address}，手机号{mobile}，订单{order}。",
    "反映路灯损坏，位置在{address}附近，{day}晚已报修，报修人电话{landline}，姓名：{name}。",
    "咨询新能源车{plate}充电补贴，金额{amount}，申请人：{name}，身份证号：{id}，邮箱{mail}。",
)
_IMPERSONAL = (
    "咨询{day}地铁末班车时间，{line}是否延长运营，希望官网及时公布调整信息。",
    "反映{line}高峰期间隔过长，车厢拥挤，建议增加班次并优化线路走向。",
    "小区附近工地夜间施工噪音达{meter}，影响居民休息，请有关部门检查并责令整改。",
    "咨询灵活就业人员社保缴费基数及缴费比例，{day}后如何调整，在哪里可以办理。",
    "道路井盖破损存在安全隐患，积水约{meter}，请尽快派人维修并设置警示标志。",
    "咨询居住登记和居住证办理需要哪些材料，是否可以全程网上办理，需要多长时间。",
    "建议在公园增设健身器材和休息座椅，方便老年人锻炼，同时加强夜间照明。",
    "反映某超市标价{amount}实际结算不符，要求市场监管部门核查并公布处理结果。",
    "咨询小学学位申请条件，{day}截止后是否还能补充材料，学区如何划分。",
    "公共厕所卫生较差，异味严重，建议增加保洁频次并公示保洁时间。",
)


def compose(rng: random.Random) -> Text:
    """Return a text somebody said about an own matter: with identifiers, now and then with look-alikes only."""
    return _filled(rng.choice(_PERSONAL if rng.random() < 0.85 else _IMPERSONAL), rng)


def common_text(rng: random.Random) -> Text:
    """Return a text that many people send alike; it names nobody."""
    return _filled(rng.choice(_IMPERSONAL), rng)


def _filled(template: str, rng: random.Random) -> Text:
    head, *rest = template.split("{")
    found = Text(head)
    for part in rest:
        name, _, after = part.partition("}")
        if name in _ENTITIES:
            entity, draw = _ENTITIES[name]
            spelt, kind, plain = draw(rng)
            found.identifiers.append((entity, spelt))
            found.canonical.append((kind, plain))
        else:
            spelt = _LOOK_ALIKES[name](rng)
            found.look_alikes.append((name, spelt))
        found.text += spelt + after
    return found
