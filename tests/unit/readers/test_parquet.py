"""Parquet: values have one spelling, what is hostile is refused."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ronghe.contracts.source import Reader
from ronghe.ingest import records
from ronghe.ingest.records import open_records
from tests.unit.readers.reading import PARQUET, Put, parquet, read, rejection


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
