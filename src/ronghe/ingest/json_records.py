"""JSON records, read by the standard library's scanner from a window that moves over the text.

- Text that begins with `{` and whose first line (or a later one of the first 64 Ki characters that begins in the first
  column) is a whole object is JSON Lines, unless the reader names `records`: each line that is not blank is a record.
  A line that is no object is `torn`, and one over 4 MiB (or `max_field_characters`, if that is higher) is `oversized`
  and skipped unread; both have null cells only.
- Anything else is one document or several, one after the other. With `records`, the dotted path to an array, every
  document has such an array; without it a document is a record, or an array of records. A broken document rejects the
  file, also when it is only cut. An element that is no object is `torn`. Memory is bounded: a record, or a value that
  stands beside the array, may have 16 Mi characters.
- Objects inside a record are columns named by dotted path. A scalar becomes its text as it stands there, so that
  numbers keep their digits; null and a name that is not there are a null cell. A list, and an object that the contract
  names as a column, becomes compact JSON text.
- Names that the contract neither declares nor refuses reject the file, unless the reader says `extra: ignore`. A
  declared name may be missing, but not all of them in all records.
- A record that has a name twice is `torn`, all cells null. A cell with an undecodable byte, a lone surrogate, U+FFFD
  or a NUL is null, `undecodable`; one over `max_field_characters` is null, `oversized`.

ijson is not used: it reads numbers as values, and loses the digits they were written with.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from ronghe.contracts.base import ContractError
from ronghe.contracts.source import Reader
from ronghe.ingest.encodings import REPLACEMENT, decoded_blocks, find_encoding, line_blocks
from ronghe.ingest.json_documents import BLANK, SOMETHING, Documents
from ronghe.ingest.json_text import Doubled, cell_text, decoded_json
from ronghe.ingest.records import (
    OVERSIZED,
    TORN,
    Batches,
    RecordStream,
    RejectedFile,
    drift,
    mend_cells,
    not_of_format,
)

LINE_CHARACTERS = 4 << 20
HEAD_CHARACTERS = 1 << 16
BLOCK_RECORDS = 2_000
BLOCK_CHARACTERS = 16 << 20

_BAD = re.compile(f"[\0{REPLACEMENT}\ud800-\udfff]")

Row = list[str | None]


def open_json(path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> RecordStream:
    """Open JSON; see `open_records` for arguments, result and errors."""
    rows = _Rows(path, reader, columns, refuse)
    names = {part for name in (*columns, *refuse) for part in name.split(".")}

    def familiar(head: str) -> int:
        return sum(name in head for name in names)

    encoding = find_encoding(path, reader.encoding, familiar)
    least = 0 if reader.records else HEAD_CHARACTERS
    beginning, blocks = _first_text(path, decoded_blocks(path, encoding), least)
    batches = Batches(columns, range(len(columns)))
    if reader.records is None and _is_lines(beginning):
        limit = max(LINE_CHARACTERS, reader.max_field_characters)
        found = _line_records(line_blocks(blocks, limit), limit)
    else:
        documents = Documents(path, blocks, encoding.strict)
        found = _in_blocks(documents.records(reader.records.split(".") if reader.records else None))
    return RecordStream(_read(found, rows, batches), columns, encoding.name)


def _read(blocks: Iterable[tuple[list[Any], int]], rows: "_Rows", batches: Batches) -> Iterator[pa.RecordBatch]:
    """Yield the records of blocks of decoded objects and the number of characters they have."""
    for objects, characters in blocks:
        yield from batches.add(*rows.take(objects), characters=characters)
    rows.finish()
    yield from batches.rest()


def _first_text(path: Path, blocks: Iterator[str], least: int) -> tuple[str, Iterator[str]]:
    """Return the beginning of the text, more than so much where there is more, and all of it, from its first sign on.

    Raises:
        RejectedFile: there is none, or it cannot be that of JSON.
    """
    for block in blocks:
        if start := SOMETHING.search(block):
            text = block[start.start() :]
            if text[0] not in "{[":
                raise not_of_format(path, "json")
            while len(text) <= least and (more := next(blocks, None)) is not None:
                text += more
            return text, chain([text], blocks)
    raise RejectedFile("empty", f"{path.name} has no JSON: ask the source to send it again")


def _is_lines(beginning: str) -> bool:
    """Tell whether text begins as JSON Lines: one of its first lines is a whole object."""
    lines = beginning[:HEAD_CHARACTERS].split("\n")
    if len(beginning) > HEAD_CHARACTERS:
        lines.pop()  # what is cut off may be whole by chance
    return beginning[0] == "{" and any(line[0] == "{" and _object_in(line) is not None for line in lines if line)


def _object_in(text: str) -> dict[str, Any] | None:
    """Return the object that a text is, none if it is anything else."""
    try:
        found = decoded_json(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _line_records(blocks: Iterator[list[str]], limit: int) -> Iterator[tuple[list[Any], int]]:
    """Yield blocks of the objects in lines: a dictionary, or the defect of what is none."""
    for lines in blocks:
        filled = [line for line in lines if line.strip(BLANK)]
        yield [_line_record(line, limit) for line in filled], sum(map(len, lines))


def _line_record(line: str, limit: int) -> dict[str, Any] | str:
    """Return the object in a line, or the defect of a line that has none."""
    if len(line) > limit:
        return OVERSIZED
    found = _object_in(line.strip(BLANK))
    return TORN if found is None else found


def _in_blocks(records: Iterator[tuple[Any, int]]) -> Iterator[tuple[list[Any], int]]:
    """Gather records and their lengths into blocks."""
    objects: list[Any] = []
    characters = 0
    for found, length in records:
        objects.append(found if isinstance(found, dict) else TORN)
        characters += length
        if len(objects) >= BLOCK_RECORDS or characters >= BLOCK_CHARACTERS:
            yield objects, characters
            objects, characters = [], 0
    yield objects, characters


class _Rows:
    """Turns objects into rows of the contract's columns."""

    def __init__(self, path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> None:
        for column in columns:
            if hidden := [n for n in refuse if f"{n}.".startswith(f"{column}.") or f"{column}.".startswith(f"{n}.")]:
                raise ContractError(
                    f"column {column} and refused {hidden[0]} hold one another: declare the parts that are kept"
                )
        self._path = path
        self._places = {name: place for place, name in enumerate(columns)}
        self._refused = frozenset(refuse)
        names = (*columns, *refuse)
        self._parents = {name[:dot] for name in names for dot in range(len(name)) if name[dot] == "."}
        self._strict = reader.extra == "refuse"
        self._cell_limit = reader.max_field_characters
        self._records = 0
        self._objects = 0
        self._familiar = False

    def take(self, objects: list[Any]) -> tuple[list[Row], dict[int, str]]:
        """Return the rows of objects and defects by place among them.

        Raises:
            RejectedFile: a record has names that the contract does not know.
        """
        rows: list[Row] = []
        defects: dict[int, str] = {}
        for found in objects:
            row, defect = self._row(found)
            if defect:
                defects[len(rows)] = defect
            rows.append(row)
        return rows, defects

    def finish(self) -> None:
        """Look back at the whole file.

        Raises:
            RejectedFile: no record was an object, or none had any of the contract's columns.
        """
        if self._records and not self._objects:
            raise RejectedFile(
                "not_json",
                f"{self._path.name}: none of its {self._records:,} records is a JSON object: check `records` in the"
                " contract's reader, or ask the source to send it again",
            )
        if self._objects and not self._familiar:
            raise drift(self._path, missing=set(self._places))

    def _row(self, found: Any) -> tuple[Row, str | None]:
        """Return an object's cells and its defect."""
        self._records += 1
        cells: Row = [None] * len(self._places)
        if not isinstance(found, dict):
            return cells, str(found)
        self._objects += 1
        unknown: list[str] = []
        whole = self._fill(cells, found, "", unknown)
        if unknown and self._strict:
            raise drift(self._path, unexpected=set(unknown))
        if not whole:
            return [None] * len(cells), TORN
        return cells, mend_cells(cells, range(len(cells)), self._cell_limit, _BAD)

    def _fill(self, cells: Row, found: dict[str, Any], prefix: str, unknown: list[str]) -> bool:
        """Fill cells from an object and return whether it has no name twice; note names nobody knows."""
        whole = not isinstance(found, Doubled)
        for key, value in found.items():
            name = prefix + key
            place = self._places.get(name)
            if place is not None:
                self._familiar = True
                whole = whole and cells[place] is None
                cells[place] = cell_text(value)
            if name in self._parents and isinstance(value, dict):
                whole = self._fill(cells, value, f"{name}.", unknown) and whole
            elif place is None and name not in self._refused and not (name in self._parents and value is None):
                unknown.append(name)
        return whole
