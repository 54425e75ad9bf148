"""Deliveries of card swipes, a line each, put into the landing zone as the card clearing centre would."""

import dataclasses
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from jobs import ingest_deliveries
from ronghe.contracts import Catalogue
from ronghe.contracts.codeset import Code
from ronghe.job import JobContext

FEED = "shenzhen.swipe"
HEADER = "卡号,交易时间,交易类型,线路名称,站点编码,站点名称,经度,纬度,设备编号,交易金额,结算日期"


def swipe(card: str, day: date, kind: str = "地铁入站", hour: int = 8) -> str:
    """Return one line of a delivery; a kind that no code set knows goes into quarantine."""
    return f"{card},{day} {hour:02}:00:00,{kind},一号线,A1,会展中心,114.06,22.54,G1,2.00,{day:%Y%m%d}"


def with_word(found: Catalogue, word: str) -> Catalogue:
    """Return declarations whose code set of swipes knows one more spelling of its first code."""
    kind = found.codeset("swipe_kind")
    first, *others = kind.codes
    known = Code(**{**first.model_dump(), "aliases": (*first.aliases, word)})
    codes = found.codesets | {kind.id: kind.model_copy(update={"codes": (known, *others)})}
    return dataclasses.replace(found, codesets=codes)


def deliver(ctx: JobContext, day: date, lines: Iterable[str], name: str = "a.csv") -> Path:
    """Put a delivery of a business day into the landing zone."""
    path = ctx.home.landing / "shenzhen" / "swipe" / day.isoformat() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *lines, ""]), "GB18030")
    return path


def ingest(ctx: JobContext) -> int:
    """Take in what was delivered; return the number of deliveries accepted."""
    return ingest_deliveries.run(ctx)
