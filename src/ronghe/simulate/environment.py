"""Two feeds of environment readings: hourly air as CSV in GBK, four-hourly water as JSON Lines; one indicator a row."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import pi, sin

from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.files import write_atomically, write_json_lines
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.truth import TruthLog

AIR_FEED = Feed("guiyang", "air_quality", "kqzl", "csv")
WATER_FEED = Feed("xinjiang", "water_quality", "water_quality", "jsonl")
ENCODING = "gbk"
AIR_COLUMNS = ("站点编码", "站点名称", "经度", "纬度", "监测时间", "监测指标", "浓度", "单位", "数据标识")
_CODE, _NAME, _LONGITUDE, _TIME, _INDICATOR, _VALUE, _UNIT, _FLAG = 0, 1, 2, 4, 5, 6, 7, 8
_FLAGS = ("校准", "停机维护", "异常")
_FLAGGED = 0.02
# A station that is out of order for a day gives too few readings for a judgement.
_OUT_OF_ORDER = 0.01


@dataclass(frozen=True)
class _Station:
    code: str
    name: str
    longitude: float
    latitude: float


@dataclass(frozen=True)
class _Indicator:
    """An indicator: how its name is written, its usual value and spread, its daily wave, its unit and decimals."""

    spellings: tuple[str, ...]
    mean: float
    spread: float
    wave: float
    unit: str
    decimals: int


_AIR_STATIONS = tuple(
    _Station(f"1{n:03d}A", name, longitude, latitude)
    for n, (name, longitude, latitude) in enumerate(
        (
            ("马鞍山监测站", 106.6868, 26.6028),
            ("市环保站", 106.7030, 26.5682),
            ("鉴湖路", 106.6975, 26.5690),
            ("燕子冲", 106.7480, 26.6290),
            ("中院村", 106.7140, 26.4365),
            ("红边门", 106.7111, 26.5991),
            ("新华路", 106.7164, 26.5697),
            ("太慈桥", 106.6870, 26.5483),
            ("碧云窝", 106.6937, 26.4347),
            ("桐木岭", 106.6556, 26.3847),
        ),
        start=2291,
    )
)
_AIR = (
    _Indicator(("PM2.5",), 42, 24, 0.3, "μg/m³", 0),
    _Indicator(("PM10",), 75, 45, 0.3, "μg/m³", 0),
    _Indicator(("SO2", "二氧化硫"), 14, 8, 0.2, "μg/m³", 0),
    _Indicator(("NO2", "二氧化氮"), 34, 18, 0.4, "μg/m³", 0),
    _Indicator(("O3", "臭氧"), 92, 52, 0.7, "μg/m³", 0),
    _Indicator(("CO",), 0.9, 0.5, 0.3, "mg/m³", 1),
)
_RIVERS = (
    *(("伊犁河", 81.30, 43.92), ("额尔齐斯河", 87.05, 47.85), ("塔里木河", 81.28, 40.55), ("开都河", 86.15, 42.05)),
    *(
        ("乌鲁木齐河", 87.55, 43.70),
        ("喀什噶尔河", 75.98, 39.45),
        ("玛纳斯河", 86.20, 44.30),
        ("叶尔羌河", 77.25, 38.42),
    ),
    *(("博尔塔拉河", 82.07, 44.90),),
)
_WATER_STATIONS = tuple(
    _Station(f"65S{10 * number + part:04d}", f"{river}{where}断面", longitude + 0.04 * part, latitude + 0.03 * part)
    for number, (river, longitude, latitude) in enumerate(_RIVERS, start=1)
    for part, where in enumerate(("上游", "下游"))
)
_WATER = (
    _Indicator(("pH", "pH值"), 7.9, 0.4, 0.01, "无量纲", 2),
    _Indicator(("DO", "溶解氧"), 7.4, 1.5, 0.1, "mg/L", 2),
    _Indicator(("CODMn", "高锰酸盐指数"), 3.6, 1.6, 0.05, "mg/L", 2),
    _Indicator(("NH3-N", "氨氮"), 0.52, 0.32, 0.05, "mg/L", 3),
    _Indicator(("TP", "总磷"), 0.11, 0.06, 0.05, "mg/L", 3),
)
_MICROGRAMS = ("总磷", "TP", "NH3-N", "氨氮")


def write_air_quality(window: Window, log: TruthLog) -> None:
    """Write a CSV file per day with its 24 hours and note its truth."""
    stations = _AIR_STATIONS[: max(2, round(len(_AIR_STATIONS) * window.scale))]
    _write(AIR_FEED, stations, _AIR, range(24), window, log)
    for station in stations:
        log.add_place(AIR_FEED.source, station.name, [station.code], "air_station", station.longitude, station.latitude)


def write_water_quality(window: Window, log: TruthLog) -> None:
    """Write a JSON Lines file per day with its six readings and note its truth."""
    stations = _WATER_STATIONS[: max(2, round(len(_WATER_STATIONS) * window.scale))]
    _write(WATER_FEED, stations, _WATER, range(0, 24, 4), window, log)
    for station in stations:
        log.add_place(
            WATER_FEED.source, station.name, [station.code], "water_section", station.longitude, station.latitude
        )


def _write(
    feed: Feed,
    stations: Sequence[_Station],
    indicators: Sequence[_Indicator],
    hours: Sequence[int],
    window: Window,
    log: TruthLog,
) -> None:
    air = feed is AIR_FEED
    rng = stream(window.seed, f"{feed.id} rows")
    size = len(stations) * len(indicators) * len(hours)
    sizes = [size] * len(window.days)
    picks = choose(_faults(window, air), sizes, window.factor, vector_stream(window.seed, f"{feed.id} defects"))
    sorter = Sorter(sizes, rng)
    for number, day in enumerate(window.days):
        rows = _rows(window, number, stations, indicators, hours, _air_time if air else _water_time, rng)
        for index, row in enumerate(rows):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        if air:
            write_atomically(window.landing / feed.path(day), _as_csv(entries))
        else:
            write_json_lines(window.landing / feed.path(day), map(_as_json, entries))
        log.add_delivery(feed, day, entries)


def _air_time(window: Window, day: int, hour: int) -> str:
    moment = window.clock(day, hour * 3600)
    return f"{moment.year}年{moment.month}月{moment.day}日 {hour:02d}时"


def _water_time(window: Window, day: int, hour: int) -> str:
    return f"{window.clock(day, hour * 3600):%Y-%m-%d %H:%M}"


def _rows(
    window: Window,
    day: int,
    stations: Sequence[_Station],
    indicators: Sequence[_Indicator],
    hours: Sequence[int],
    spell_time: Callable[[Window, int, int], str],
    rng: random.Random,
) -> Iterator[list[str]]:
    """Return a day's rows by hour, station and indicator, without defects.

    A day's level wanders by station and indicator, so that some days exceed their limit and others do not.
    """
    levels = {(s.code, i): max(0.2, rng.gauss(1.0, i.spread / i.mean)) for s in stations for i in indicators}
    broken = {key for key in levels if rng.random() < _OUT_OF_ORDER}
    for hour in hours:
        for station in stations:
            for indicator in indicators:
                key = (station.code, indicator)
                tide = 1 + indicator.wave * sin((hour - 8) / 24 * 2 * pi)
                value = max(0.0, indicator.mean * levels[key] * tide * rng.uniform(0.92, 1.08))
                flagged = rng.random() < _FLAGGED or (key in broken and hour >= 4)
                yield [
                    station.code,
                    station.name,
                    f"{station.longitude:.4f}",
                    f"{station.latitude:.4f}",
                    spell_time(window, day, hour),
                    rng.choice(indicator.spellings),
                    "" if flagged and rng.random() < 0.5 else f"{value:.{indicator.decimals}f}",
                    indicator.unit,
                    rng.choice(_FLAGS) if flagged else rng.choice(("有效", "正常")),
                ]


def _faults(window: Window, air: bool) -> list[Fault]:
    spell = _air_time if air else _water_time

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        moment = window.clock(day, 40 * 86400)
        row[_TIME] = f"{moment.year}年{moment.month}月{moment.day}日 00时" if air else f"{moment:%Y-%m-%d %H:%M}"

    def impossible(row: list[str], day: int, _rng: random.Random) -> None:
        row[_TIME] = spell(window, day, 0).replace("00时", "37时").replace("00:00", "37:00")

    def wrong_unit(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_VALUE], row[_UNIT] = "1.0", "ppb"

    return [
        *duplicates(within=60, resent=30),
        quarantined("unknown_indicator", "code:indicator_code", 30, set_field(_INDICATOR, "氡")),
        quarantined("wrong_unit", "unit:reading_value", 30, wrong_unit),
        quarantined("bad_value", "format:reading_value", 30, set_field(_VALUE, "溢出")),
        quarantined("negative_value", "range:reading_value", 30, set_field(_VALUE, "-5.0")),
        quarantined("bad_time", "format:measured_at", 20, impossible),
        quarantined("future_time", "future:measured_at", 10, future),
        quarantined("unknown_flag", "code:reading_flag_code", 20, set_field(_FLAG, "?!")),
    ]


def _as_csv(entries: Sequence[Entry]) -> bytes:
    lines = [
        ",".join(AIR_COLUMNS),
        *(",".join([*e.row[:_VALUE], e.row[_VALUE] or "—", *e.row[_UNIT:]]) for e in entries),
    ]
    # GBK has no superscript three; stations write the cubic metre without it.
    return "".join(f"{line}\r\n" for line in lines).replace("m³", "m3").encode(ENCODING)


def _as_json(entry: Entry) -> str:
    """Return a record; phosphorus and ammonia of downstream sections come in micrograms."""
    code, name, longitude, latitude, time, indicator, value, unit, flag = entry.row
    if unit == "mg/L" and indicator in _MICROGRAMS and "下游" in name and _is_number(value):
        value, unit = f"{float(value) * 1000:.0f}", "ug/L"
    return json.dumps(
        {
            "section": {"code": code, "name": name, "longitude": float(longitude), "latitude": float(latitude)},
            "monitored": time,
            "indicator": indicator,
            "value": float(value) if _is_number(value) else value or None,
            "unit": unit,
            "flag": flag,
        },
        ensure_ascii=False,
    )


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()
