"""Sample cases: readable records that become the file a source would deliver, by its feed's format and encoding.

A case is a folder `<source>/<feed>/<when>/` with two files:

- `input.yaml`: `records`, each source column -> text (left out: an empty cell, in XML no element at all), and
  `raw_append`, text that ends the file in place of its proper end. Every scalar is text, quoted or not.
- `expected.yaml`: `business_date`; `accepted`, rows of the target by `record_number`, of which only the columns listed
  count; `quarantined`, reasons by record number; `deduplicated`, record numbers.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import xlsxwriter
import yaml

from ronghe.contracts import Feed

SAMPLES = Path(__file__).parent
Records = Sequence[dict[str, str]]


class _TextLoader(yaml.SafeLoader):
    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012 - as PyYAML has it


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def feed_id(self) -> str:
        return ".".join(self.folder.relative_to(SAMPLES).parts[:2])

    @property
    def name(self) -> str:
        return f"{self.feed_id}:{self.folder.name}"

    def expected(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "expected.yaml").read_text("utf-8"))

    def deliver(self, feed: Feed, landing: Path, name: str = "sample", times: int = 1) -> Path:
        """Write the case's file where the source would put it, with every record so many times."""
        day = str(self.expected()["business_date"])
        path = landing / feed.source_code / feed.landing.replace("{business_date}", day).replace("*", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        given = yaml.load((self.folder / "input.yaml").read_text("utf-8"), Loader=_TextLoader)
        path.write_bytes(file_of(feed, given["records"] * times, given.get("raw_append")))
        return path


def cases() -> list[Case]:
    return [Case(path) for path in sorted(SAMPLES.glob("*/*/*")) if path.is_dir() and path.name != "__pycache__"]


def file_of(feed: Feed, records: Records, raw_append: str | None = None) -> bytes:
    """Return the bytes of a delivery.

    Raises:
        ValueError: a record has a column the feed does not have, or a workbook is to end in raw text.
    """
    columns = [*feed.column_names, *feed.refuse]
    if unknown := sorted({name for record in records for name in record} - set(columns)):
        raise ValueError(f"{feed.id} has no columns {unknown}")
    if feed.reader.format == "xlsx":
        if raw_append:
            raise ValueError("a workbook cannot end in raw text")
        return _workbook(feed.reader.sheet, columns, records)
    write = {"csv": _csv, "xml": _xml}[feed.reader.format]
    return write(feed, columns, records, raw_append).encode(feed.reader.encoding)


def _csv(feed: Feed, columns: list[str], records: Records, raw_append: str | None) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", delimiter=feed.reader.delimiter)
    if feed.reader.header:
        writer.writeheader()
    writer.writerows(records)
    return text.getvalue() + (raw_append or "")


def _xml(feed: Feed, columns: list[str], records: Records, raw_append: str | None) -> str:
    tag = feed.reader.record_tag
    cells = ("".join(f"<{c}>{escape(r[c])}</{c}>" for c in columns if c in r) for r in records)
    lines = [f'<?xml version="1.0" encoding="{feed.reader.encoding}"?>', "<delivery>"]
    return "\n".join([*lines, *(f"<{tag}>{cell}</{tag}>" for cell in cells), raw_append or "</delivery>\n"])


def _workbook(sheet: str | None, columns: list[str], records: Records) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet(sheet)
        for number, row in enumerate([columns, *([record.get(c, "") for c in columns] for record in records)]):
            for place, cell in enumerate(row):
                page.write_string(number, place, cell)
    return buffer.getvalue()
