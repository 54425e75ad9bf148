"""Marts are built part by part, a day or a month: which parts are due, and the trail of what was shown."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import ContractError
from ronghe.contracts.gate import GRAIN_CODE, SUPPRESSED
from ronghe.job import Days
from ronghe.lake import Lake, Part, code_version, digest
from ronghe.ledger import accepted_states
from ronghe.privacy import gate

AUDIT = "meta.gate_audit"
TRAIL = "meta.mart_part"


@dataclass(frozen=True)
class Mart:
    """A mart of figures about things: its table and the column its parts are told by."""

    table_id: str
    part_column: str

    @property
    def trail(self) -> str:
        """The table that says which states of which parts were built."""
        return TRAIL


@dataclass(frozen=True)
class GatedMart(Mart):
    """A mart of counts about persons: how contributions become rows that passed the gate."""

    measures: dict[str, str]
    as_table: Callable[[DataFrame], DataFrame]

    @property
    def trail(self) -> str:
        """The audit of the gate, which names the states too."""
        return AUDIT


def due_parts(
    lake: Lake, mart: Mart, rows: DataFrame, basis: str, days: Days | None, gone: DataFrame | None = None
) -> dict[str, str]:
    """Return the parts whose rows, or whatever else they are built from, changed since they were built.

    Args:
        lake: read for the mart's trail.
        mart: the mart.
        rows: accepted rows it is built from, with `part_column` and `delivery_id`.
        basis: hash of everything else the mart is built from.
        days: parts to look at; none for all.
        gone: rows of deliveries that were restated since; a part that has no other rows is emptied.

    Returns:
        The state of each due part by its value (a date as text): a hash of its deliveries' states, the basis and code.
        Of a mart that was taken away every part is due.
    """
    contract = lake.catalogue.table(mart.table_id).fingerprint()
    found = rows.groupBy(F.col(mart.part_column).cast("string").alias("part")).agg(
        F.array_sort(F.collect_set("delivery_id")).alias("deliveries")
    )
    states = accepted_states(lake)
    behind = {
        row["part"]: digest([states.get(one, one) for one in row["deliveries"]], basis, contract, code_version())
        for row in found.collect()
    }
    built: dict[str, set[str]] = defaultdict(set)
    for row in lake.rows(mart.trail, ["table_name", "part", "state"]).to_pylist():
        if row["table_name"] == mart.table_id:
            built[row["part"]].add(row["state"])
    emptied = digest([], basis, contract, code_version())
    behind |= {part: emptied for part in _parts(mart, gone) if part not in behind and part in built}
    gone_whole = bool(built) and not lake.exists(mart.table_id)
    # Of a mart that was taken away all parts are built at once: its trail says of each that it is there.
    asked = {day.isoformat() for day in days.list()} if days and not gone_whole else set(behind)
    # States are numbered, so that one that comes back after another is built again.
    return {
        part: digest(len(built[part]) + 1, content)
        for part, content in sorted(behind.items())
        if part in asked and (gone_whole or digest(len(built[part]), content) not in built[part])
    }


def touched(rows: DataFrame, thing: Sequence[str], part_column: str) -> DataFrame:
    """Return which deliveries bear on which part where a thing counts in one part, and its states may say several.

    A later state may move it, or change what counts of it where an earlier one has put it.

    Args:
        rows: states, with `delivery_id`.
        thing: the columns that identify what the states are of.
        part_column: the part that each state says.

    Returns:
        Rows of `part_column` and `delivery_id`.
    """
    said = rows.select(*thing, part_column).distinct()
    return rows.select(*thing, "delivery_id").join(said, list(thing)).select(part_column, "delivery_id")


def _parts(mart: Mart, rows: DataFrame | None) -> list[str]:
    """Return the parts that rows are of."""
    if rows is None:
        return []
    found = rows.select(F.col(mart.part_column).cast("string").alias("part")).distinct().collect()
    return [row["part"] for row in found]


def build_gated(lake: Lake, mart: GatedMart, contributions: DataFrame, due: dict[str, str]) -> int:
    """Publish the due parts of a mart through the gate, then write the audit.

    Args:
        lake: written.
        mart: the mart.
        contributions: one row per contributing event of the due parts, with the ladder's keys.
        due: the due parts and their states.

    Returns:
        The number of parts built.
    """
    if not due:
        return 0
    table = lake.catalogue.table(mart.table_id)
    if table.gate is None:
        raise ContractError(f"{table.id} counts persons and declares no gate")
    policy = table.gate
    part = Part(mart.part_column, tuple(due))
    assigned = gate.assign(contributions.where(part.predicate()), policy).persist()
    published = mart.as_table(gate.publish(assigned, policy, mart.measures))
    scope = sorted(due.items())
    lake.replace(mart.table_id, published, lake.fingerprint(mart.table_id, scope), part)
    states = lake.spark.createDataFrame(list(due.items()), "part STRING, state STRING")
    shown = (
        gate.audit(assigned, policy, by=mart.part_column)
        .withColumn("part", F.col(mart.part_column).cast("string"))
        .withColumnsRenamed({"cells": "cell_count", "records": "record_count"})
    )
    # A part without any row has a line too.
    trail = (
        states.join(shown, "part", "left")
        .fillna({GRAIN_CODE: SUPPRESSED, "cell_count": 0, "record_count": 0})
        .withColumns({"table_name": F.lit(mart.table_id), "minimum_count": F.lit(policy.minimum_count)})
    )
    lake.append(AUDIT, trail, lake.fingerprint(AUDIT, [mart.table_id, scope]))
    assigned.unpersist()
    return len(due)


def build(lake: Lake, mart: Mart, rows: DataFrame, due: dict[str, str]) -> int:
    """Replace the due parts of a mart of figures about things, then say which state they are in.

    Args:
        lake: written.
        mart: the mart.
        rows: the mart's rows, of the due parts at least.
        due: the due parts and their states.

    Returns:
        The number of parts built.

    Raises:
        ContractError: the mart counts persons; its way out is the gate.
    """
    if not due:
        return 0
    if lake.catalogue.table(mart.table_id).counts == "persons":
        raise ContractError(f"{mart.table_id} counts persons and must pass the gate")
    part, scope = Part(mart.part_column, tuple(due)), sorted(due.items())
    lake.replace(mart.table_id, rows.where(part.predicate()), lake.fingerprint(mart.table_id, scope), part)
    states = [(mart.table_id, value, state) for value, state in scope]
    trail = lake.spark.createDataFrame(states, "table_name STRING, part STRING, state STRING")
    lake.append(TRAIL, trail, lake.fingerprint(TRAIL, [mart.table_id, scope]))
    return len(due)
