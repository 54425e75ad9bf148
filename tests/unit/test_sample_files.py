"""Sample files: what the builder writes for a feed's reader, the reader reads back."""

from pathlib import Path
from typing import Any

import pytest

from ronghe.contracts import Feed, catalogue
from ronghe.contracts.source import Reader
from ronghe.ingest.records import open_records
from tests.samples.build import file_of, nested, packed

RECORDS = [{"编号": "1", "地点.站名": "甲, 站", "地点.坐标.x": "1.50"}, {"编号": "2"}]
COLUMNS = ("编号", "地点.站名", "地点.坐标.x")


def feed_of(reader: dict[str, Any]) -> Feed:
    feed = catalogue().feed("shenzhen.swipe")
    columns = tuple(feed.columns[0].model_copy(update={"name": name}) for name in COLUMNS)
    return feed.model_copy(update={"reader": Reader(**reader), "columns": columns})


@pytest.mark.parametrize(
    ("reader", "name", "left_out"),
    [
        ({"format": "csv", "encoding": "UTF-16", "delimiter": "|"}, "a.csv", ""),
        ({"format": "csv", "encoding": "UTF-16-LE", "delimiter": "\t"}, "a.csv", ""),
        ({"format": "csv", "encoding": "GB18030"}, "a.csv.gz", ""),
        ({"format": "csv", "member": "内/站.txt"}, "a.zip", ""),
        ({"format": "json"}, "a.jsonl", None),
        ({"format": "json", "encoding": "UTF-16"}, "a.jsonl.gz", None),
        ({"format": "json", "records": "结果.data"}, "a.json", None),
        ({"format": "json", "member": "a.jsonl"}, "a.zip", None),
        ({"format": "parquet"}, "a.parquet", None),
    ],
    ids=str,
)
def test_a_file_reads_back(reader: dict[str, Any], name: str, left_out: str | None, tmp_path: Path) -> None:
    feed = feed_of(reader)
    path = tmp_path / name
    path.write_bytes(packed(feed, file_of(feed, RECORDS), name))
    [batch] = open_records(path, feed.reader, feed.column_names, ())
    assert batch.select(list(COLUMNS)).to_pylist() == [{c: r.get(c, left_out) for c in COLUMNS} for r in RECORDS]


def test_a_preamble_and_a_torn_end_stand_around_the_records(tmp_path: Path) -> None:
    for reader in ({"format": "csv", "comment": "#"}, {"format": "json"}):
        feed = feed_of(reader)
        preamble = "# 说明\n" if reader["format"] == "csv" else "\n"
        (tmp_path / "a").write_bytes(file_of(feed, RECORDS, raw_append='{"编号', preamble=preamble))
        [batch] = open_records(tmp_path / "a", feed.reader, feed.column_names, ())
        assert batch["defect"].to_pylist() == [None, None, "torn"]


def test_dotted_names_become_objects() -> None:
    assert nested({"a.b": "1", "a.c.d": "2", "e": "3"}) == {"a": {"b": "1", "c": {"d": "2"}}, "e": "3"}


@pytest.mark.parametrize("format", ["xlsx", "parquet"])
def test_a_binary_file_has_no_raw_text(format: str) -> None:
    with pytest.raises(ValueError, match="raw text"):
        file_of(feed_of({"format": format}), RECORDS, preamble="#")
