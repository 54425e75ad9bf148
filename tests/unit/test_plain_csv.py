"""Plain blocks read by Arrow give the records that the strict parser gives, whatever stands in the file."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.contracts.source import Reader
from ronghe.ingest import encodings, plain_csv
from ronghe.ingest.plain_csv import PlainBlocks
from ronghe.ingest.records import open_records

COLUMNS = ("a", "b", "c")
READER = Reader(format="csv", encoding="UTF-8", max_field_characters=12)
HEADER = "c,a,b,d\n"
# Mostly plain, with everything that is not plain among it.
_SIGNS = st.sampled_from(
    ["x", "y", "站", "𠮷", " ", ",", ",", ",", "\n", "\n", "\r\n", "\r", '"', "\0", "\ufffd", "x" * 9]
)
_PLAIN_LINE = st.sampled_from(["1,2,3,4\n", "甲,乙,丙,丁\r\n", ",,,\n", "\n"])
_FILES = st.lists(st.one_of(_PLAIN_LINE, st.lists(_SIGNS, max_size=6).map("".join)), max_size=30).map("".join)


def _read(path: Path) -> list[dict[str, object]]:
    return [row for batch in open_records(path, READER, COLUMNS, ("d",)) for row in batch.to_pylist()]


def _both(content: bytes) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "f.csv"
        path.write_bytes(HEADER.encode() + content)
        patch.setattr(encodings, "BLOCK_BYTES", 64)
        with_arrow = _read(path)
        patch.setattr(PlainBlocks, "read", lambda self, lines: None)
        return with_arrow, _read(path)


@settings(deadline=None)  # Arrow is loaded by the first
@given(_FILES, st.sampled_from([b"", b"\xff\xfe,1,2,3\n"]))
def test_arrow_reads_what_the_strict_parser_reads(text: str, undecodable: bytes) -> None:
    with_arrow, strictly = _both(text.encode() + undecodable)
    assert with_arrow == strictly


def test_a_plain_file_is_read_by_arrow_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ronghe.ingest import csv_records

    seen: list[int] = []
    at_once = csv_records._Parser._at_once
    monkeypatch.setattr(
        csv_records._Parser, "_at_once", lambda self, lines: (seen.append(len(lines)), at_once(self, lines))[1]
    )
    path = tmp_path / "f.csv"
    path.write_text(HEADER + "1,2,3,4\n" * 5)
    assert [row["a"] for row in _read(path)] == ["2"] * 5
    assert sum(seen) == 0


@pytest.mark.parametrize(
    "line", ['"1",2,3,4\n', "1\r,2,3,4\n", "1,\0,3,4\n", "1,\ufffd,3,4\n", "1,2,3\n", f"{'x' * 13},2,3,4\n"]
)
def test_what_is_not_plain_is_left_to_the_strict_parser(line: str) -> None:
    plain = PlainBlocks(",", 4, [0, 1, 2], READER.max_field_characters, 1000)
    assert plain.read(["1,2,3,4\n"]) is not None
    assert plain.read(["1,2,3,4\n", line]) is None


def test_the_comparison_sees_a_guard_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_csv, "_SPECIAL", ())
    with_arrow, strictly = _both(b'"1",2,3,4\n')
    assert with_arrow != strictly
