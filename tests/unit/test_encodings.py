"""The encoding of a file is found by rule: mark, declaration, UTF-8, GB18030, and the contract's names as oracle."""

import codecs
from pathlib import Path

import pytest

from ronghe.ingest import encodings
from ronghe.ingest.encodings import Encoding, decoded_blocks, find_encoding

TEXT = "编号,站名\n1,车公庙站\n2,𠮷野家（四字节）\n"
# Every UTF-8 byte pair of these words is also a GB18030 character, so both decode without an error.
AMBIGUOUS = "编号,站名站名\n"


def familiar(head: str) -> int:
    return len({"编号", "站名"} & set(head.split("\n")[0].strip("\ufeff").split(",")))


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "declared", "expected"),
    [
        pytest.param(TEXT.encode("utf-8"), "UTF-8", Encoding("utf-8", True), id="utf-8 as declared"),
        pytest.param(TEXT.encode("gb18030"), "GB18030", Encoding("gb18030", True), id="gb18030 as declared"),
        pytest.param(TEXT.encode("gb18030"), "GBK", Encoding("gb18030", True), id="gbk is read as its superset"),
        pytest.param("编号,站名\n".encode("gb2312"), "GB2312", Encoding("gb18030", True), id="gb2312 likewise"),
        pytest.param(TEXT.encode("gb18030"), "UTF-8", Encoding("gb18030", True), id="gb18030 declared utf-8"),
        pytest.param(TEXT.encode("utf-8"), "GB18030", Encoding("utf-8", True), id="utf-8 declared gb18030"),
        pytest.param(TEXT.encode("utf-8"), "GBK", Encoding("utf-8", True), id="utf-8 declared gbk"),
        pytest.param(TEXT.encode("utf-8"), "ascii", Encoding("utf-8", True), id="ascii is read as its superset"),
        pytest.param(TEXT.encode("utf-8-sig"), "GB18030", Encoding("utf-8", True, 3), id="utf-8 mark"),
        pytest.param(TEXT.encode("utf-8-sig"), "utf-8-sig", Encoding("utf-8", True, 3), id="utf-8 mark declared"),
        pytest.param(("\ufeff" + TEXT).encode("gb18030"), "UTF-8", Encoding("gb18030", True, 4), id="gb18030 mark"),
        pytest.param(
            codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "UTF-8", Encoding("utf-16-le", True, 2), id="utf-16-le mark"
        ),
        pytest.param(
            codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-8", Encoding("utf-16-be", True, 2), id="utf-16-be mark"
        ),
        pytest.param(
            codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "UTF-8", Encoding("utf-32-le", True, 4), id="utf-32-le mark"
        ),
        pytest.param(
            codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), "UTF-8", Encoding("utf-32-be", True, 4), id="utf-32-be mark"
        ),
        pytest.param(TEXT.encode("utf-16-le"), "UTF-16", Encoding("utf-16-le", True), id="utf-16 without mark"),
        pytest.param(TEXT.encode("utf-16-be"), "UTF-16", Encoding("utf-16-be", True), id="utf-16-be without mark"),
        pytest.param(TEXT.encode("big5", "ignore"), "big5", Encoding("big5", True), id="any codec may be declared"),
        pytest.param(b"a,b\n1,2\n", "GB18030", Encoding("gb18030", True), id="ascii keeps the declaration"),
    ],
)
def test_encoding_is_found_by_rule(tmp_path: Path, content: bytes, declared: str, expected: Encoding) -> None:
    assert find_encoding(write(tmp_path, content), declared, familiar) == expected


def test_text_comes_back_without_its_mark(tmp_path: Path) -> None:
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        path = write(tmp_path, TEXT.encode(codec))
        assert "".join(decoded_blocks(path, find_encoding(path, "UTF-8"))) == TEXT


def test_known_names_settle_what_two_encodings_can_decode(tmp_path: Path) -> None:
    path = write(tmp_path, AMBIGUOUS.encode("utf-8"))
    assert AMBIGUOUS.encode("utf-8").decode("gb18030") != AMBIGUOUS  # the trap: no error, wrong text
    assert find_encoding(path, "GB18030").name == "gb18030"
    assert find_encoding(path, "GB18030", familiar).name == "utf-8"


def test_nothing_decodes_then_the_declared_one_is_lenient(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n1,\xff\n")
    assert find_encoding(path, "GBK") == Encoding("gb18030", strict=False)
    assert find_encoding(path, "UTF-8") == Encoding("utf-8", strict=False)


def test_known_names_settle_a_broken_file_too(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.encode("utf-8") + b"3,\xff\n")
    assert find_encoding(path, "GB18030", familiar) == Encoding("utf-8", strict=False)


def test_undecodable_bytes_are_kept_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "站,".encode("gb18030") + b"\xff\n\x81")
    text = "".join(decoded_blocks(path, Encoding("gb18030", strict=False)))
    assert text == "站,\udcff\n\udc81"


def test_low_undecodable_bytes_are_kept_apart_too(tmp_path: Path) -> None:
    lone_surrogate_then_cut = b"a\0" + b"\x41\xd8" + b"b\0" + b"c"
    path = write(tmp_path, lone_surrogate_then_cut)
    assert "".join(decoded_blocks(path, Encoding("utf-16-le", strict=False))) == "a\udc41\udcd8b\udc63"


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16"])
def test_characters_may_lie_across_blocks(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", 3)
    path = write(tmp_path, TEXT.encode(codec))
    encoding = find_encoding(path, codec)
    assert encoding.strict
    assert "".join(decoded_blocks(path, encoding)) == TEXT


def test_one_bad_byte_at_the_very_end_counts(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.encode("gb18030") * 20_000 + b"\x81")
    assert not find_encoding(path, "GB18030", familiar).strict
