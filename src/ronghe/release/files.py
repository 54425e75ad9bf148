"""Data files of a package: equal rows give equal bytes, in a memory that does not grow with the table."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from ronghe.contracts import Column, Table
from ronghe.contracts.extract import Format
from ronghe.lake import Snapshot
from ronghe.release.descriptor import FORMULA_PREFIX, PREFIXED

# Rows of a Parquet row group, and of what is in memory at once.
GROUP_ROWS = 100_000
_SORT_MEMORY = "512MB"

_ARROW = {"STRING": pa.string(), "DATE": pa.date32(), "BIGINT": pa.int64(), "INT": pa.int32(), "DOUBLE": pa.float64()}
_ARROW |= {"BOOLEAN": pa.bool_(), "TIMESTAMP": pa.timestamp("us", "UTC"), "FLOAT": pa.float32()}


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the columns' Arrow types, from the contract and from nothing else."""
    return pa.schema([pa.field(c.name, _arrow_type(c.physical_type), nullable=not c.required) for c in columns])


def _arrow_type(physical: str) -> pa.DataType:
    if physical.startswith("DECIMAL"):
        precision, scale = (int(part) for part in physical.removeprefix("DECIMAL(").rstrip(")").split(","))
        return pa.decimal128(precision, scale)
    return _ARROW[physical]


def identifier(name: str) -> str:
    """Return a name as DuckDB quotes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as DuckDB quotes it: unlike in Spark's SQL (`contracts.rules.literal`), a backslash is a sign."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def duck(**settings: str | bool | int | float | list[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that says instants in UTC."""
    with duckdb.connect(config=settings) as connection:
        connection.sql("SET TimeZone = 'UTC'")
        yield connection


def sorted_groups(snapshot: Snapshot, table: Table, columns: Sequence[Column], spill: Path) -> Iterator[pa.Table]:
    """Yield a table's rows in the order of its key, in groups of `GROUP_ROWS`.

    Args:
        snapshot: the rows.
        table: its key is the order; missing values come first.
        columns: the columns wanted.
        spill: where a sort that does not fit into memory may write; made and used by this call only.
    """
    spill.mkdir(parents=True, exist_ok=True)
    with duck(memory_limit=_SORT_MEMORY, temp_directory=str(spill)) as connection:
        connection.register("released", snapshot.dataset)
        names = ", ".join(identifier(column.name) for column in columns)
        order = ", ".join(f"{identifier(key)} ASC NULLS FIRST" for key in table.primary_key)
        batches = connection.sql(f"SELECT {names} FROM released ORDER BY {order}").to_arrow_reader(GROUP_ROWS)  # noqa: S608
        yield from _groups(batches, arrow_schema(columns))


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield groups of the same size whatever the size of the batches, so that files do not depend on the engine."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(pa.Table.from_batches([batch]).cast(schema))
        count += batch.num_rows
        while count >= GROUP_ROWS:
            together = pa.concat_tables(waiting)
            yield together.slice(0, GROUP_ROWS).combine_chunks()
            waiting, count = [together.slice(GROUP_ROWS)], count - GROUP_ROWS
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


class ParquetFile:
    """Zstandard, a fixed size of row groups, statistics, and no trace of when or where it was written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", version="2.6", store_schema=False)

    def add(self, group: pa.Table) -> None:
        """Write one row group."""
        self._writer.write_table(group, row_group_size=GROUP_ROWS)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class CsvFile:
    """UTF-8, commas, texts in double quotes, line feeds; texts are safe in a spreadsheet."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        texts = pa.schema([pa.field(f.name, _csv_type(f.type)) for f in schema])
        self._writer = pcsv.CSVWriter(path, texts)

    def add(self, group: pa.Table) -> None:
        """Write rows."""
        columns = {name: _csv_column(group.column(name)) for name in group.column_names}
        self._writer.write_table(pa.table(columns))

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _csv_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as CSV holds it: instants as ISO 8601 in UTC, texts that no spreadsheet takes for a formula."""
    if pa.types.is_timestamp(column.type):
        said = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        return pc.replace_substring_regex(said, pattern=r"\.0+Z$", replacement="Z")
    if pa.types.is_string(column.type):
        first = pc.utf8_slice_codeunits(column, 0, 1)
        risky = pc.is_in(first, value_set=pa.array(list(PREFIXED)))
        return pc.if_else(risky, pc.binary_join_element_wise(FORMULA_PREFIX, column, ""), column)
    return column


_WRITERS: dict[Format, type[ParquetFile] | type[CsvFile]] = {"csv": CsvFile, "parquet": ParquetFile}


def write_files(groups: Iterator[pa.Table], schema: pa.Schema, paths: dict[Format, Path]) -> int:
    """Write rows into one file of each format in one pass; return how many."""
    writers = [_WRITERS[kind](path, schema) for kind, path in paths.items()]
    rows = 0
    for group in groups:
        for writer in writers:
            writer.add(group)
        rows += group.num_rows
    for writer in writers:
        writer.close()
    return rows


def file_facts(path: Path) -> dict[str, Any]:
    """Return a file's size in bytes and its SHA-256."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": sha256}


def read_file(path: Path, kind: Format, schema: pa.Schema) -> pa.RecordBatchReader:
    """Return a file's rows as the table has them, in batches; a missing text and an empty one differ in CSV too."""
    if kind == "parquet":
        return pa.RecordBatchReader.from_batches(schema, pq.ParquetFile(path).iter_batches())
    options = pcsv.ConvertOptions(
        column_types={field.name: field.type for field in schema},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    # A text may hold the end of a line, where a block of the file may end too.
    parsing = pcsv.ParseOptions(newlines_in_values=True)
    rows = pcsv.open_csv(path, parse_options=parsing, convert_options=options)
    batches = (_restored(batch, schema) for batch in rows)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _restored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Take off what `_csv_column` put before texts."""
    columns = []
    for column in batch.columns:
        if pa.types.is_string(column.type):
            prefixed = pc.starts_with(column, FORMULA_PREFIX)
            column = pc.if_else(prefixed, pc.utf8_slice_codeunits(column, len(FORMULA_PREFIX)), column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
