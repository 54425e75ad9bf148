"""Delimited text in GB18030, the superset of GBK in which most of the sources write."""

from collections.abc import Callable, Sequence

from ronghe.simulate.delivery import AT_END, Entry

ENCODING = "gb18030"


def as_delimited(
    columns: Sequence[str], entries: Sequence[Entry], delimiter: str, line: Callable[[Entry], bytes] | None = None
) -> bytes:
    """Return a file with a header; a record torn off at the end has no line end.

    Args:
        columns: the header.
        entries: the records in order. No value holds the delimiter or a quote.
        delimiter: sign between two cells.
        line: how a record is written, if not cell by cell.
    """
    write = line or (lambda entry: delimiter.join(entry.row).encode(ENCODING))
    lines = [delimiter.join(columns).encode(ENCODING), *map(write, entries)]
    torn_off = bool(entries) and entries[-1].position == AT_END
    return b"\r\n".join(lines) + (b"" if torn_off else b"\r\n")
