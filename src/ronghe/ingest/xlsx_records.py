"""XLSX workbooks, read by calamine.

- Excel itself allows 1,048,576 rows and 16,384 columns in a sheet, and calamine keeps a sheet in memory as a full
  rectangle around its cells. So the archive is unpacked once, in blocks, before it is opened: more than 512 MiB, more
  than 10,000 parts or a rectangle of more than 32 million cells (about 1 GB) reject the file. One stray cell far
  outside the table is enough for that, and it is the usual cause.
- The first row that is not empty is the header; empty rows are no records. Cells beyond the header make a row `torn`.
- Text stays as it is. Whole numbers have no `.0`; from 2**53 on, where Excel has lost digits, they are written as
  1e+16. Other numbers are the shortest text that means the same number, truth values are TRUE and FALSE, dates and
  times are ISO text, durations seconds as in PT93600S. calamine gives a time stamp at midnight as a date and an error
  value such as #N/A as an empty cell; an empty cell is null.
"""

import errno
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from ronghe.contracts.source import Reader
from ronghe.ingest.encodings import REPLACEMENT
from ronghe.ingest.records import (
    TORN,
    WORKBOOK,
    Batches,
    RecordStream,
    RejectedFile,
    listed,
    looks_like,
    mend_cells,
    not_of_format,
    positions,
)

UNPACKED_BYTES = 512 << 20
PARTS = 10_000
SHEET_CELLS = 32_000_000

BLOCK_ROWS = 2_000
_BLOCK_BYTES = 1 << 20
_TAG_BYTES = 256  # a cell's tag may lie across two blocks
_EXACT = 2**53
_CELL = re.compile(rb"""<(?:\w+:)?(?:c|row)\s[^<>]*?\br\s*=\s*["']([A-Z]{0,3})([0-9]{1,7})["']""")
# What zipfile raises on damage; an offset before the file's beginning is EINVAL.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
_BAD = re.compile(REPLACEMENT)  # a workbook's text is UTF-8 and calamine has decoded it

Cell = int | float | str | bool | date | datetime | time | timedelta
Row = list[str | None]


def open_xlsx(path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> RecordStream:
    """Open a workbook's sheet, the first if the reader names none; see `open_records`."""
    _refuse_bombs(path)
    rows = _rows(_open_sheet(path, reader.sheet))
    places: Sequence[int] = range(len(columns))
    width = len(columns)
    if reader.header:
        header = _header(path, rows)
        places = positions(path, header, columns, refuse)
        width = len(header)
    batches = Batches(columns, places)
    return RecordStream(_read(rows, width, places, reader.max_field_characters, batches), columns, None)


def _read(
    rows: Iterator[list[Cell]], width: int, places: Sequence[int], cell_limit: int, batches: Batches
) -> Iterator[pa.RecordBatch]:
    """Yield the records of a sheet's rows."""
    while block := [_texts(cells, width) for cells in islice(rows, BLOCK_ROWS)]:
        ready: list[Row] = []
        defects: dict[int, str] = {}
        for place, row in enumerate(block):
            defect = mend_cells(row, places, cell_limit, _BAD) if row else TORN
            ready.append(row or [None] * width)
            if defect:
                defects[place] = defect
        characters = sum(len(cell) for row in ready for cell in row if cell)
        yield from batches.add(ready, defects, characters)
    yield from batches.rest()


def _texts(cells: list[Cell], width: int) -> Row:
    """Return a row's cells as text, an empty list if there are more than the header has."""
    row = [_text(cell) for cell in cells[:width]]
    if any(cell != "" for cell in cells[width:]):
        return []
    return row + [None] * (width - len(row))


def _text(cell: Cell) -> str | None:
    """Return a cell's text, None if it is empty."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _number(cell)
    if isinstance(cell, timedelta):
        return f"PT{_number(cell.total_seconds())}S"
    return cell.isoformat()


def _number(value: float) -> str:
    """Return a number as Excel shows it: whole ones without a fraction, as long as they are exact."""
    return str(int(value)) if value == value // 1 and abs(value) < _EXACT else repr(value)


def _rows(sheet: CalamineSheet) -> Iterator[list[Cell]]:
    """Yield the rows of a sheet that are not empty, from its first column on."""
    # calamine's rows begin at the first column in use.
    before: list[Cell] = [""] * (sheet.start[1] if sheet.start else 0)
    for cells in sheet.iter_rows():
        if any(cell != "" for cell in cells):
            yield before + cells


def _header(path: Path, rows: Iterator[list[Cell]]) -> list[str]:
    """Return the first row's cells up to the last that is not empty.

    Raises:
        RejectedFile: the sheet is empty.
    """
    header = [_text(cell) or "" for cell in next(rows, [])]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise RejectedFile("empty", f"{path.name} has no header: ask the source to send it again")
    return header


def _open_sheet(path: Path, name: str | None) -> CalamineSheet:
    """Return a sheet of a workbook.

    Raises:
        RejectedFile: calamine cannot read the workbook, or it has no such sheet.
    """
    try:
        workbook = CalamineWorkbook.from_path(path)
        names = workbook.sheet_names
        if name is None and names:
            return workbook.get_sheet_by_index(0)
        if name in names:
            return workbook.get_sheet_by_name(name)
    except CalamineError as error:
        raise _damaged(path, type(error).__name__) from None
    raise RejectedFile(
        "schema_drift",
        f"{path.name} has no sheet {name!r} but {listed(names)}: correct `sheet` in the contract's reader or ask the"
        " source",
    )


def _refuse_bombs(path: Path) -> None:
    """Check what a workbook would cost to open.

    Raises:
        RejectedFile: it is no workbook, it is damaged, or it is too large.
    """
    if looks_like(path) != WORKBOOK:
        raise not_of_format(path, "xlsx")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            if len(parts) > PARTS or unpacked > UNPACKED_BYTES:
                raise RejectedFile(
                    "too_large",
                    f"{path.name} unpacks to {len(parts):,} parts and {unpacked:,} bytes; {PARTS:,} and"
                    f" {UNPACKED_BYTES:,} are allowed: ask the source to split it",
                )
            for part in parts:
                with archive.open(part) as file:
                    _refuse_wide_sheet(path, file)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the disk's fault, not the workbook's
        raise _damaged(path, type(error).__name__) from None


def _refuse_wide_sheet(path: Path, part: IO[bytes]) -> None:
    """Unpack a part of a workbook to nowhere and measure the rectangle around its cells.

    Raises:
        RejectedFile: the rectangle does not fit in memory.
    """
    rows = columns = 0
    tail = b""
    while block := part.read(_BLOCK_BYTES):
        found = _CELL.findall(tail + block)
        rows = max(rows, max((int(row) for _, row in found), default=0))
        columns = max(columns, max(map(_column, {column for column, _ in found}), default=0))
        if rows * columns > SHEET_CELLS:
            raise RejectedFile(
                "too_large",
                f"{path.name} has cells as far as row {rows:,} and column {columns:,}; {SHEET_CELLS:,} cells are"
                " allowed. Often a stray cell far outside the table is the cause: ask the source to remove it, or to"
                " split the file",
            )
        tail = block[-_TAG_BYTES:]


def _column(letters: bytes) -> int:
    """Return the number of a column from its letters: A is 1."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _damaged(path: Path, kind: str) -> RejectedFile:
    """Return the rejection of a workbook that begins right and cannot be read."""
    return RejectedFile(
        "not_xlsx", f"{path.name} is cut, damaged or no workbook ({kind}): ask the source to send it again"
    )
