"""XML: what is broken is marked, what is hostile is refused."""

from pathlib import Path

import pytest

from ronghe.contracts.source import Reader
from ronghe.ingest import encodings, records, xml_records
from ronghe.ingest.records import open_records
from tests.unit.readers.reading import COLUMNS, XML, Put, Row, read, rejection, swipe, xml


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
