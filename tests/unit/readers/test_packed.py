"""GZIP and members of archives: what is inside is read, what is hostile is refused."""

import gzip
from pathlib import Path

import pytest

from ronghe.contracts.source import Reader
from ronghe.ingest import unpack
from ronghe.ingest.records import RejectedFile, open_records
from tests.unit.readers.reading import COLUMNS, CSV, Put, archive, read, rejection

TABLE = "编号,站名,金额\n1,甲,3\n"
PAGE = '<r><x 编号="1" 站名="甲" 金额="3"/></r>'
PACKED = [
    (TABLE, {"format": "csv"}),
    ('{"编号": 1, "站名": "甲", "金额": 3}', {"format": "json"}),
    (PAGE, {"format": "xml", "record_tag": "x"}),
]


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
