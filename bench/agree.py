"""Whether two sides agree: their rows are compared before any time is told."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

# Sines and logarithms of two libraries differ in the last digits.
_DECIMALS = 7
_ROUNDED = ("FLOAT", "DOUBLE")


class Disagreement(AssertionError):
    """The twin's rows are not the table's: whoever is wrong, their times compare nothing."""


def compare(table_id: str, ours: Sequence[str], twin: Path, columns: Sequence[str]) -> int:
    """Compare two multisets of rows by number and by the sum of the rows' hashes; return the number of rows.

    Args:
        table_id: for the error.
        ours: Parquet files of the table.
        twin: the twin's Parquet file.
        columns: what is compared; floating-point numbers to seven decimals.

    Raises:
        Disagreement: they differ; the message names the columns.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.read_parquet(list(ours)).create_view("ours")
    connection.read_parquet(str(twin)).create_view("twin")
    kinds = {name: str(kind) for name, kind in zip(*_shape(connection), strict=True)}
    cells = {name: _cell(name, kinds[name]) for name in columns}
    whole = f"sum(hash({', '.join(cells.values())})::HUGEINT)"
    each = ", ".join(f"sum(hash({cell})::HUGEINT)" for cell in cells.values())
    found = [
        connection.execute(f"SELECT count(*), {whole}, {each} FROM {side}").fetchone() for side in ("ours", "twin")
    ]
    first, second = (row or () for row in found)
    if first[:2] != second[:2]:
        differ = [name for name, a, b in zip(columns, first[2:], second[2:], strict=True) if a != b]
        raise Disagreement(f"{table_id}: {first[0]} rows of ours, {second[0]} of the twin; they differ in {differ}")
    return int(first[0])


def _shape(connection: duckdb.DuckDBPyConnection) -> tuple[list[str], list[object]]:
    ours = connection.table("ours")
    return ours.columns, list(ours.types)


def _cell(name: str, kind: str) -> str:
    if kind in _ROUNDED:
        return f'round("{name}"::DOUBLE, {_DECIMALS})'
    # Spark's instants are of UTC; DuckDB's twins write them without saying so.
    return f'"{name}"::TIMESTAMP' if kind.startswith("TIMESTAMP") else f'"{name}"::{kind}'
