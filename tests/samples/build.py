"""Sample cases: readable records that become the file a source would deliver, by its feed's format and encoding.

A case is a folder `<source>/<feed>/<when>/` with two files:

- `input.yaml`: `records`, each source column -> text (left out: an empty cell; in XML, JSON and Parquet none at all);
  `preamble`, text before the first line (comments before a header); and `raw_append`, text that ends the file in place
  of its proper end. Every scalar is text, quoted or not. A column named by dotted path becomes a nested object. What
  the landing pattern ends in `.gz` is packed, and what has a `member` is put into an archive under that name.
- `expected.yaml`: `business_date`; `accepted`, rows of the target by `record_number`, of which only the columns listed
  count; `quarantined`, reasons by record number; `deduplicated`, record numbers.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
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
        content = file_of(feed, given["records"] * times, given.get("raw_append"), given.get("preamble"))
        path.write_bytes(packed(feed, content, path.name))
        return path


def cases() -> list[Case]:
    return [Case(path) for path in sorted(SAMPLES.glob("*/*/*")) if path.is_dir() and path.name != "__pycache__"]


def file_of(feed: Feed, records: Records, raw_append: str | None = None, preamble: str | None = None) -> bytes:
    """Return the bytes of a delivery, not packed.

    Raises:
        ValueError: a record has a column the feed does not have, or a binary file is to begin or end in raw text.
    """
    columns = [*feed.column_names, *feed.refuse]
    unknown = sorted({name for record in records for name in record} - set(columns))
    if unknown and feed.reader.extra == "refuse":
        raise ValueError(f"{feed.id} has no columns {unknown}")
    if feed.reader.format in ("xlsx", "parquet"):
        if raw_append or preamble:
            raise ValueError(f"a file of {feed.reader.format} cannot begin or end in raw text")
        if feed.reader.format == "xlsx":
            return _workbook(feed.reader.sheet, columns, records)
        return _parquet(columns, records)
    write = {"csv": _csv, "xml": _xml, "json": _json}[feed.reader.format]
    text = (preamble or "") + write(feed, columns, records, raw_append)
    return text.encode(feed.reader.encoding)


def packed(feed: Feed, content: bytes, name: str) -> bytes:
    """Return a delivery as it is sent: in an archive beside another file, or in GZIP if its name says so."""
    if feed.reader.member:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            # A member's day would make the bytes differ from run to run.
            archive.writestr(zipfile.ZipInfo("readme.txt"), "Not read.\n")
            archive.writestr(zipfile.ZipInfo(feed.reader.member), content)
        return buffer.getvalue()
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


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


def _json(feed: Feed, columns: list[str], records: Records, raw_append: str | None) -> str:
    """Write JSON Lines, or one document with the array of records at the reader's path."""
    objects = [json.dumps(nested(record), ensure_ascii=False) for record in records]
    if feed.reader.records is None:
        return "".join(f"{text}\n" for text in objects) + (raw_append or "")
    keys = feed.reader.records.split(".")
    opening = "".join(f'{{"total":{len(objects)},{json.dumps(key, ensure_ascii=False)}:' for key in keys)
    return f"{opening}[{','.join(objects)}" + (raw_append or "]" + "}" * len(keys) + "\n")


def nested(record: dict[str, str]) -> dict[str, Any]:
    """Return a record with the columns named by dotted path as objects inside objects; all values stay text."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def _parquet(columns: list[str], records: Records) -> bytes:
    """Write Parquet of text columns; a value left out is null."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({c: pa.array([r.get(c) for r in records], pa.string()) for c in columns}), buffer)
    return buffer.getvalue()


def _workbook(sheet: str | None, columns: list[str], records: Records) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet(sheet)
        for number, row in enumerate([columns, *([record.get(c, "") for c in columns] for record in records)]):
            for place, cell in enumerate(row):
                page.write_string(number, place, cell)
    return buffer.getvalue()
