"""Readers: any file becomes numbered text records; what is broken is marked, what is hostile is refused."""

import csv
import datetime as dt
import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ronghe.contracts.base import ContractError
from ronghe.contracts.source import Reader
from ronghe.ingest import (
    csv_records,
    encodings,
    json_documents,
    json_records,
    json_text,
    records,
    unpack,
    xlsx_records,
    xml_records,
)
from ronghe.ingest.records import RejectedFile, open_records, record_schema

COLUMNS = ("编号", "站名", "金额")
Row = tuple[Any, ...]


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


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Return a function that writes a file and returns its path."""

    def write(content: str | bytes, name: str = "delivery") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Put = Callable[..., Path]

# --- any format


@pytest.mark.parametrize("reader", [Reader(format="csv"), Reader(format="xml", record_tag="r"), Reader(format="xlsx")])
def test_file_without_bytes_is_rejected(put: Put, reader: Reader) -> None:
    assert rejection(put(b""), reader).reason == "empty"


def test_refused_column_without_header_is_a_fault_of_the_contract(put: Put) -> None:
    with pytest.raises(ContractError, match="without header"):
        read(put("1,2,3"), Reader(format="csv", header=False), refuse=("民族",))


def test_column_kept_and_refused_is_a_fault_of_the_contract(put: Put) -> None:
    with pytest.raises(ContractError, match="站名"):
        read(put("1,2,3"), Reader(format="csv"), refuse=("站名",))


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


# --- CSV

CSV = Reader(format="csv")


def test_csv_cells_stay_as_they_are(put: Put) -> None:
    path = put('编号,站名,金额\r\n 1 ,"车公庙, 站",\r\n\r\n2,"说""好""",NULL\r\n')
    assert read(path, CSV) == [(None, " 1 ", "车公庙, 站", ""), (None, "2", '说"好"', "NULL")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_lines_end_in_three_ways(put: Put, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 5)
    path = put(end.join(["编号,站名,金额", '1,"甲\u2028乙",3', "", f'2,"丙{end}丁",4']))
    assert read(path, CSV) == [(None, "1", "甲\u2028乙", "3"), (None, "2", f"丙{end}丁", "4")]


def test_csv_order_of_the_header_is_free_and_its_marks_and_spaces_do_not_count(put: Put) -> None:
    path = put("\ufeff\ufeff 金额 ;编号;\u3000站名\n3;1;甲\n")
    assert read(path, Reader(format="csv", delimiter=";")) == [(None, "1", "甲", "3")]


def test_csv_without_header_is_read_in_the_order_of_the_contract(put: Put) -> None:
    assert read(put("1,甲,3\n2,乙,4"), Reader(format="csv", header=False)) == [
        (None, "1", "甲", "3"),
        (None, "2", "乙", "4"),
    ]


def test_csv_header_alone_is_a_delivery_without_records(put: Put) -> None:
    assert read(put("编号,站名,金额\n"), CSV) == []


@pytest.mark.parametrize("content", ["\n\r\n\n", "\ufeff"])
def test_csv_without_any_line_is_rejected(put: Put, content: str) -> None:
    assert rejection(put(content), CSV).reason == "empty"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("编号,站名", "missing: 金额"),
        ("编号,站名,金额,备注", "unexpected: 备注"),
        ("编号,站名,票价", "missing: 金额; unexpected: 票价"),
        ("编号,站名,金额,站名", "doubled: 站名"),
        ("编号,站名,金额,", "unexpected: (unnamed, 4)"),
    ],
)
def test_csv_schema_drift_names_the_columns(put: Put, header: str, told: str) -> None:
    error = rejection(put(f"{header}\n1,2,3\n"), CSV)
    assert error.reason == "schema_drift"
    assert told in str(error)
    assert "Update the contract" in str(error)


def test_csv_whose_header_is_missing_does_not_show_its_first_record(put: Put) -> None:
    error = rejection(put("310101199001011234,张三,5\n"), CSV)
    assert error.reason == "schema_drift"
    assert "header is missing" in str(error)
    assert "张三" not in str(error)
    assert "310101" not in str(error)


def test_csv_torn_rows_keep_the_cells_before_the_break(put: Put) -> None:
    path = put("编号,站名,金额\n1,甲\n2,乙,4,5\n3,丙,6\n4,丁")
    assert read(path, CSV) == [
        ("torn", "1", "甲", None),
        ("torn", None, None, None),
        (None, "3", "丙", "6"),
        ("torn", "4", "丁", None),
    ]


def test_csv_refused_column_appears_nowhere(put: Put) -> None:
    path = put("编号,民族,站名,金额\n1,秘密,甲,3\n2,秘密\n秘密,4\n5,秘密,乙,6,7\n6,\0秘密,丙,7\n")
    rows = read(path, CSV, refuse=("民族",))
    assert rows == [
        (None, "1", "甲", "3"),
        ("torn", None, None, None),
        ("torn", None, None, None),
        ("torn", None, None, None),
        (None, "6", "丙", "7"),
    ]
    assert "民族" not in record_schema(COLUMNS).names


def test_csv_undecodable_cell_is_null_and_the_others_are_kept(put: Put) -> None:
    head = "编号,站名,金额\n1,".encode("gb18030")
    path = put(head + b"\xff\xff,3\n2," + "乙,\0\n3,丙,5\n".encode("gb18030"))
    assert read(path, Reader(format="csv", encoding="GBK")) == [
        ("undecodable", "1", None, "3"),
        ("undecodable", "2", "乙", None),
        (None, "3", "丙", "5"),
    ]


def test_csv_cut_inside_a_character_loses_that_row_only(put: Put) -> None:
    path = put("编号,站名,金额\n1,甲,3\n2,乙".encode("gb18030")[:-1])
    assert read(path, Reader(format="csv", encoding="GB18030")) == [(None, "1", "甲", "3"), ("torn", "2", None, None)]


def test_csv_binary_or_undeclared_utf_16_is_rejected(put: Put) -> None:
    for content in ("编号,ab,金额\n".encode("utf-16-le"), "编号,\0\0,金额\n".encode()):
        error = rejection(put(content), CSV)
        assert error.reason == "not_csv"
        assert "UTF-16" in str(error)


def test_csv_encodings_end_to_end(put: Put) -> None:
    text = "编号,站名,金额\n1,𠮷站,3\n"
    for codec, declared, found in [
        ("gb18030", "GBK", "gb18030"),
        ("utf-8", "GB18030", "utf-8"),
        ("utf-16", "UTF-8", "utf-16-le"),
        ("utf-16-be", "UTF-16", "utf-16-be"),
    ]:
        stream = open_records(put(text.encode(codec)), Reader(format="csv", encoding=declared), COLUMNS, ())
        assert stream.encoding == found  # known before the first batch
        assert next(stream).column("站名").to_pylist() == ["𠮷站"]


def test_csv_oversized_cell_is_null_and_the_others_are_kept(put: Put) -> None:
    path = put(f'编号,站名,金额\n1,{"x" * 11},3\n2,{"y" * 10},4\n3,"{"z" * 11}",5\n')
    assert read(path, Reader(format="csv", max_field_characters=10)) == [
        ("oversized", "1", None, "3"),
        (None, "2", "y" * 10, "4"),
        ("oversized", "3", None, "5"),
    ]


def test_csv_limit_above_python_s_own_holds(put: Put) -> None:
    cell = "x" * 200_000
    reader = Reader(format="csv", max_field_characters=300_000)
    assert read(put(f"编号,站名,金额\n1,{cell},3\n"), reader) == [(None, "1", cell, "3")]


def test_csv_endless_line_is_skipped_unread(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "RECORD_CHARACTERS", 100)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 64)
    reader = Reader(format="csv", max_field_characters=50)
    path = put("编号,站名,金额\n1,甲,3\n" + 'x,"' * 1000 + "\n2,乙,4\n" + '"' + "y" * 1000)
    assert read(path, reader) == [
        (None, "1", "甲", "3"),
        ("oversized", None, None, None),
        (None, "2", "乙", "4"),
        ("oversized", None, None, None),
    ]


@pytest.mark.parametrize("block", [16, 1 << 18])
def test_csv_stray_quote_does_not_swallow_the_records_after_it(
    put: Put, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    path = put('编号,站名,金额\n1,"甲,3\n2,乙,4\n3,"丙"站,5\n4,"丁\n站",6\n5,"戊,7\n6,己,8\n')
    assert read(path, CSV) == [
        ("torn", None, None, None),
        (None, "2", "乙", "4"),
        ("torn", None, None, None),
        (None, "4", "丁\n站", "6"),
        ("torn", None, None, None),
        (None, "6", "己", "8"),
    ]


def test_csv_quote_bomb_costs_linear_time(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "RECORD_CHARACTERS", 1000)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 512)
    fed: list[int] = []
    parse = csv.reader

    def counting(lines: list[str], **options: Any) -> Any:
        lines = list(lines)
        fed.append(sum(map(len, lines)))
        return parse(lines, **options)

    path = put("编号,站名,金额\n" + 'x","y\n' * 5000)  # each line closes a quote and opens the next
    monkeypatch.setattr(csv_records.csv, "reader", counting)
    rows = read(path, Reader(format="csv", max_field_characters=10))
    assert {row[0] for row in rows} == {"torn"}
    assert sum(fed) < 40 * path.stat().st_size


def test_csv_broken_header_is_rejected(put: Put) -> None:
    assert rejection(put('编号,"站名,金额\n1,2,3\n'), CSV).reason == "not_csv"


def test_csv_comes_in_batches(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 100)
    monkeypatch.setattr(records, "BATCH_RECORDS", 50)
    path = put("编号,站名,金额\n" + "".join(f"{n},甲,3\n" for n in range(1000)))
    sizes = [batch.num_rows for batch in open_records(path, CSV, COLUMNS, ())]
    assert sum(sizes) == 1000
    assert all(50 <= size < 70 for size in sizes[:-1])


cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffd"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=20),
    end=st.sampled_from(["\r\n", "\n"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    block=st.integers(min_value=4, max_value=200),
)
def test_csv_reads_back_what_was_written(rows: list[tuple[str, ...]], end: str, codec: str, block: int) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "BLOCK_BYTES", block)
        path = Path(folder) / "delivery.csv"
        path.write_bytes(out.getvalue().encode(codec))
        assert read(path, Reader(format="csv", encoding=codec)) == [(None, *row) for row in rows]


# --- XML

XML = Reader(format="xml", record_tag="刷卡")


def xml(*found: str) -> str:
    return f"<?xml version='1.0' encoding='GBK'?>\n<!-- 说明 -->\n<数据>\n{''.join(found)}</数据>\n"


def swipe(number: int, name: str = "甲", more: str = "") -> str:
    return f"<刷卡><编号>{number}</编号><站名>{name}</站名><金额>3</金额>{more}</刷卡>\n"


@pytest.mark.parametrize("block", [1 << 7, 1 << 18])
def test_xml_cells_stay_as_they_are(put: Put, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    path = put(xml(swipe(1, " 甲 &amp; <![CDATA[<乙>]]><!-- 注 -->站"), "<刷卡><站名/><编号>2</编号></刷卡>"))
    assert read(path, XML) == [(None, "1", " 甲 & <乙>站", "3"), (None, "2", "", None)]


def test_xml_names_may_have_a_namespace_and_cells_may_be_attributes(put: Put) -> None:
    record = '<n:刷卡 编号="1" n:其他="-"><n:站名>甲</n:站名><金额>3</金额></n:刷卡>'
    assert read(put(f'<n:数据 xmlns:n="urn:x"><n:组>{record}</n:组></n:数据>'), XML) == [(None, "1", "甲", "3")]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_xml_encoding_is_found_by_rule_not_by_the_prolog(put: Put, codec: str) -> None:
    stream = open_records(put(xml(swipe(1, "𠮷")).encode(codec)), XML, COLUMNS, ())
    assert stream.encoding == {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(codec, codec)
    assert next(stream).column("站名").to_pylist() == ["𠮷"]


def test_xml_refused_column_appears_nowhere(put: Put) -> None:
    path = put(xml(swipe(1, more="<民族>秘密<秘密/></民族>"), swipe(2))[: -len("额>3</金额></刷卡>\n</数据>\n")])
    assert read(path, XML, refuse=("民族",)) == [(None, "1", "甲", "3"), ("torn", None, None, None)]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (swipe(1, more="<票价>4</票价>"), "unexpected: 票价"),
        ('<刷卡 票价="4"><编号>1</编号></刷卡>', "unexpected: 票价"),
        ("<刷卡><站名>甲<民族>乙</民族></站名></刷卡>", "inside <站名>: 民族"),
        ("<交易><编号>1</编号></交易>", "missing: the record tag <刷卡>; unexpected: 交易"),
    ],
)
def test_xml_schema_drift_names_the_elements(put: Put, record: str, told: str) -> None:
    error = rejection(put(xml(record)), XML)
    assert error.reason == "schema_drift"
    assert told in str(error)


def test_xml_without_records_is_a_delivery_without_records(put: Put) -> None:
    assert read(put(xml()), XML) == []


def test_xml_column_that_comes_twice_tears_the_record(put: Put) -> None:
    assert read(put(xml(swipe(1, more="<站名>乙</站名>"), swipe(2))), XML) == [
        ("torn", None, None, None),
        (None, "2", "甲", "3"),
    ]


@pytest.mark.parametrize(
    ("cut", "last"),
    [
        ("<刷卡><编号>2</编号><站名>乙</站名><金额>1", ("2", "乙", None)),
        ("<刷卡><编号>2</编号><站名>乙</站", ("2", None, None)),
        ("<刷卡><编号>2</编号><站名", (None, None, None)),  # the last complete element could be cut for all we know
        ("<刷", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_xml_cut_file_keeps_its_records_and_shows_the_cut(put: Put, cut: str, last: Row) -> None:
    path = put(xml(swipe(1)).removesuffix("</数据>\n") + cut)
    assert read(path, XML) == [(None, "1", "甲", "3"), ("torn", *last)]


@pytest.mark.parametrize(
    "content",
    [
        xml(swipe(1), "<刷卡><编号>2</站名></刷卡>", swipe(3)),
        xml(swipe(1), "<刷卡><编号>&秘密;</编号></刷卡>"),
        xml(swipe(1), "<刷卡><编号>\x01</编号></刷卡>"),
        xml(swipe(1), "<x:y/>"),
        xml(swipe(1)) + "<数据/>",
        xml(swipe(1)) + "more",
    ],
)
def test_xml_not_well_formed_is_rejected_with_its_line(put: Put, content: str) -> None:
    error = rejection(put(content), XML)
    assert error.reason == "not_xml"
    assert any(f"line {line} " in str(error) for line in (5, 6))
    assert "秘密" not in str(error)


def test_xml_undecodable_cell_is_null_and_the_others_are_kept(put: Put) -> None:
    content = xml(swipe(1, "#"), swipe(2)).encode("gb18030").replace(b"#", b"\xff")
    assert read(put(content), Reader(format="xml", record_tag="刷卡", encoding="GBK")) == [
        ("undecodable", "1", None, "3"),
        (None, "2", "甲", "3"),
    ]


def test_xml_oversized_cell_is_null_and_the_others_are_kept(put: Put) -> None:
    reader = Reader(format="xml", record_tag="刷卡", max_field_characters=10)
    assert read(put(xml(swipe(1, "x" * 11), swipe(2, "y" * 10))), reader) == [
        ("oversized", "1", None, "3"),
        (None, "2", "y" * 10, "3"),
    ]


def test_xml_entity_bomb_is_refused_before_it_expands(put: Put) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    body = "<数据><刷卡><编号>&e11;</编号></刷卡></数据>"
    bomb = f'<?xml version="1.0"?><!DOCTYPE 数据 [<!ENTITY e0 "lol">{entities}]>{body}'
    for text in (bomb, bomb.replace("DOCTYPE", "doctype"), "<!-- -->\n" + bomb.partition("?>")[2]):
        assert rejection(put(text), XML).reason == "entity_or_dtd"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "gb18030"])
def test_xml_does_not_read_other_files(put: Put, tmp_path: Path, codec: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("canary")
    attack = f'<!DOCTYPE 数据 [<!ENTITY x SYSTEM "{canary.as_uri()}">]>\n<数据><刷卡><编号>&x;</编号></刷卡></数据>'
    error = rejection(put(attack.encode(codec)), XML)
    assert error.reason == "entity_or_dtd"
    assert "canary" not in str(error)
    late = rejection(put(xml(swipe(1)).replace("</数据>", attack + "</数据>").encode(codec)), XML)
    assert late.reason == "not_xml"


def test_xml_without_end_of_a_record_is_refused_in_bounded_memory(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_records, "RECORD_CHARACTERS", 1000)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 256)
    error = rejection(put(xml(swipe(1), "<其他/>" * 1000, swipe(2))), XML)
    assert (error.reason, "recordTag" in str(error)) == ("too_large", True)


def test_xml_deep_nesting_is_refused(put: Put) -> None:
    assert rejection(put(xml("<a>" * 10_000)), XML).reason == "too_large"


def test_xml_many_records_come_in_batches(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(records, "BATCH_RECORDS", 50)
    path = put(xml(*(swipe(n) for n in range(500))))
    assert len(list(open_records(path, XML, COLUMNS, ()))) > 5
    assert [row[1] for row in read(path, XML)] == [str(n) for n in range(500)]


# --- XLSX

XLSX = Reader(format="xlsx")


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


# --- CSV: comments, UTF-16, other delimiters


@pytest.mark.parametrize("block", [7, 1 << 18])
def test_csv_comment_lines_before_the_header_count_nowhere(
    put: Put, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    path = put('\ufeff# 导出 "2026\r\n\r\n#\r\n编号|站名|金额\r\n1|甲|3\r\n#2|乙|4\r\n')
    reader = Reader(format="csv", delimiter="|", comment="#")
    assert read(path, reader) == [(None, "1", "甲", "3"), (None, "#2", "乙", "4")]
    assert rejection(path, Reader(format="csv", delimiter="|")).reason != "empty"


def test_csv_comment_lines_before_the_first_record_where_there_is_no_header(put: Put) -> None:
    reader = Reader(format="csv", comment="--", header=False)
    assert read(put("-- 甲\n1,甲,3\n-- 乙\n"), reader) == [(None, "1", "甲", "3"), ("torn", "-- 乙", None, None)]


def test_csv_of_comments_only_is_empty(put: Put) -> None:
    assert rejection(put("# 1\n# 2\n"), Reader(format="csv", comment="#")).reason == "empty"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_csv_comments_do_not_hide_the_encoding(put: Put, codec: str) -> None:
    text = "# 出口\n编号\t站名\t金额\n1\t𠮷站\t3\n" if codec != "gb18030" else "# 一\n编号\t站名\t金额\n1\t𠮷站\t3\n"
    declared = "UTF-16" if codec.startswith("utf-16") else "GB18030"
    reader = Reader(format="csv", delimiter="\t", encoding=declared, comment="#")
    assert read(put(text.encode(codec)), reader) == [(None, "1", "𠮷站", "3")]


# --- JSON

JSON = Reader(format="json")
NESTED = ("编号", "地点.站名", "地点.坐标.x")


def test_json_comes_in_four_forms(put: Put) -> None:
    one, two = '{"编号": 1, "站名": "甲", "金额": 3}', '{"金额": null, "编号": 2, "站名": "乙"}'
    expected = [(None, "1", "甲", "3"), (None, "2", "乙", None)]
    for text in (
        f"{one}\n{two}\n",
        f"\ufeff\n{one}\r\n\r\n{two}",
        f"[{one},\n {two}]",
        json.dumps([json.loads(one), json.loads(two)], indent=2),
        "\n".join(json.dumps(json.loads(text), indent=1) for text in (one, two)),
        f"{one}{two}",
        f"[{one}]\n[]\n[{two}]",
    ):
        assert read(put(text), JSON) == expected, text


@pytest.mark.parametrize("block", [1, 3, 50, 1 << 18])
def test_json_records_stand_in_an_array_of_each_document(put: Put, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    first = '{"total": 30, "result": {"page": [1, {"list": []}], "list": [{"编号": 10}, {"编号": 200}], "n": 1e5}}'
    second = '{"result": {"list": [{"编号": 3}]}, "at": 12345}'
    reader = Reader(format="json", records="result.list")
    assert read(put(f"{first}\n{second}"), reader, columns=("编号",)) == [(None, "10"), (None, "200"), (None, "3")]
    assert read(put('{"result": {"list": []}}'), reader, columns=("编号",)) == []


@pytest.mark.parametrize("text", ["{}", '{"data": null}', '{"data": {}}', "[]", '{"Data": [{"编号": 1}]}'])
def test_json_without_the_array_of_records_is_rejected(put: Put, text: str) -> None:
    error = rejection(put(text), Reader(format="json", records="data"), columns=("编号",))
    assert (error.reason, "array of records data" in str(error)) == ("schema_drift", True)


def test_json_scalars_keep_their_text_and_lists_become_json(put: Put) -> None:
    for scalar, cell in [
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("-0", "-0"),
        ("0.00000010", "0.00000010"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1" * 5000, "1" * 5000),
        ("true", "true"),
        ("false", "false"),
        ("null", None),
        ('""', ""),
        ('" 1\\n\\u7532 "', " 1\n甲 "),
        ('[ 1.50, "甲\\"", null, true, {"b": [ ]} ]', '[1.50,"甲\\"",null,true,{"b":[]}]'),
        ('{"a": 1e2, "b": "c"}', '{"a":1e2,"b":"c"}'),
    ]:
        for text in (f'{{"值": {scalar}}}', f'[{{"值": {scalar}}}]'):
            assert read(put(text), JSON, columns=("值",)) == [(None, cell)], text


def test_json_nested_values_are_columns_by_their_path(put: Put) -> None:
    lines = [
        '{"编号": 1, "地点": {"站名": "甲", "坐标": {"x": 1.0}}}',
        '{"编号": 2, "地点": null}',
        '{"编号": 3, "地点": {"坐标": {}}}',
        '{"编号": 4, "地点.站名": "丁"}',
    ]
    assert read(put("\n".join(lines)), JSON, columns=NESTED) == [
        (None, "1", "甲", "1.0"),
        (None, "2", None, None),
        (None, "3", None, None),
        (None, "4", "丁", None),
    ]


def test_json_object_may_be_a_column_beside_its_parts(put: Put) -> None:
    assert read(put('{"地点": {"站名": "甲"}}'), JSON, columns=("地点", "地点.站名")) == [(None, '{"站名":"甲"}', "甲")]


def test_json_name_nobody_knows_rejects_the_file_unless_it_may_be_left_out(put: Put) -> None:
    path = put('{"编号": 1}\n{"编号": 2, "地点": {"站名": "甲", "楼": 3}, "备注": {"电话": "秘密"}}\n')
    error = rejection(path, JSON, columns=NESTED)
    assert error.reason == "schema_drift"
    assert "unexpected: 地点.楼, 备注" in str(error)
    assert "秘密" not in str(error)
    lenient = Reader(format="json", extra="ignore")
    assert read(path, lenient, columns=NESTED) == [(None, "1", None, None), (None, "2", "甲", None)]


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


def test_json_scalar_in_the_place_of_an_object_is_another_structure(put: Put) -> None:
    path = put('{"编号": 1, "地点": "甲"}\n')
    assert "unexpected: 地点" in str(rejection(path, JSON, columns=NESTED))


def test_json_refused_names_appear_nowhere(put: Put) -> None:
    path = put('{"编号": 1, "人": {"民族": "秘密", "年": 3}}\n{"民族": "秘密", "编号": 2}\n')
    assert read(path, JSON, columns=("编号", "人.年"), refuse=("人.民族", "民族")) == [
        (None, "1", "3"),
        (None, "2", None),
    ]
    for columns, refuse in [(("人",), ("人.民族",)), (("人.民族",), ("人",))]:
        with pytest.raises(ContractError, match="hold one another"):
            read(path, JSON, columns=columns, refuse=refuse)


def test_json_lines_that_are_no_object_are_torn(put: Put) -> None:
    lines = ['{"编号": 1', '{"编号": 2}', "5", "[]", '{"编号": NaN}', '{"编号": 1, "编号": 1}', "{}", '{"编号": "']
    assert read(put("\n".join(lines)), JSON, columns=("编号",)) == [
        ("torn", None),
        (None, "2"),
        *[("torn", None)] * 4,
        (None, None),
        ("torn", None),
    ]


def test_json_elements_that_are_no_object_are_torn(put: Put) -> None:
    path = put('[{"编号": 1}, 5, null, "x", [], {"编号": 1, "编号": 2}]')
    assert read(path, JSON, columns=("编号",)) == [(None, "1"), *[("torn", None)] * 5]


@pytest.mark.parametrize(
    "text",
    [
        '[{"编号": 1}',
        '[{"编号": 1}, {"编',
        '[{"编号": 1},]',
        '[{"编号" 1}]',
        "[{}} ]",
        "[tru]",
        '{\n"编号": 1,\n}',
        "[" * 3000,
    ],
)
def test_json_document_that_is_broken_is_rejected(put: Put, text: str) -> None:
    error = rejection(put(text), JSON, columns=("编号",))
    assert error.reason == "not_json"
    assert "编" not in str(error)


def test_json_of_none_of_the_columns_is_rejected(put: Put) -> None:
    lenient = Reader(format="json", extra="ignore")
    for text in ('{"a": 1}\n{"b": 2}', '[{"a": 1}]', "{}"):
        assert rejection(put(text), lenient, columns=("编号",)).reason == "schema_drift"
    assert rejection(put("[1, 2]"), JSON, columns=("编号",)).reason == "not_json"
    assert read(put("[]"), JSON, columns=("编号",)) == []


def test_json_content_counts(put: Put) -> None:
    for content, hint in [("编号,站名\n", "text"), (" <html>", "HTML"), (b"\0\1\2", "binary")]:
        error = rejection(put(content), JSON)
        assert (error.reason, hint in str(error)) == ("not_json", True)
    assert rejection(put(" \n\ufeff"), JSON).reason == "empty"


@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_json_encodings_end_to_end(put: Put, form: str) -> None:
    text = form.replace("{}", '{"编号": 1, "站名": "𠮷站", "金额": 3}')
    for codec, declared, found in [
        ("gb18030", "GBK", "gb18030"),
        ("utf-8-sig", "GB18030", "utf-8"),
        ("utf-16", "UTF-8", "utf-16-le"),
        ("utf-16-be", "UTF-16", "utf-16-be"),
    ]:
        stream = open_records(put(text.encode(codec)), Reader(format="json", encoding=declared), COLUMNS, ())
        assert stream.encoding == found
        assert next(stream).column("站名").to_pylist() == ["𠮷站"]


def test_json_undecodable_and_oversized_cells_are_null(put: Put) -> None:
    lines = [b'{"b": "\xff\xff", "a": "1"}', rb'{"a": "\ud800"}', rb'{"a": "\u0000"}', b'{"a": "12345678901"}']
    rows = read(put(b"\n".join(lines)), Reader(format="json", max_field_characters=10), columns=("b", "a"))
    assert [row[0] for row in rows] == ["undecodable"] * 3 + ["oversized"]
    assert rows[0] == ("undecodable", None, "1")


def test_json_endless_line_is_skipped_unread(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "LINE_CHARACTERS", 100)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 64)
    path = put('{"a": 1}\n{"a": "' + "x" * 1000 + '"}\n{"a": 2}\n')
    rows = read(path, Reader(format="json", max_field_characters=50), columns=("a",))
    assert rows == [(None, "1"), ("oversized", None), (None, "2")]


@pytest.mark.parametrize("text", ['[{"a": "%s"}]', '[{"a": 1}, [%s]]', '{"b": "%s", "a": []}'])
def test_json_endless_value_is_refused(put: Put, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "RECORD_CHARACTERS", 1000)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 64)
    reader = Reader(format="json", records="a" if text[0] == "{" else None)
    assert rejection(put(text % ("1," * 5000)), reader, columns=("a",)).reason == "too_large"


def test_json_long_array_needs_little_text_at_a_time(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "RECORD_CHARACTERS", 1000)
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 64)
    text = '{"data": [' + ",\n".join(f'{{"编号": {n}, "站名": "甲", "金额": 3}}' for n in range(3000)) + "]}"
    rows = read(put(text), Reader(format="json", records="data"))
    assert rows == [(None, str(n), "甲", "3") for n in range(3000)]


def test_json_value_of_many_blocks_costs_linear_time(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 64)
    fed: list[int] = []
    decode = json_text.DECODER.raw_decode

    class Counting:
        def raw_decode(self, text: str, at: int) -> Any:
            fed.append(len(text) - at)
            return decode(text, at)

    monkeypatch.setattr(json_documents, "DECODER", Counting())
    path = put('[{"a": "' + "x" * 100_000 + '"}]')
    assert len(read(path, JSON, columns=("a",))) == 1
    assert sum(fed) < 5 * path.stat().st_size


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffd")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
# A block that ends where the first of two documents on one line ends.
@example(rows=[{"a": None, "b": None}] * 2, form="documents", codec="utf-16", indent=None, block=44)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": json_values, "b": json_values}), max_size=10),
    form=st.sampled_from(["lines", "array", "documents", "records"]),
    codec=st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    indent=st.sampled_from([None, 1]),
    block=st.integers(min_value=4, max_value=200),
)
def test_json_that_python_writes_comes_back(
    rows: list[dict[str, Any]], form: str, codec: str, indent: int | None, block: int
) -> None:
    texts = [json.dumps(row, ensure_ascii=False, indent=None if form == "lines" else indent) for row in rows]
    text = {
        "lines": "\n".join(texts),
        "documents": " ".join(texts),
        "array": f"[{','.join(texts)}]",
        "records": f'{{"n": 1, "d": {{"r": [{",".join(texts)}]}}}}',
    }[form]
    reader = Reader(format="json", encoding=codec, records="d.r" if form == "records" else None)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "BLOCK_BYTES", block)
        path = Path(folder) / "delivery"
        path.write_bytes(text.encode(codec))
        if not rows and form in ("lines", "documents"):
            assert rejection(path, reader, columns=("a", "b")).reason == "empty"
            return
        found = read(path, reader, columns=("a", "b"))
    assert found == [(None, cell_text(row["a"]), cell_text(row["b"])) for row in rows]


def cell_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- Parquet

PARQUET = Reader(format="parquet")


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_parquet_values_have_one_spelling(tmp_path: Path) -> None:
    at = dt.datetime.fromisoformat("2026-11-02T08:15:30")
    china = dt.timezone(dt.timedelta(hours=8))
    for values, texts in [
        (pa.array([1, None, -(2**63)]), ["1", None, str(-(2**63))]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array([Decimal("1.10"), Decimal("0.00000001")], pa.decimal128(20, 8)), ["1.10000000", "0.00000001"]),
        (pa.array([0.1, 1e300, 100.0]), ["0.1", "1e+300", "100.0"]),
        (pa.array([0.1], pa.float32()), ["0.1"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([at.date()]), ["2026-11-02"]),
        (pa.array([at, at.replace(microsecond=1500)]), ["2026-11-02T08:15:30", "2026-11-02T08:15:30.001500"]),
        (pa.array([at], pa.timestamp("ns")), ["2026-11-02T08:15:30"]),
        (pa.array([at.replace(tzinfo=china)], pa.timestamp("us", "Asia/Shanghai")), ["2026-11-02T08:15:30+08:00"]),
        (pa.array([at.replace(tzinfo=china)], pa.timestamp("ms", "UTC")), ["2026-11-02T00:15:30+00:00"]),
        (pa.array([at.time()], pa.time64("ns")), ["08:15:30"]),
        (pa.array([dt.timedelta(days=1, milliseconds=500)]), ["PT86400.5S"]),
        (pa.array(["甲", ""]), ["甲", ""]),
        (pa.array(["甲", "甲"]).dictionary_encode(), ["甲", "甲"]),
        (pa.array(["甲".encode()]), ["甲"]),
        (pa.array([[1, None], []]), ["[1,null]", "[]"]),
        (pa.array([{"x": Decimal("1.5"), "y": at}]), ['{"x":"1.5","y":"2026-11-02T08:15:30"}']),
    ]:
        path = parquet(tmp_path / "delivery", 值=values)
        assert read(path, PARQUET, columns=("值",)) == [(None, text) for text in texts], values.type


def test_parquet_names_are_those_of_the_contract(tmp_path: Path) -> None:
    path = parquet(tmp_path / "delivery", 金额=[3, 4, 5], 民族=["秘密"] * 3, 编号=[1, 2, 3], 站名=["甲", "乙", None])
    assert read(path, PARQUET, refuse=("民族",)) == [
        (None, "1", "甲", "3"),
        (None, "2", "乙", "4"),
        (None, "3", None, "5"),
    ]
    error = rejection(path, PARQUET, columns=("编号", "站名", "票价"))
    assert "missing: 票价; unexpected: 民族, 金额" in str(error)


def test_parquet_bytes_that_are_no_text_and_long_cells_are_null(tmp_path: Path) -> None:
    path = parquet(tmp_path / "delivery", a=[b"\xff", b"x" * 11, b"ok"])
    reader = Reader(format="parquet", max_field_characters=10)
    assert read(path, reader, columns=("a",)) == [("undecodable", None), ("oversized", None), (None, "ok")]


def test_parquet_that_is_damaged_or_something_else_is_rejected(tmp_path: Path, put: Put) -> None:
    path = parquet(tmp_path / "delivery", a=list(range(1000)))
    content = path.read_bytes()
    assert rejection(put(content[:-20]), PARQUET, columns=("a",)).reason == "not_parquet"
    assert rejection(put(content[:4] + b"\xff" * 40 + content[44:]), PARQUET, columns=("a",)).reason == "not_parquet"
    assert "text" in str(rejection(put("a\n1\n"), PARQUET, columns=("a",)))


def test_parquet_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "delivery", a=["x" * 100, "y" * 100])
    monkeypatch.setattr("ronghe.ingest.parquet_records.ROW_GROUP_BYTES", 100)
    assert rejection(path, PARQUET, columns=("a",)).reason == "too_large"


def test_parquet_comes_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BATCH_RECORDS", 50)
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "delivery")
    sizes = [batch.num_rows for batch in open_records(tmp_path / "delivery", PARQUET, ("a",), ())]
    assert (sum(sizes), max(sizes)) == (1000, 50)


# --- GZIP and members of archives

TABLE = "编号,站名,金额\n1,甲,3\n"
PAGE = '<r><x 编号="1" 站名="甲" 金额="3"/></r>'
PACKED = [
    (TABLE, {"format": "csv"}),
    ('{"编号": 1, "站名": "甲", "金额": 3}', {"format": "json"}),
    (PAGE, {"format": "xml", "record_tag": "x"}),
]


def archive(path: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize(("text", "reader"), PACKED)
def test_packed_records_are_those_of_the_file_inside(
    put: Put, tmp_path: Path, text: str, reader: dict[str, str]
) -> None:
    expected = [(None, "1", "甲", "3")]
    assert read(put(gzip.compress(text.encode())), Reader(**reader)) == expected
    path = archive(tmp_path / "all.zip", **{"b/other.txt": "x", "b/甲.txt": text})
    assert read(path, Reader(**reader, member="b/甲.txt")) == expected


def test_gzip_of_several_parts_is_one_file(put: Put) -> None:
    path = put(gzip.compress("编号,站名,金额\n1,甲".encode()) + gzip.compress(b",3\n"))
    assert read(path, CSV) == [(None, "1", "甲", "3")]


@pytest.mark.parametrize("keep", [5, 30, -4])
def test_gzip_that_is_cut_is_rejected(put: Put, keep: int) -> None:
    assert rejection(put(gzip.compress(TABLE.encode() * 20)[:keep]), CSV).reason == "not_gzip"


def test_gzip_of_nothing_is_empty(put: Put) -> None:
    assert rejection(put(gzip.compress(b"")), CSV).reason == "empty"


def test_what_was_unpacked_goes_with_the_stream(put: Put, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    packed, drifted = put(gzip.compress(TABLE.encode()), "a"), put(gzip.compress(b"x,y\n"), "b")
    stream = open_records(packed, CSV, COLUMNS, (), scratch)
    assert [path.name for path in scratch.rglob("*") if path.is_file()] == ["a"]
    list(stream)
    assert list(scratch.iterdir()) == []
    open_records(packed, CSV, COLUMNS, (), scratch).close()
    assert list(scratch.iterdir()) == []
    with pytest.raises(RejectedFile):
        open_records(drifted, CSV, COLUMNS, (), scratch)
    assert list(scratch.iterdir()) == []


def test_member_named_by_a_chinese_system_is_found(tmp_path: Path) -> None:
    path = archive(tmp_path / "all.zip", **{"ABCD.csv": TABLE})
    path.write_bytes(path.read_bytes().replace(b"ABCD.csv", "刷卡.csv".encode("gb18030")))
    assert read(path, Reader(format="csv", member="刷卡.csv")) == [(None, "1", "甲", "3")]


def test_member_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    error = rejection(
        archive(tmp_path / "all.zip", **{"b/stops.txt": "", "a.txt": ""}), Reader(format="csv", member="stops.txt")
    )
    assert (error.reason, "a.txt, b/stops.txt" in str(error)) == ("no_member", True)


def test_archive_is_refused_that_is_none_or_hostile(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(format="csv", member="a.csv")
    whole = archive(tmp_path / "whole.zip", **{"a.csv": TABLE * 50}).read_bytes()
    encrypted = bytearray(archive(tmp_path / "z", **{"a.csv": TABLE}).read_bytes())
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    twice = archive(tmp_path / "twice.zip", **{"a.csv": TABLE, "b.csv": TABLE})
    twice.write_bytes(twice.read_bytes().replace(b"b.csv", b"a.csv"))
    for path, reason in [
        (put(TABLE), "not_zip"),
        (put(gzip.compress(TABLE.encode())), "not_zip"),
        (put(whole[: len(whole) // 2]), "not_zip"),
        (put(whole.replace(whole[60:64], b"\0\0\0\0", 1), "damaged"), "not_zip"),
        (put(b"PK\5\6" + b"\0" * 18, "nothing"), "no_member"),
        (twice, "no_member"),
        (put(bytes(encrypted), "locked"), "encrypted"),
        (archive(tmp_path / "up", **{"a.csv": TABLE, "../b": "x"}), "unsafe_archive"),
        (archive(tmp_path / "abs", **{"a.csv": TABLE, "/etc/b": "x"}), "unsafe_archive"),
        (archive(tmp_path / "win", **{"a.csv": TABLE, "..\\b": "x"}), "unsafe_archive"),
    ]:
        assert rejection(path, reader).reason == reason, path.name


def test_packed_bomb_is_refused_while_it_unpacks(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = b"1,2,3\n" * (1 << 19)
    cases = [
        (put(gzip.compress(zeros)), CSV),
        (archive(tmp_path / "z", **{"a.csv": zeros}), Reader(format="csv", member="a.csv")),
    ]
    monkeypatch.setattr(unpack, "RATIO_FROM_BYTES", 1 << 20)
    for path, reader in cases:
        assert "200 times" in str(rejection(path, reader))
    monkeypatch.setattr(unpack, "RATIO_FROM_BYTES", 1 << 40)
    monkeypatch.setattr(unpack, "UNPACKED_BYTES", 1 << 20)
    for path, reader in cases:
        assert rejection(path, reader).reason == "too_large"
    lying = bytearray(cases[1][0].read_bytes())
    entry = lying.index(b"PK\x01\x02")
    lying[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    assert rejection(put(bytes(lying)), cases[1][1]).reason in ("not_zip", "too_large")
