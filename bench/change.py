"""A change of one hundredth of a table, and the same change where the table is ten times as long."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import meter, organisations
from bench.meter import Cost
from bench.world import World
from ronghe import stores
from ronghe.home import Home
from ronghe.lake import Part, digest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PART, MERGE = "std.permit", "fused.organisation"
LONGER = 10
_HUNDREDTH = 100


@dataclass
class Change:
    """One kind of change at one length of the table.

    Attributes:
        kind: `part` (a delivery is put in place of an earlier one) or `merge` (a whole table by its key).
        table_rows: rows of the table.
        changed_rows: rows that changed.
        copied_rows: rows that were written again though nothing about them changed.
        costs: one for each repetition.
    """

    kind: str
    table_rows: int
    changed_rows: int
    copied_rows: int = 0
    costs: list[Cost] = field(default_factory=list)


def measure(
    spark: "SparkSession", folder: Path, records: int, repetitions: int, leader: int | None = None
) -> list[Change]:
    """Change a hundredth of `records` rows in tables of `records` rows and of ten times as many."""
    found = []
    for rows in (records, records * LONGER):
        for kind, change in (("part", _replace), ("merge", _merge)):
            world = World(Home(folder / f"{kind}-{rows}").make(), spark, rows, leader)
            one = Change(kind, rows, records // _HUNDREDTH)
            for number in range(repetitions):
                change(world, one, number)
            found.append(one)
            shutil.rmtree(world.home.root)
    return found


def _replace(world: World, change: Change, number: int) -> None:
    """Put a delivery of the newest month in its place again, with as many rows, as a rebuilt day is."""
    deliveries = change.table_rows // change.changed_rows
    if not world.lake.exists(PART):
        # A month's deliveries come in a file of their own, as the nights leave them when they are compacted.
        for first in range(0, deliveries, 25):
            rows = (min(first + 25, deliveries) - first) * change.changed_rows
            world.put(PART, _permits(first * change.changed_rows, rows, change.changed_rows))
    query = _permits((deliveries - 1) * change.changed_rows, change.changed_rows, change.changed_rows)
    part = Part("delivery_id", (f"d{deliveries - 1:05d}",))
    frame = _frame(world, f"SELECT * REPLACE ('again{number}' AS organisation_name) FROM ({query})", PART)
    with meter.measured(world.leader) as cost:
        world.lake.replace(PART, frame, digest(PART, number), part)
    change.costs.append(cost)
    change.copied_rows = _metric(world, PART, "numCopiedRows")


def _permits(first: int, count: int, each: int) -> str:
    return f"""
        SELECT * REPLACE (printf('d%05d', ({first} + record_number - 1) // {each}) AS delivery_id,
                          printf('P%012d', {first} + record_number) AS permit_code)
        FROM ({organisations.permits(count, 1000)})"""


def _merge(world: World, change: Change, number: int) -> None:
    """Bring the whole table to a state in which a hundredth of the base's rows, spread over all, are others."""
    every = change.table_rows // change.changed_rows
    if not world.lake.exists(MERGE):
        world.lake.merge(MERGE, _frame(world, organisations.fused(change.table_rows), MERGE), digest(MERGE, "first"))
    query = organisations.fused(change.table_rows, f"n % {every} = {number}")
    if number:  # what changed before stays changed, so that this change is of the same size
        query = organisations.fused(change.table_rows, f"n % {every} <= {number}")
    frame = _frame(world, query, MERGE)
    with meter.measured(world.leader) as cost:
        world.lake.merge(MERGE, frame, digest(MERGE, number))
    change.costs.append(cost)
    change.copied_rows = _metric(world, MERGE, "numTargetRowsCopied")


def _frame(world: World, query: str, table_id: str) -> "DataFrame":
    """Return a query's rows as the session reads them from a file."""
    import duckdb
    from pyspark.sql import functions as F

    staged = world.home.engine / f"change-{table_id}.parquet"
    duckdb.execute(f"COPY ({query}) TO '{staged}' (FORMAT parquet)")
    frame = world.spark.read.parquet(str(staged))
    missing = {c: F.lit(None) for c in world.catalogue.table(table_id).column_names if c not in frame.columns}
    return frame.withColumns(missing) if missing else frame


def _metric(world: World, table_id: str, name: str) -> int:
    """Return a figure of the newest commit as Delta tells it, 0 where it does not."""
    commit = stores.open_table(world.lake.path(table_id)).history(1)[0]
    metrics = commit.get("operationMetrics") or {}
    metrics = json.loads(metrics) if isinstance(metrics, str) else metrics
    return int(metrics.get(name, 0))
