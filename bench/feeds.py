"""Feeds of any size in the shapes of the simulator, made by DuckDB in seconds: one seed, the same rows.

Shares of what is wrong follow `ronghe.simulate`: some records of every kind that ends in quarantine, and repeats.
"""

from pathlib import Path

import duckdb

from bench.world import DAYS
from ronghe.simulate.stations import STOPS

FEED = "shenzhen.swipe"
_HEADER = (
    "卡号",
    "交易时间",
    "交易类型",
    "线路名称",
    "站点编码",
    "站点名称",
    "经度",
    "纬度",
    "设备编号",
    "交易金额",
    "结算日期",
)
_SWIPES_A_CARD = 8
# Parts of a hundred thousand records.
_REPEATED, _WRONG = 500, 20
# One repeat of so many names another fare.
_CONTRADICTS = 4


def draw(name: str, low: int, high: int, number: str = "i") -> str:
    """Return SQL for a whole number from low to below high that follows from a row's number and a name."""
    return f"({low} + hash({number}, '{name}') % {high - low})::BIGINT"


def write_swipes(landing: Path, records: int) -> None:
    """Write a CSV file a day, in UTF-8: without an extension that is all DuckDB reads.

    Args:
        landing: folder of the deliveries.
        records: how many records all files have together.
    """
    connection = duckdb.connect()
    stops = ", ".join(
        f"({n}, '{s.place.kind}', '{s.code}', '{s.line}', '{s.place.name}', '{s.longitude}', '{s.latitude}')"
        for n, s in enumerate(STOPS)
    )
    connection.execute(f"CREATE TABLE stop AS SELECT * FROM (VALUES {stops}) t(n, kind, code, line, name, lon, lat)")
    for number, day in enumerate(DAYS):
        first, last = records * number // len(DAYS), records * (number + 1) // len(DAYS)
        target = landing / "shenzhen" / "swipe" / day.isoformat() / f"swipe_{day.isoformat()}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(
            f"nullif({name}, '') AS \"{shown}\"" for name, shown in zip("abcdefghijk", _HEADER, strict=True)
        )
        query = f"SELECT {columns} FROM ({_swipes(day.isoformat(), first, last, records)}) ORDER BY place"
        connection.execute(f"COPY ({query}) TO '{target}' (HEADER, DELIMITER ',')")


def _swipes(day: str, first: int, last: int, records: int) -> str:
    wrong = draw("wrong", 0, 100_000)
    fault = f"CASE WHEN {wrong} < {6 * _WRONG} THEN {wrong} // {_WRONG} ELSE -1 END"
    second = draw("second", 6 * 3600, 24 * 3600, "source")
    card = draw("card", 0, max(1, records // _SWIPES_A_CARD), "source")
    yuan, quarters = draw("yuan", 1, 12, "source"), draw("cents", 0, 4, "source")
    other = f"CASE WHEN place <> source AND {draw('other', 0, _CONTRADICTS, 'place')} = 0 THEN 1 ELSE 0 END"
    clock = f"strftime(make_timestamp(({second}) * 1000000), '%H:%M:%S')"
    return f"""
        WITH numbered AS (
            SELECT i AS place,
                   CASE WHEN {draw("again", 0, 100_000)} < {_REPEATED} THEN greatest(i - 7, {first}) ELSE i END
                       AS source,
                   {fault} AS fault FROM range({first}, {last}) r(i))
        SELECT place,
               CASE fault WHEN 0 THEN '' ELSE printf('SZT%09d', {card}) END AS a,
               CASE fault WHEN 1 THEN '2026-13-45 99:00:00' ELSE '{day} ' || {clock} END AS b,
               CASE WHEN fault = 2 THEN '轻轨入站' WHEN s.kind = 'bus_stop' THEN '巴士'
                    WHEN {draw("out", 0, 2, "source")} = 1 THEN '地铁出站' ELSE '地铁入站' END AS c,
               CASE WHEN {draw("wide", 0, 30, "source")} = 0
                    THEN translate(s.line, '0123456789M', '０１２３４５６７８９Ｍ') ELSE s.line END AS d,
               CASE fault WHEN 3 THEN '' ELSE s.code END AS e,
               CASE WHEN fault = 3 THEN '-' WHEN {draw("spelt", 0, 4, "source")} = 0 THEN s.name || '站　'
                    ELSE s.name END AS f,
               s.lon AS g, s.lat AS h,
               right(s.code, 7) || printf('%02d', {draw("reader", 1, 30, "source")}) AS i,
               CASE fault WHEN 4 THEN '-2.00' ELSE printf('%d.%02d', {yuan} + {other}, {quarters} * 25) END AS j,
               CASE fault WHEN 5 THEN '20270101' ELSE replace('{day}', '-', '') END AS k
        FROM numbered JOIN stop s ON s.n = hash(source, 'stop') % {len(STOPS)}"""
