"""Blocks of delimited text in which nothing is special, read by Arrow: three times as fast as cell by cell.

Most lines of most files are whole records without quotes, and on those every reader agrees. Whatever is not as plain
as that (a quote, a lone CR, a NUL, a byte that did not decode, a record of another width, a long cell) makes the block
the strict parser's, so that what comes out is the same record for record.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ronghe.ingest.encodings import REPLACEMENT

# Quotes take rules; a NUL and what stands for undecodable bytes make a cell nobody can trust.
_SPECIAL = ('"', "\0", REPLACEMENT)


class PlainBlocks:
    """Reads plain blocks of one file.

    Args:
        delimiter: the reader's.
        width: number of cells of a whole record.
        places: where the kept columns stand in a record.
        cell_limit: how many characters a cell may have.
        record_limit: how many characters a line may have.
    """

    def __init__(self, delimiter: str, width: int, places: Sequence[int], cell_limit: int, record_limit: int) -> None:
        self._possible = delimiter.isascii() and bool(places)
        self._cell_limit = cell_limit
        self._record_limit = record_limit
        kept = [str(place) for place in places]
        self._names = [str(place) for place in range(width)]
        self._parse = csv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False)
        self._convert = csv.ConvertOptions(
            # The text was just encoded by us.
            check_utf8=False,
            include_columns=kept,
            column_types={name: pa.string() for name in kept},
            strings_can_be_null=False,
        )

    def read(self, lines: Sequence[str]) -> list[pa.Array] | None:
        """Return the kept columns of the lines' records, None if any of the lines is not plain.

        Args:
            lines: whole lines with their ends.
        """
        text = "".join(lines)
        if not self._possible or not text or not self._is_plain(text, lines):
            return None
        try:
            content = text.encode("utf-8")
            read = csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(content) + 1)
            table = csv.read_csv(pa.BufferReader(content), read, self._parse, self._convert)
        except (UnicodeEncodeError, pa.ArrowInvalid):
            return None  # undecodable bytes, or a record of another width
        cells = [column.combine_chunks() for column in table.columns]
        # A text has at least as many bytes as characters.
        if any((pc.max(pc.binary_length(column)).as_py() or 0) > self._cell_limit for column in cells):
            return None
        return cells

    def _is_plain(self, text: str, lines: Sequence[str]) -> bool:
        if any(sign in text for sign in _SPECIAL) or text.count("\r") != text.count("\r\n"):
            return False
        return max(map(len, lines)) <= self._record_limit
