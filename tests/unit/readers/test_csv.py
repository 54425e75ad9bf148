"""CSV: what is broken is marked, what is hostile is refused."""

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.contracts.source import Reader
from ronghe.ingest import csv_records, encodings, records
from ronghe.ingest.records import open_records, record_schema
from tests.unit.readers.reading import COLUMNS, CSV, Put, read, rejection


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
