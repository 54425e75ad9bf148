"""A whole table brought to a new state: which rows differ, and one MERGE of those."""

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

from ronghe.contracts import Table
from ronghe.contracts.checks import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Says of a difference that the row is gone. A contract's names begin with a letter.
_GONE = "__gone"
_OLD = "__old_"
_DELTA = "spark.databricks.delta."


def differences(wanted: "DataFrame", present: "DataFrame", table: Table) -> "DataFrame":
    """Return the rows in which two states of a table differ, by its primary key.

    Args:
        wanted: the new state; one row per key.
        present: the rows that are there.
        table: the contract; nulls count as equal.

    Returns:
        New and changed rows as wanted, and the rows that are gone as they were, with `__gone`.
    """
    from pyspark.sql import functions as F

    old = present.select(*(F.col(quoted(name)).alias(_OLD + name) for name in table.column_names), F.lit(1).alias(_OLD))
    new = wanted.withColumn(_GONE, F.lit(False))
    both = new.join(old, _equal(table.primary_key), "full")
    is_gone, is_new = F.col(_GONE).isNull(), F.col(_OLD).isNull()
    rows = both.where(is_gone | is_new | ~_equal(table.column_names))
    return rows.select(
        *(F.when(is_gone, F.col(_OLD + n)).otherwise(F.col(quoted(n))).alias(n) for n in table.column_names),
        is_gone.alias(_GONE),
    )


def _equal(names: "tuple[str, ...]") -> "Column":
    """Return whether the named columns of both states are equal."""
    from pyspark.sql import functions as F

    return reduce(lambda a, b: a & b, (F.col(quoted(name)).eqNullSafe(F.col(_OLD + name)) for name in names))


def apply(changed: "DataFrame", path: str, table: Table, view: str, commit: Mapping[str, str]) -> None:
    """Merge differences into the table at a path, in one commit, also if there are none.

    Args:
        changed: as `differences` gives them.
        path: where the table lies.
        table: its contract.
        view: a name for the differences that nobody else uses.
        commit: what the commit carries, as settings of Delta. MERGE takes no options; it honours the transaction id
            of the session (`MergeIntoCommand`).
    """
    spark = changed.sparkSession
    changed.createOrReplaceTempView(view)
    same_key = " AND ".join(f"t.{quoted(key)} <=> s.{quoted(key)}" for key in table.primary_key)
    try:
        for name, value in commit.items():
            spark.conf.set(_DELTA + name, value)
        spark.sql(
            f"MERGE INTO delta.{quoted(path)} t USING {view} s ON {same_key} "
            f"WHEN MATCHED AND s.{_GONE} THEN DELETE WHEN MATCHED THEN UPDATE SET * "
            f"WHEN NOT MATCHED AND NOT s.{_GONE} THEN INSERT *"
        ).collect()
    finally:
        for name in commit:
            spark.conf.unset(_DELTA + name)
        spark.catalog.dropTempView(view)
