"""What tests of readers share: a delivery is written, then read as records or rejected."""

import datetime as dt
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from ronghe.contracts.source import Reader
from ronghe.ingest.records import RejectedFile, open_records, record_schema

COLUMNS = ("编号", "站名", "金额")
Row = tuple[Any, ...]
Put = Callable[..., Path]

CSV = Reader(format="csv")
JSON = Reader(format="json")
PARQUET = Reader(format="parquet")
XLSX = Reader(format="xlsx")
XML = Reader(format="xml", record_tag="刷卡")


def read(path: Path, reader: Reader, columns: tuple[str, ...] = COLUMNS, refuse: tuple[str, ...] = ()) -> list[Row]:
    """Return (defect, cells...) of each record, having checked schema and numbers."""
    stream = open_records(path, reader, columns, refuse)
    rows: list[Row] = []
    for batch in stream:
        assert batch.schema == record_schema(columns) == stream.schema
        cells = [column.to_pylist() for column in batch.columns]
        numbers = cells.pop(0)
        assert numbers == list(range(len(rows) + 1, len(rows) + 1 + len(numbers)))
        rows += list(zip(*cells, strict=True))
    return rows


def rejection(path: Path, reader: Reader, **names: tuple[str, ...]) -> RejectedFile:
    with pytest.raises(RejectedFile) as caught:
        read(path, reader, **names)
    assert str(path.parent) not in str(caught.value)
    return caught.value


def xml(*found: str) -> str:
    return f"<?xml version='1.0' encoding='GBK'?>\n<!-- 说明 -->\n<数据>\n{''.join(found)}</数据>\n"


def swipe(number: int, name: str = "甲", more: str = "") -> str:
    return f"<刷卡><编号>{number}</编号><站名>{name}</站名><金额>3</金额>{more}</刷卡>\n"


def workbook(path: Path, rows: list[Row], sheet: str = "登记信息", column: int = 0) -> Path:
    """Write a workbook whose first sheet is another one when the sheet has a name of its own."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        span = book.add_format({"num_format": "[h]:mm"})
        formats = {dt.date: day, dt.datetime: moment, dt.timedelta: span}
        page = book.add_worksheet(sheet)
        for number, row in enumerate(rows):
            for place, cell in enumerate(row, column):
                if type(cell) in formats:
                    page.write_datetime(number, place, cell, formats[type(cell)])
                elif cell is not None:
                    page.write(number, place, cell)
        book.add_worksheet("说明").write(0, 0, "编号")
    return path


def archive(path: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path
