"""Workbooks: values have one spelling, what is hostile is refused."""

import datetime as dt
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from ronghe.contracts.source import Reader
from ronghe.ingest import xlsx_records
from tests.unit.readers.reading import COLUMNS, XLSX, read, rejection, workbook


def test_xlsx_values_become_text(tmp_path: Path) -> None:
    values = {
        " 甲 ": " 甲 ",
        "=1+1": "=1+1",
        "007": "007",
        12: "12",
        12.5: "12.5",
        0.1 + 0.2: "0.3",  # Excel keeps 15 digits
        -3.0: "-3",
        1e20: "1e+20",
        True: "TRUE",
        dt.date(2026, 1, 2): "2026-01-02",
        dt.datetime(2026, 1, 2, 3, 4, 5): "2026-01-02T03:04:05",  # noqa: DTZ001 - a cell has no zone
        dt.timedelta(hours=26): "PT93600S",
        None: None,
    }
    path = workbook(tmp_path / "book.xlsx", [COLUMNS, *(("x", value, "y") for value in values)])
    assert read(path, XLSX) == [(None, "x", text, "y") for text in values.values()]


def test_xlsx_empty_rows_are_no_records_and_empty_cells_null(tmp_path: Path) -> None:
    rows = [(), COLUMNS, (), (1, None, 3), (), (None, "乙", None)]
    for column in (0, 2):
        path = workbook(tmp_path / "book.xlsx", rows, column=column)
        if column == 0:
            assert read(path, XLSX) == [(None, "1", None, "3"), (None, None, "乙", None)]
        else:
            assert rejection(path, XLSX).reason == "schema_drift"


def test_xlsx_without_header_keeps_its_first_column(tmp_path: Path) -> None:
    path = workbook(tmp_path / "book.xlsx", [(None, "甲"), (None, "乙")])
    assert read(path, Reader(format="xlsx", header=False)) == [(None, None, "甲", None), (None, None, "乙", None)]


def test_xlsx_refused_column_appears_nowhere(tmp_path: Path) -> None:
    path = workbook(tmp_path / "book.xlsx", [("民族", *COLUMNS), ("秘密", 1, "甲", 3), ("秘密", 2, "乙", 4, "多")])
    assert read(path, XLSX, refuse=("民族",)) == [(None, "1", "甲", "3"), ("torn", None, None, None)]


def test_xlsx_oversized_cell_is_null(tmp_path: Path) -> None:
    path = workbook(tmp_path / "book.xlsx", [COLUMNS, (1, "x" * 11, 3)])
    assert read(path, Reader(format="xlsx", max_field_characters=10)) == [("oversized", "1", None, "3")]


def test_xlsx_sheet_is_found_by_name(tmp_path: Path) -> None:
    path = workbook(tmp_path / "book.xlsx", [COLUMNS, (1, "甲", 3)])
    assert read(path, Reader(format="xlsx", sheet="登记信息")) == read(path, XLSX) == [(None, "1", "甲", "3")]
    assert read(path, Reader(format="xlsx", sheet="说明"), columns=("编号",)) == []
    error = rejection(path, Reader(format="xlsx", sheet="登记"))
    assert error.reason == "schema_drift"
    assert "登记信息, 说明" in str(error)


def test_xlsx_drift_names_the_columns(tmp_path: Path) -> None:
    error = rejection(workbook(tmp_path / "book.xlsx", [("编号", None, "站名", "票价")]), XLSX)
    assert "missing: 金额; unexpected: (unnamed, 2), 票价" in str(error)
    assert rejection(workbook(tmp_path / "empty.xlsx", []), XLSX).reason == "empty"


def test_xlsx_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "book.xlsx", [COLUMNS])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", bytes(3 << 20))
    assert path.stat().st_size < 20_000
    assert read(path, XLSX) == []
    monkeypatch.setattr(xlsx_records, "UNPACKED_BYTES", 1 << 20)
    assert rejection(path, XLSX).reason == "too_large"


def test_xlsx_cell_far_outside_the_table_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "book.xlsx") as book:
        page = book.add_worksheet()
        page.write_row(0, 0, COLUMNS)
        page.write(1_048_575, 16_383, "x")
    error = rejection(tmp_path / "book.xlsx", XLSX)
    assert error.reason == "too_large"
    assert "row 1,048,576 and column 16,384" in str(error)


def test_xlsx_size_that_lies_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "book.xlsx", [COLUMNS])
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    assert rejection(path, XLSX).reason == "not_xlsx"


@pytest.mark.parametrize("keep", [30, 0.5, 0.99])
def test_xlsx_that_is_cut_is_rejected(tmp_path: Path, keep: float) -> None:
    path = workbook(tmp_path / "book.xlsx", [COLUMNS, (1, "甲", 3)])
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep > 1 else len(content) * keep)])
    assert rejection(path, XLSX).reason == "not_xlsx"


def test_xlsx_archive_that_is_no_workbook_is_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as archive:
        archive.writestr("readme.txt", "x")
    assert rejection(tmp_path / "other.xlsx", XLSX).reason == "not_xlsx"
