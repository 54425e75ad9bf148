"""XML records, read by lxml as a stream.

- The encoding rule is ours: text is decoded first, and what the prolog says about it is dropped.
- A DOCTYPE is refused before the parser sees it, so there are no entities but XML's own five and nothing to expand or
  fetch. (lxml's `resolve_entities=False` is not used: with it lxml 6.1 ends at an unknown entity without an error.)
- A record is an element with the reader's record tag, in any namespace; its cells are its children and its attributes
  without a namespace, by local name. A missing element is null, an empty one the empty text. Attributes of children
  and text between children are not read. A name unknown to the contract, or elements inside a cell, reject the file.
- A record that has a column twice is `torn`, all cells null.
- A file that ends before its root does is cut, and that shows as one last `torn` record, wherever the cut is: inside a
  record (with the cells before the cut one, unless the feed refuses a column) or between two.
- Markup that is wrong in any other way rejects the file, also when an undecodable byte is what breaks it. In text, such
  a byte makes the cell null and the record `undecodable`; so does U+FFFD.
- Memory is bounded: records are freed as they are read, and 16 Mi characters without the end of a record reject the
  file. (libxml2 itself stops at 10 MB of text in one element and at depth 256.)
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
from lxml import etree

from ronghe.contracts.source import Reader
from ronghe.ingest.encodings import REPLACEMENT, UNDECODABLE, decoded_blocks, find_encoding
from ronghe.ingest.records import (
    TORN,
    Batches,
    RecordStream,
    RejectedFile,
    drift,
    mend_cells,
    not_of_format,
)

RECORD_CHARACTERS = 16 << 20
TAIL_CHARACTERS = 1 << 12

# Lone surrogates are no XML; this noncharacter is, and no real text holds it.
_MARKER = "\ufdd0"
_BAD = re.compile(f"[{_MARKER}{REPLACEMENT}]")
_BEFORE_ROOT = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_ROOT = re.compile(r"<([^\s<>/!?&]+)")
_REFUSED = -1
_EXTRA_CONTENT = 5  # libxml2's XML_ERR_DOCUMENT_END
_RESOURCE_LIMIT = 114

Row = list[str | None]


def open_xml(path: Path, reader: Reader, columns: tuple[str, ...], refuse: tuple[str, ...]) -> RecordStream:
    """Open XML; see `open_records` for arguments, result and errors."""
    names = (str(reader.record_tag), *columns, *refuse)

    def familiar(head: str) -> int:
        return sum(name in head for name in names)

    encoding = find_encoding(path, reader.encoding, familiar)
    blocks = decoded_blocks(path, encoding)
    start, root = _take_prolog(path, next(blocks))
    blocks = chain([start], blocks)
    if not encoding.strict:
        blocks = (UNDECODABLE.sub(_MARKER, text) for text in blocks)
    parser = _Parser(path, str(reader.record_tag), columns, refuse, reader.max_field_characters)
    batches = Batches(columns, range(len(columns)))
    return RecordStream(_read(blocks, parser, root, batches), columns, encoding.name)


def _read(blocks: Iterator[str], parser: "_Parser", root: str, batches: Batches) -> Iterator[pa.RecordBatch]:
    """Yield the records of blocks of text."""
    tail = ""
    for text in blocks:
        yield from batches.add(*parser.parse(text), characters=len(text))
        tail = (tail + text)[-TAIL_CHARACTERS:]
    closed = re.search(rf"</{re.escape(root)}\s*>", tail) is not None
    yield from batches.add(*parser.finish(root_closed=closed), characters=0)
    yield from batches.rest()


def _take_prolog(path: Path, text: str) -> tuple[str, str]:
    """Return the text from the root element on, on its line, and the root's tag.

    Raises:
        RejectedFile: there is a document type, or no root element.
    """
    end = _BEFORE_ROOT.match(text).end()  # type: ignore[union-attr]  # it matches the empty text
    rest = text[end:]
    if rest[:9].upper() == "<!DOCTYPE":
        raise RejectedFile(
            "entity_or_dtd",
            f"{path.name} declares a document type, which can define entities: ask the source for XML without DOCTYPE",
        )
    if not rest:
        raise RejectedFile("empty", f"{path.name} has no element: ask the source to send it again")
    root = _ROOT.match(rest)
    if root is None:
        raise not_of_format(path, "xml")
    return "\n" * text.count("\n", 0, end) + rest, root[1]


class _Parser:
    """Turns blocks of XML text into rows, one for each record element."""

    def __init__(
        self,
        path: Path,
        record_tag: str,
        columns: tuple[str, ...],
        refuse: tuple[str, ...],
        cell_limit: int,
    ) -> None:
        self._path = path
        self._record_tag = record_tag
        self._columns = columns
        self._known = {name: place for place, name in enumerate(columns)} | dict.fromkeys(refuse, _REFUSED)
        self._places: dict[str, int] = {}
        self._refuses = bool(refuse)
        self._cell_limit = cell_limit
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            tag=f"{{*}}{record_tag}",
            encoding="utf-8",
            resolve_entities="internal",
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._depth = 0
        self._record: etree._Element | None = None
        self._records = 0
        self._without_record = 0

    def parse(self, text: str) -> tuple[list[Row], dict[int, str]]:
        """Return the records that the text completes, and defects by place among them.

        Raises:
            RejectedFile: not well-formed, other names than the contract's, or too long without a record.
        """
        try:
            self._parser.feed(text.encode())
        except etree.XMLSyntaxError as error:
            raise self._malformed(error) from None
        rows: list[Row] = []
        defects: dict[int, str] = {}
        for event, element in self._parser.read_events():
            if event == "start":
                self._record = element if self._depth == 0 else self._record
                self._depth += 1
                continue
            self._depth -= 1
            if self._depth == 0:
                row, defect = self._row(element, element)
                if defect:
                    defects[len(rows)] = defect
                rows.append(row)
                _free(element)
        self._keep_count(len(rows), len(text))
        return rows, defects

    def finish(self, *, root_closed: bool) -> tuple[list[Row], dict[int, str]]:
        """Return the cut record at the end of the file, if there is one.

        Raises:
            RejectedFile: not well-formed, or no record in elements that hold something else.
        """
        cut = self._cut_row()
        try:
            root = self._parser.close()
        except etree.XMLSyntaxError as error:
            if root_closed or error.code == _EXTRA_CONTENT:
                raise self._malformed(error) from None
            return [cut], {0: TORN}
        if not self._records and len(root):
            raise drift(
                self._path,
                missing=[f"the record tag <{self._record_tag}>"],
                unexpected={_local(child.tag) for child in root},
            )
        return [], {}

    def _cut_row(self) -> Row:
        """Return what is known of the record in which the text ends; the element before the end may be cut too."""
        if self._depth == 0 or self._record is None or self._refuses:
            return [None] * len(self._columns)
        return self._row(self._record, list(self._record)[:-1])[0]

    def _row(self, record: "etree._Element", children: Iterable["etree._Element"]) -> tuple[Row, str | None]:
        """Return a record's cells and its defect."""
        cells: Row = [None] * len(self._columns)
        doubled = False
        for name, value in record.items():
            if not name.startswith("{") and (place := self._place(name, record)) != _REFUSED:
                cells[place] = value
        for child in children:
            place = self._place(child.tag, record)
            if place == _REFUSED:
                continue
            if len(child):
                inner = {_local(element.tag) for element in child}
                raise drift(self._path, **{f"inside <{_local(child.tag)}>": inner})
            doubled = doubled or cells[place] is not None
            cells[place] = child.text or ""
        if doubled:
            return [None] * len(self._columns), TORN
        return cells, mend_cells(cells, range(len(cells)), self._cell_limit, _BAD)

    def _place(self, tag: str, record: "etree._Element") -> int:
        """Return the place of the column with this tag, `_REFUSED` for a refused one.

        Raises:
            RejectedFile: the contract does not know the name; the message names all such in the record.
        """
        place = self._places.get(tag)
        if place is None:
            place = self._known.get(_local(tag))
            if place is None:
                tags = [child.tag for child in record] + [name for name, _ in record.items() if name[0] != "{"]
                raise drift(self._path, unexpected={_local(name) for name in tags} - set(self._known))
            self._places[tag] = place
        return place

    def _keep_count(self, records: int, characters: int) -> None:
        """Count records, and characters since the last one.

        Raises:
            RejectedFile: too many characters came without the end of a record.
        """
        self._records += records
        self._without_record = 0 if records else self._without_record + characters
        if self._without_record > RECORD_CHARACTERS:
            raise RejectedFile(
                "too_large",
                f"{self._path.name} has {RECORD_CHARACTERS:,} characters after record {self._records:,} without the end"
                f" of another <{self._record_tag}>: check `recordTag` in the contract's reader, or ask the source",
            )

    def _malformed(self, error: "etree.XMLSyntaxError") -> RejectedFile:
        """Return the rejection of text that is no XML; libxml2's message is left out because it may quote values."""
        kind = next((name for name, code in vars(etree.ErrorTypes).items() if code == error.code), error.code)
        return RejectedFile(
            "too_large" if error.code == _RESOURCE_LIMIT else "not_xml",
            f"{self._path.name} is not well-formed at line {error.lineno} ({kind}), after"
            f" record {self._records:,}: ask the source to send it again",
        )


def _local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def _free(record: "etree._Element") -> None:
    """Free a record that was read, and everything before it."""
    record.clear(keep_tail=True)
    node = record
    while node is not None:
        parent = node.getparent()
        while node.getprevious() is not None:
            del parent[0]
        node = parent
