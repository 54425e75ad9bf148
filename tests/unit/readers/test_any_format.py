"""Any file becomes numbered text records; what it really holds counts, and no message tells a value."""

import json
from pathlib import Path

import pytest

from ronghe.contracts.source import Reader
from tests.unit.readers.reading import COLUMNS, CSV, JSON, XML, Put, archive, rejection, swipe, workbook, xml


@pytest.mark.parametrize("reader", [Reader(format="csv"), Reader(format="xml", record_tag="r"), Reader(format="xlsx")])
def test_file_without_bytes_is_rejected(put: Put, reader: Reader) -> None:
    assert rejection(put(b""), reader).reason == "empty"


def test_content_counts_not_the_declared_format(put: Put, tmp_path: Path) -> None:
    table = put("编号,站名,金额\n1,甲,2\n", "table.xlsx")
    page = put("<html><body>维护中</body></html>", "page.csv")
    book = workbook(tmp_path / "book.csv", [COLUMNS])
    old = put(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old.xlsx")
    for path, reader, reason, hint in [
        (table, Reader(format="xlsx"), "not_xlsx", "text"),
        (table, Reader(format="xml", record_tag="r"), "not_xml", "text"),
        (page, Reader(format="csv"), "not_csv", "HTML"),
        (book, Reader(format="csv"), "not_csv", "ZIP"),
        (book, Reader(format="xml", record_tag="r"), "not_xml", "ZIP"),
        (old, Reader(format="xlsx"), "not_xlsx", ".xls"),
    ]:
        error = rejection(path, reader)
        assert (error.reason, hint in str(error)) == (reason, True)


@pytest.mark.parametrize(
    "name", ["13800138000", "138 0013 8000", "用户１３８００１", "52010219900101001X", "a@example.org", "刘＠厅"]
)
def test_name_that_may_be_a_value_is_counted_and_not_told(put: Put, tmp_path: Path, name: str) -> None:
    member = Reader(format="csv", member="a.csv")
    for error in [
        rejection(put(json.dumps({"编号": 1, "备注": 1, name: 2, f"{name}a": {}}, ensure_ascii=False)), JSON),
        rejection(put(f"编号,站名,金额,备注,{name},{name}a\n1,2,3,4,5,6\n"), CSV),
        rejection(archive(tmp_path / "all.zip", **{"备注": "", name: "", f"{name}a": ""}), member),
    ]:
        assert name not in str(error)
        assert "备注 and 2 that may be values of a row" in str(error)


def test_xml_element_named_by_a_number_is_not_told(put: Put) -> None:
    error = rejection(put(xml(swipe(1, more="<n13800138000>4</n13800138000>"))), XML)
    assert "unexpected: 1 that may be values of a row. Update" in str(error)


def test_names_with_numbers_are_told_and_no_more_than_twenty(put: Put) -> None:
    header = ",".join(["编号", "站名", "金额", "2026-11-01", "客流_15min", *(f"列{n}" for n in range(30)), "138001"])
    error = rejection(put(f"{header}\n{header}\n"), CSV)
    assert "unexpected: 2026-11-01, 列0, 列1, " in str(error)
    assert str(error).count("列") == 19
    assert " and 12 more and 1 that may be values of a row" in str(error)
