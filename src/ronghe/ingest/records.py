"""What every reader gives: text columns, numbered records, and a defect on each record that is not whole."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pyarrow as pa

from ronghe.contracts.source import Reader
from ronghe.ingest.encodings import UNDECODABLE

BATCH_RECORDS = 50_000
BATCH_CHARACTERS = 64 << 20  # wide records end a batch earlier, so that memory stays bounded
NAMES_SHOWN = 20
# Six digits in a row, the eleven of a phone number however they are parted, or a mail address.
_IDENTIFIER = re.compile(r"\d{6}|(?:\d[\s-]?){11}|[@＠]")

TORN = "torn"
UNDECODABLE_CELL = "undecodable"
OVERSIZED = "oversized"

TEXT = "text"
BINARY = "binary data, or UTF-16 without a byte-order mark"
WORKBOOK = "a ZIP archive, as .xlsx workbooks are"
EMPTY_ARCHIVE = "an empty ZIP archive"
MARKUP = "XML or HTML"
GZIP = "gzip"
PARQUET = "Parquet"
_MAGIC = (
    (b"PK\x03\x04", WORKBOOK),
    (b"PK\x05\x06", EMPTY_ARCHIVE),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls) or an encrypted workbook"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", GZIP),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", PARQUET),
    (b"SQLite format 3", "a SQLite database"),
)

# Where each format's reader is.
_OPENERS = {
    "csv": ("csv_records", "open_csv"),
    "json": ("json_records", "open_json"),
    "parquet": ("parquet_records", "open_parquet"),
    "xlsx": ("xlsx_records", "open_xlsx"),
    "xml": ("xml_records", "open_xml"),
}
_PACKED = ("csv", "json", "xml")  # formats that come in GZIP or in a ZIP archive

Opener = Callable[[Path, Reader, tuple[str, ...], tuple[str, ...]], "RecordStream"]


class RejectedFile(Exception):
    """The file as a whole cannot be taken.

    The message says what is wrong and what to do; it holds names of columns, sheets and files, places and counts, and
    never the value of a cell.

    Attributes:
        reason: a short code: `schema_drift`, `not_` and the format, `empty`, `entity_or_dtd`, `too_large`; of archives
            also `no_member`, `unsafe_archive`, `encrypted`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordStream(Iterator[pa.RecordBatch]):
    """The records of one file, batch by batch.

    Attributes:
        encoding: how the file's bytes were read; None where the format leaves no choice (XLSX, Parquet).
        schema: `record_number`, `defect`, then the contract's columns.
        unpacked: the folder of the file that is read, if it had to be unpacked; it goes when the stream does.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], columns: tuple[str, ...], encoding: str | None) -> None:
        self.unpacked: TemporaryDirectory[str] | None = None
        self._batches = batches
        self.schema = record_schema(columns)
        self.encoding = encoding

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            RejectedFile: a fault that shows only on the way; the batches before it must not be kept.
        """
        try:
            return next(self._batches)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop what was unpacked; reading to the end does so too."""
        if self.unpacked:
            self.unpacked.cleanup()


def record_schema(columns: tuple[str, ...]) -> pa.Schema:
    """Return the schema of every batch of a feed with these columns."""
    return pa.schema(
        [
            pa.field("record_number", pa.int64(), nullable=False),
            pa.field("defect", pa.string()),
            *(pa.field(name, pa.string()) for name in columns),
        ]
    )


def open_records(
    path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...], scratch: Path | None = None
) -> RecordStream:
    """Open a file as a stream of records, in bounded memory.

    Args:
        path: the file; what it holds decides, not its name.
        reader: the contract's reader.
        columns: the columns to keep; batches have them in this order.
        refuse: columns of the file that are dropped while reading and appear nowhere.
        scratch: where a packed file is unpacked while it is read.

    Returns:
        Batches of about 50,000 records: `record_number` counts from 1 without the header, `defect` is null, `torn`,
        `undecodable` or `oversized`, and each cell is the text as read, untrimmed. Null is a cell that is not there or
        cannot be trusted. The encoding, and for tables (CSV, XLSX, Parquet) the names, are checked before this returns.

    Raises:
        RejectedFile: the file cannot be taken; raised here, or later by the stream.
        ContractError: the contract names a value of JSON and one inside it.
    """
    _refuse_empty(path)
    if reader.format not in _PACKED:
        return _opener(reader)(path, reader, columns, refuse)
    from ronghe.ingest.unpack import unpacked

    target, folder = unpacked(path, reader, scratch)
    try:
        _refuse_empty(target)
        stream = _opener(reader)(target, reader, columns, refuse)
    except BaseException:
        if folder:
            folder.cleanup()
        raise
    stream.unpacked = folder
    return stream


def _opener(reader: Reader) -> Opener:
    """Return what opens a format; its library is loaded only where a feed of that format is read."""
    module, name = _OPENERS[reader.format]
    opener: Opener = getattr(import_module(f"ronghe.ingest.{module}"), name)
    return opener


def _refuse_empty(path: Path) -> None:
    """Look whether there is anything.

    Raises:
        RejectedFile: there is not.
    """
    if path.stat().st_size == 0:
        raise RejectedFile("empty", f"{path.name} has no bytes: ask the source to send it again")


def looks_like(path: Path) -> str:
    """Say in words what the first bytes of a file look like."""
    with path.open("rb") as file:
        head = file.read(512)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return MARKUP
    if text.startswith((b"{", b"[{")):
        return "JSON"
    return BINARY if b"\0" in head else TEXT


def not_of_format(path: Path, format: str) -> RejectedFile:
    """Return the rejection of a file whose content is not what the contract declares."""
    return RejectedFile(
        f"not_{format}",
        f"{path.name} is declared {format} and looks like {looks_like(path)}. The content counts, not the file name:"
        f" ask the source for {format}, or correct `format` and `encoding` in the contract's reader",
    )


def header_names(header: Sequence[str]) -> list[str]:
    """Return the names in a header without the spaces and byte-order marks around them."""
    return [name.strip("\ufeff \t\r\n\u3000") for name in header]


def positions(path: Path, header: Sequence[str], columns: tuple[str, ...], refuse: tuple[str, ...]) -> list[int]:
    """Return the place of each kept column in a header, whose order is free.

    Raises:
        RejectedFile: `schema_drift`, with the names that are missing, unexpected or doubled.
    """
    names = header_names(header)
    counts = Counter(names)
    expected = {*columns, *refuse}
    if not expected & set(names):
        # The first record may be data, so what was found is not shown.
        raise RejectedFile(
            "schema_drift",
            f"{path.name}: none of the contract's columns stand in the first of its records ({len(names)} cells):"
            " the header is missing, or encoding or delimiter differ from the contract's reader",
        )
    unexpected = [name or f"(unnamed, {place})" for place, name in enumerate(names, 1) if name not in expected]
    missing = expected - set(names)
    doubled = {name for name in expected if counts[name] > 1}
    if missing or unexpected or doubled:
        raise drift(path, missing=missing, unexpected=unexpected, doubled=doubled)
    return [names.index(name) for name in columns]


def drift(path: Path, **differences: Sequence[str] | set[str]) -> RejectedFile:
    """Return the rejection of a file whose columns are not the contract's.

    Args:
        path: the file.
        differences: names by kind of difference; kinds without names are left out.
    """
    found = "; ".join(f"{kind}: {listed(names)}" for kind, names in differences.items() if names)
    return RejectedFile(
        "schema_drift",
        f"{path.name}: the columns are not the contract's. {found}. Update the contract (`to`, `ignore` or"
        " `refuse` for each column) or ask the source to send what was agreed",
    )


def listed(names: Sequence[str] | set[str]) -> str:
    """Return names for a message: sorted, at most twenty, printable, none long enough to be a value.

    The message goes to people and to the webhook, and a source may make names of what is none, say a phone number: a
    name that looks like an identifier is counted and not told.
    """
    told = sorted(name for name in names if not _IDENTIFIER.search(name))
    shown = [UNDECODABLE.sub("\ufffd", name[:60]) for name in told[:NAMES_SHOWN]]
    more, hidden = len(told) - len(shown), len(names) - len(told)
    said = [", ".join(shown), f"{more} more" * bool(more), f"{hidden} that may be values of a row" * bool(hidden)]
    return " and ".join(filter(None, said))


class Batches:
    """Turns rows of cells into record batches.

    Each block of rows becomes Arrow arrays at once: many small lists that live long cost the garbage collector more
    than reading costs.

    Args:
        columns: names of the kept columns.
        places: where each of them stands in a row.
    """

    def __init__(self, columns: tuple[str, ...], places: Sequence[int]) -> None:
        self._schema = record_schema(columns)
        self._places = places
        self._blocks: list[list[pa.Array]] = []
        self._waiting = 0
        self._characters = 0
        self._records = 0

    def add(
        self, rows: Sequence[Sequence[str | None]], defects: Mapping[int, str], characters: int
    ) -> Iterator[pa.RecordBatch]:
        """Take rows and yield a batch once enough have come.

        Args:
            rows: the next records, all of one width.
            defects: defects by place in `rows`.
            characters: about how much text the rows hold.
        """
        if rows:
            self._hold(self._arrays(rows, defects), characters)
        yield from self._due()

    def add_columns(self, cells: Sequence[pa.Array], characters: int) -> Iterator[pa.RecordBatch]:
        """Take whole records as columns of text, of the kept columns in their order; see `add`."""
        if cells and len(cells[0]):
            self._hold([*self._numbered(len(cells[0])), *cells], characters)
        yield from self._due()

    def _hold(self, block: list[pa.Array], characters: int) -> None:
        self._blocks.append(block)
        self._waiting += len(block[0])
        self._characters += characters

    def _due(self) -> Iterator[pa.RecordBatch]:
        if self._waiting >= BATCH_RECORDS or self._characters >= BATCH_CHARACTERS:
            yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Yield what is left, if anything."""
        if self._blocks:
            columns = [pa.concat_arrays(chunks) for chunks in zip(*self._blocks, strict=True)]
            self._blocks, self._waiting, self._characters = [], 0, 0
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _arrays(self, rows: Sequence[Sequence[str | None]], defects: Mapping[int, str]) -> list[pa.Array]:
        """Return the columns of a block of rows."""
        numbers, whole = self._numbered(len(rows))
        found = pa.array([defects.get(place) for place in range(len(rows))], pa.string()) if defects else whole
        cells = list(zip(*rows, strict=True))
        return [numbers, found, *(pa.array(cells[place], pa.string()) for place in self._places)]

    def _numbered(self, count: int) -> tuple[pa.Array, pa.Array]:
        """Return the next numbers, and a defect of none for each."""
        first = self._records + 1
        self._records += count
        return pa.array(range(first, first + count), pa.int64()), pa.nulls(count, pa.string())


def mend_cells(cells: list[str | None], places: Sequence[int], limit: int, bad: re.Pattern[str]) -> str | None:
    """Null a row's kept cells that cannot be trusted, in place, and return the row's defect.

    Args:
        cells: the row.
        places: where its kept columns stand; other cells are not looked at.
        limit: how many characters a cell may have.
        bad: finds characters that stand for undecodable bytes.
    """
    defect = None
    for place in places:
        cell = cells[place]
        if cell is None:
            continue
        if bad.search(cell):
            cells[place], defect = None, UNDECODABLE_CELL
        elif len(cell) > limit:
            cells[place], defect = None, defect or OVERSIZED
    return defect
