"""JSON: lines and documents, numbers as they were written; what is broken is marked, what is hostile is refused."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ronghe.contracts.base import ContractError
from ronghe.contracts.source import Reader
from ronghe.ingest import encodings, json_documents, json_records, json_text
from ronghe.ingest.records import open_records
from tests.unit.readers.reading import COLUMNS, JSON, Put, read, rejection

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
    monkeypatch.setattr(json_records, "BLOCK_CHARACTERS", 1000)
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
