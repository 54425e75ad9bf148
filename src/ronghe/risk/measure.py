"""What an index is measured on: weeks, the deliveries behind them, and numerators and denominators from the lake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue
from ronghe.contracts.index import IndexSource, RiskIndex
from ronghe.ingest.deliveries import accepted_rows
from ronghe.lake import Lake
from ronghe.ledger import accepted_events

REGION, CITY = "region", "city"


@dataclass(frozen=True)
class Unit:
    """A region or city that is ranked, and among whom."""

    code: str
    name: str
    tier: str


@dataclass(frozen=True)
class Cell:
    """One indicator of one unit and week as counted; a part is None where nothing was counted."""

    period: date
    unit: str
    indicator: str
    numerator: float | None
    denominator: float | None
    coverage: float | None


def units(catalogue: Catalogue, index: RiskIndex) -> tuple[Unit, ...]:
    """Return the units of an index in the order of its code set."""
    codes = catalogue.codeset(index.units).codes
    return tuple(Unit(code.code, code.name_zh, REGION if code.code.endswith("0000") else CITY) for code in codes)


def period_end(day: date) -> date:
    """Return the Sunday that ends a day's week (ISO 8601)."""
    return day + timedelta(days=6 - day.weekday())


def deliveries(lake: Lake, indices: Sequence[RiskIndex]) -> DataFrame:
    """Return which accepted deliveries each week of the indices is built from.

    Returns:
        One row per `period_end_date` and `delivery_id`: deliveries of the week, and of the tables carried over those of
        earlier weeks. A week in which nothing but carried tables came is none.
    """
    own, carried = _deliveries(lake, indices)
    weeks = {week for week, _ in own}
    rows = own | {(week, delivery) for since, delivery in carried for week in weeks if week >= since}
    return lake.spark.createDataFrame(sorted(rows), "period_end_date DATE, delivery_id STRING")


def _deliveries(lake: Lake, indices: Sequence[RiskIndex]) -> tuple[set[tuple[date, str]], set[tuple[date, str]]]:
    """Return week and id of the accepted deliveries behind tables read by the week, and behind those carried over."""
    targets = {feed.id: feed.target for feed in lake.catalogue.feeds.values()}
    read = {name for index in indices for name in index.tables}
    kept = {name for index in indices for name in index.carried}
    own: set[tuple[date, str]] = set()
    carried: set[tuple[date, str]] = set()
    for event in accepted_events(lake, "feed_id", "business_date"):
        table = targets.get(event["feed_id"])
        if table in read:
            (carried if table in kept else own).add((period_end(event["business_date"]), event["delivery_id"]))
    return own, carried


def measure(lake: Lake, index: RiskIndex, periods: Sequence[date]) -> list[Cell]:
    """Count numerators, denominators and coverage of every indicator in some weeks.

    Args:
        lake: read.
        index: the index.
        periods: the Sundays that end the weeks.

    Returns:
        A cell per week, unit and indicator for which the source has any row; a few thousand.
    """
    with _views(lake, index, periods):
        return [cell for source in index.sources for cell in _cells(lake, index, source)]


@contextmanager
def _views(lake: Lake, index: RiskIndex, periods: Sequence[date]) -> Iterator[None]:
    """Lay out the views that the sources' SQL reads, and take them away again."""
    views = {name.replace(".", "_"): _weekly(lake, index, name, periods) for name in index.tables}
    rows = [(unit.code, unit.tier, period) for unit in units(lake.catalogue, index) for period in periods]
    views["unit"] = lake.spark.createDataFrame(rows, "unit_code STRING, tier_code STRING, period_end_date DATE")
    for name, frame in views.items():
        frame.createOrReplaceTempView(name)
    try:
        yield
    finally:
        for name in views:
            lake.spark.catalog.dropTempView(name)


def _weekly(lake: Lake, index: RiskIndex, table_id: str, periods: Sequence[date]) -> DataFrame:
    """Return a table's accepted rows of the weeks, or up to the last of them, with `period_end_date`."""
    monday = F.date_trunc("week", "business_date").cast("date")
    rows = accepted_rows(lake, table_id).withColumn("period_end_date", F.date_add(monday, 6))
    if table_id in index.carried:
        return rows.where(F.col("period_end_date") <= F.lit(max(periods)))
    return rows.where(F.col("period_end_date").isin(list(periods)))


def _cells(lake: Lake, index: RiskIndex, source: IndexSource) -> Iterator[Cell]:
    """Aggregate one source by unit and week."""
    asked = [indicator for indicator in index.indicators if indicator.source == source.name]
    own = [(unit.code, unit.code) for unit in units(lake.catalogue, index)]
    above = [(code, f"{code[:2]}0000") for code, _ in own if not code.endswith("0000")]
    pairs = own + above if source.regions == "areas" else own
    names = lake.spark.createDataFrame(pairs, "region_code STRING, unit_code STRING")
    wanted = {"n": "numerator", "d": "denominator", "c": "coverage"}
    parts = [
        F.expr(expression).cast("double").alias(f"{part}_{indicator.code}")
        for indicator in asked
        for part, name in wanted.items()
        if (expression := getattr(indicator, name)) is not None
    ]
    counted = lake.spark.sql(source.sql).join(F.broadcast(names), "region_code").groupBy("period_end_date", "unit_code")
    for row in counted.agg(*parts).collect():
        found = row.asDict()
        for indicator in asked:
            numerator, denominator, coverage = (found.get(f"{part}_{indicator.code}") for part in wanted)
            yield Cell(row["period_end_date"], row["unit_code"], indicator.code, numerator, denominator, coverage)
