"""Parquet, read by Arrow row group by row group; typed values become text as `canonical` spells it.

- The names must be the contract's, as in the header of a table; a column of records or lists becomes JSON text.
- Instants finer than a microsecond are cut to it, as Spark keeps them.
- A row group is read in batches of about 64 MiB of text at most; one that would unpack to more than 2 GiB rejects the
  file, since pages are unpacked as a whole.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ronghe.contracts.source import Reader
from ronghe.ingest import records
from ronghe.ingest.canonical import as_text
from ronghe.ingest.encodings import REPLACEMENT
from ronghe.ingest.records import (
    PARQUET,
    Batches,
    RecordStream,
    RejectedFile,
    looks_like,
    mend_cells,
    not_of_format,
    positions,
)

ROW_GROUP_BYTES = 2 << 30


def open_parquet(path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> RecordStream:
    """Open Parquet; see `open_records` for arguments, result and errors."""
    if looks_like(path) != PARQUET:
        raise not_of_format(path, "parquet")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    names = file.schema_arrow.names
    wanted = positions(path, names, columns, refuse)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    largest = max((group.total_byte_size for group in groups), default=0)
    if largest > ROW_GROUP_BYTES:
        raise RejectedFile(
            "too_large",
            f"{path.name} has a row group of {largest:,} bytes; {ROW_GROUP_BYTES:,} are allowed: ask the source to"
            " write smaller ones",
        )
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
    size = max(1, min(records.BATCH_RECORDS, records.BATCH_CHARACTERS // max(widest, 1)))
    kept = [names[place] for place in wanted]
    batches = Batches(columns, range(len(columns)))
    return RecordStream(_read(path, file, kept, size, reader.max_field_characters, batches), columns, None)


def _read(
    path: Path, file: pq.ParquetFile, names: list[str], size: int, cell_limit: int, batches: Batches
) -> Iterator[pa.RecordBatch]:
    """Yield the records of a file.

    Raises:
        RejectedFile: a page cannot be read.
    """
    try:
        for batch in file.iter_batches(batch_size=size, columns=names):
            cells = [_texts(batch.column(batch.schema.get_field_index(name))) for name in names]
            rows = [list(row) for row in zip(*cells, strict=True)]
            places = range(len(names))
            defects = {n: d for n, row in enumerate(rows) if (d := mend_cells(row, places, cell_limit, _BAD))}
            yield from batches.add(rows, defects, characters=batch.nbytes)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None
    yield from batches.rest()


_BAD = re.compile(f"[{REPLACEMENT}\ud800-\udfff]")


def _texts(column: pa.Array) -> list[str | None]:
    """Return a column's values as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    for is_kind, cast in _CASTS:
        if is_kind(kind):
            column = cast(column)
    values: list[str | None] = column.to_pylist()
    return values if pa.types.is_string(column.type) else list(map(as_text, values))


def _microseconds(column: pa.Array) -> pa.Array:
    kind = column.type
    target = pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else pa.time64("us")
    return column.cast(target, safe=False)


# What Arrow spells as we do, it spells many times faster; the others go through Python's own types.
_CASTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (lambda kind: pa.types.is_integer(kind) or pa.types.is_boolean(kind), lambda c: pc.cast(c, pa.string())),
    (lambda kind: pa.types.is_float16(kind) or pa.types.is_float32(kind), lambda c: pc.cast(c, pa.string())),
    (lambda kind: pa.types.is_timestamp(kind) or pa.types.is_time64(kind), _microseconds),
)


def _damaged(path: Path, error: Exception) -> RejectedFile:
    """Return the rejection of a file that begins as Parquet; Arrow's message is left out, it may quote values."""
    return RejectedFile(
        "not_parquet",
        f"{path.name} is cut, damaged or encrypted ({type(error).__name__}): ask the source to send it again",
    )
