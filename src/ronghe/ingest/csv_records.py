"""Delimited text (RFC 4180 with a free delimiter), read strictly by Python's `csv`, or by Arrow where it is plain.

What a record is:

- Lines end with LF, CR LF or a lone CR. A line without any character is no record and is not counted; nor are lines
  before the header (or the first record) that begin with the reader's `comment`.
- Too few cells: `torn`, with the cells that are there (the last may be cut) unless the feed refuses a column. Too
  many cells, or quotes that RFC 4180 does not know: `torn`, all cells null, since nobody knows which cell is which.
- A quoted cell may span lines. A record over several lines that is not whole (never closed, wrong number of cells, a
  cell too long) is most likely a stray quote: its first line is a torn record and reading resumes at its second line,
  so that one quote does not swallow the records after it. Resuming has a budget, so that a hostile file costs linear
  time; beyond it the lines swallowed are one torn record.
- A cell with undecodable bytes, U+FFFD or a NUL: null, `undecodable`. A NUL in the header: the file is no CSV.
- A cell over `max_field_characters`: null, `oversized`. A line over 4 MiB (or that limit, if it is higher) is skipped
  unread: `oversized`, all cells null.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import cast

import pyarrow as pa

from ronghe.contracts.source import Reader
from ronghe.ingest.encodings import (
    REPLACEMENT,
    UNDECODABLE,
    decoded_blocks,
    find_encoding,
    line_blocks,
    nothing_familiar,
)
from ronghe.ingest.plain_csv import PlainBlocks
from ronghe.ingest.records import (
    BINARY,
    OVERSIZED,
    TEXT,
    TORN,
    Batches,
    RecordStream,
    RejectedFile,
    header_names,
    looks_like,
    mend_cells,
    not_of_format,
    positions,
)

RECORD_CHARACTERS = 4 << 20
NUL = "\0"
_BAD = re.compile(f"[{NUL}{REPLACEMENT}\ud800-\udfff]")

Row = list[str | None]


def open_csv(path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> RecordStream:
    """Open delimited text; see `open_records` for arguments, result and errors."""
    if looks_like(path) not in (TEXT, BINARY):
        raise not_of_format(path, "csv")
    known = {*columns, *refuse}

    def familiar(head: str) -> int:
        lines = _without_comments(iter([list(io.StringIO(head, newline=""))]), reader.comment)
        return len(known & set(header_names(_header(csv.reader(next(lines, []), delimiter=reader.delimiter)))))

    encoding = find_encoding(path, reader.encoding, familiar if reader.header else nothing_familiar)
    limit = max(RECORD_CHARACTERS, reader.max_field_characters)
    # The limit is the process's, not ours; it is only ever raised, so readers do not disturb each other.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    blocks = _without_comments(line_blocks(decoded_blocks(path, encoding), limit), reader.comment)
    places: Sequence[int] = range(len(columns))
    width = len(columns)
    if reader.header:
        header, blocks = _take_header(path, blocks, reader.delimiter)
        places = positions(path, header, columns, refuse)
        width = len(header)
    parser = _Parser(reader, width, places, limit, lenient=not encoding.strict, refuses=bool(refuse))
    plain = PlainBlocks(reader.delimiter, width, places, reader.max_field_characters, limit)
    return RecordStream(_read(blocks, plain, parser, Batches(columns, places)), columns, encoding.name)


def _read(
    blocks: Iterator[list[str]], plain: PlainBlocks, parser: "_Parser", batches: Batches
) -> Iterator[pa.RecordBatch]:
    """Yield the records of blocks of lines."""
    for lines in blocks:
        characters = sum(map(len, lines))
        if not parser.waits and (cells := plain.read(lines)) is not None:
            parser.passed(characters)
            yield from batches.add_columns(cells, characters)
        else:
            yield from batches.add(*parser.parse(lines), characters=characters)
    yield from batches.add(*parser.parse([], final=True), characters=0)
    yield from batches.rest()


def _without_comments(blocks: Iterator[list[str]], mark: str | None) -> Iterator[list[str]]:
    """Return blocks of lines without those at their beginning that are blank or begin with a mark."""
    if mark is None:
        return blocks
    for lines in blocks:
        if kept := list(dropwhile(lambda line: line.startswith(mark) or not line.strip("\r\n"), lines)):
            return chain([kept], blocks)
    return iter(())


def _take_header(path: Path, blocks: Iterator[list[str]], delimiter: str) -> tuple[list[str], Iterator[list[str]]]:
    """Return the header and the lines after it.

    Raises:
        RejectedFile: there is none, or it is no header of delimited text.
    """
    lines = next(blocks, [])
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = _header(reader)
    except csv.Error:
        raise RejectedFile(
            "not_csv", f"{path.name}: the quotes in the header are broken: ask the source to send it again"
        ) from None
    if not header:
        raise RejectedFile("empty", f"{path.name} has no header: ask the source to send it again")
    if any(NUL in name for name in header):
        raise not_of_format(path, "csv")
    return header, chain([lines[reader.line_num :]], blocks)


def _header(rows: Iterator[list[str]]) -> list[str]:
    """Return the first row that is not blank; an empty one if there is none."""
    return next(filter(None, rows), [])


class _Parser:
    """Turns blocks of lines into rows of one width; keeps a record that is not finished for the next block."""

    def __init__(
        self,
        reader: Reader,
        width: int,
        places: Sequence[int],
        record_limit: int,
        *,
        lenient: bool,
        refuses: bool,
    ) -> None:
        self._delimiter = reader.delimiter
        self._cell_limit = reader.max_field_characters
        self._record_limit = record_limit
        self._width = width
        self._places = places
        self._lenient = lenient
        self._refuses = refuses
        self._carry: list[str] = []
        self._seen = 0
        self._reread = 0

    @property
    def waits(self) -> bool:
        """Whether a record goes on in the next block."""
        return bool(self._carry)

    def passed(self, characters: int) -> None:
        """Count what another reader has read: the budget of reading again follows from the whole file."""
        self._seen += characters

    def parse(self, lines: list[str], *, final: bool = False) -> tuple[list[Row], dict[int, str]]:
        """Return the records that the lines complete, and defects by place among them."""
        self._seen += sum(map(len, lines))
        lines = self._carry + lines
        self._carry = []
        longest = max(map(len, lines), default=0)
        rows = self._at_once(lines) if longest <= self._record_limit else None
        defects: dict[int, str] = {}
        if rows is None:
            rows, defects = self._one_by_one(lines, final)
        if set(map(len, rows)) - {self._width}:
            self._mend_widths(rows, defects)
        if longest > self._cell_limit or len(rows) < len(lines) or self._has_bad(lines):
            self._mend_cells(rows, defects)
        return rows, defects

    def _at_once(self, lines: list[str]) -> list[Row] | None:
        """Return the rows of lines in which all quotes are right, None if that is not so."""
        try:
            rows = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        if len(rows) < len(lines) and not all(self._is_whole(row) for row in rows if row):
            return None
        return cast("list[Row]", list(filter(None, rows)))

    def _one_by_one(self, lines: list[str], final: bool) -> tuple[list[Row], dict[int, str]]:
        """Return the rows of lines in which some quotes are wrong or a record is not finished."""
        rows: list[Row] = []
        defects: dict[int, str] = {}
        start = 0
        while start < len(lines):
            reader = csv.reader(self._from(lines, start), delimiter=self._delimiter, strict=True)
            done = start
            try:
                for row in reader:
                    self._refuse_stray_quote(row, start + reader.line_num - done)
                    done = start + reader.line_num
                    if row:
                        rows.append(cast("Row", row))
                break
            except csv.Error:
                reached = start + reader.line_num
            if reached == len(lines) and not final and self._fits(lines[done:]):
                self._carry = lines[done:]
                break
            defects[len(rows)] = TORN if self._fits(lines[done : done + 1]) else OVERSIZED
            rows.append([None] * self._width)
            start = self._resume(lines, done, reached)
        return rows, defects

    def _from(self, lines: list[str], start: int) -> Iterator[str]:
        """Yield lines for `csv`, and stop with its error at one that is too long to be looked at."""
        for line in islice(lines, start, None):
            if len(line) > self._record_limit:
                raise csv.Error
            yield line

    def _refuse_stray_quote(self, row: list[str], line_count: int) -> None:
        """Raise `csv.Error` if a record over several lines is not whole."""
        if line_count > 1 and not self._is_whole(row):
            raise csv.Error

    def _is_whole(self, row: list[str]) -> bool:
        """Tell whether a row has the right number of cells and none is too long."""
        return len(row) == self._width and max(map(len, row)) <= self._cell_limit

    def _fits(self, lines: list[str]) -> bool:
        """Tell whether lines are short enough for one record."""
        return sum(map(len, lines)) <= self._record_limit

    def _resume(self, lines: list[str], broken: int, reached: int) -> int:
        """Return the line where reading goes on after a broken record.

        That is its second line, as long as what was read more than once stays in proportion to what was read.
        """
        again = sum(map(len, lines[broken + 1 : reached]))
        if self._reread + again > 2 * self._seen + 8 * self._record_limit:
            return max(reached, broken + 1)
        self._reread += again
        return broken + 1

    def _mend_widths(self, rows: list[Row], defects: dict[int, str]) -> None:
        """Bring torn rows to the header's width."""
        for place, row in enumerate(rows):
            if len(row) != self._width:
                defects[place] = TORN
                known = [] if self._refuses or len(row) > self._width else row
                rows[place] = known + [None] * (self._width - len(known))

    def _has_bad(self, lines: list[str]) -> bool:
        """Tell whether lines hold anything that did not decode; a strict encoding leaves only NUL and U+FFFD."""
        text = "".join(lines)
        return NUL in text or REPLACEMENT in text or (self._lenient and UNDECODABLE.search(text) is not None)

    def _mend_cells(self, rows: list[Row], defects: dict[int, str]) -> None:
        """Null the cells that are too long or did not decode."""
        for place, row in enumerate(rows):
            if defect := mend_cells(row, self._places, self._cell_limit, _BAD):
                defects.setdefault(place, defect)
