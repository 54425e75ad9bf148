"""Columns that come, go, change their names or places, and text in another encoding than was agreed."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ronghe.contracts import ColumnMap, Feed, catalogue
from ronghe.ingest import csv_records, encodings, json_records, parquet_records, records, xlsx_records, xml_records
from ronghe.ingest.deliveries import Delivery, Event
from ronghe.ingest.landing import stage
from ronghe.quality import acceptance
from tests.faults.teeth import goes_red
from tests.samples.build import file_of

pytestmark = [pytest.mark.faults, pytest.mark.smoke]

Cells = list[dict[str, str | None]]
FEEDS = catalogue().feeds.values()
FORMATS = ("csv", "xlsx", "parquet", "xml", "json")
READERS = dict(zip(FORMATS, (csv_records, xlsx_records, parquet_records, xml_records, json_records), strict=True))
# In these each record says its own names, so that one which is missing is an empty cell.
NAMED_BY_RECORD = ("xml", "json")
STRANGE = "新增列"


def feed_of(format: str) -> Feed:
    """Return a feed of this format, of flat records that are in a file of their own, without refused columns."""
    found = (f for f in FEEDS if f.reader.format == format and f.reader.extra == "refuse" and not f.reader.member)
    feed = next(f for f in found if not any("." in name for name in f.column_names))
    return feed.model_copy(update={"refuse": ()})


def land(feed: Feed, content: bytes, folder: Path) -> tuple[Event, Cells]:
    """Land one file; return its event and the records that would go to raw."""
    path = f"{feed.source_code}/{feed.name}/2026-11-02/a"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    delivery = Delivery(feed.id, feed.source_code, date(2026, 11, 2), path, "hash", len(content), "id")
    staged = stage(feed, [delivery], folder, folder / "staging", {}, {})
    rows = [row for file in staged.files.values() for row in pq.read_table(file).to_pylist()]
    return staged.events[0], rows


def renamed(feed: Feed, old: str, new: str) -> Feed:
    columns = (c.model_copy(update={"name": new}) if c.name == old else c for c in feed.columns)
    return feed.model_copy(update={"columns": tuple(columns)})


def with_columns(feed: Feed, columns: tuple[ColumnMap, ...]) -> Feed:
    return feed.model_copy(update={"columns": columns})


def records_of(feed: Feed) -> list[dict[str, str]]:
    return [{name: f"{name}{n}" for name in feed.column_names} for n in (1, 2)]


def sent(feed: Feed, change: str) -> bytes:
    """Return what a source sends that has changed its columns and told nobody."""
    first, *others = feed.columns
    other = {
        "added": lambda: with_columns(feed, (*feed.columns, first.model_copy(update={"name": STRANGE}))),
        "dropped": lambda: with_columns(feed, tuple(others)),
        "renamed": lambda: renamed(feed, first.name, STRANGE),
        "reordered": lambda: with_columns(feed, feed.columns[::-1]),
    }[change]()
    return file_of(other, records_of(other))


def check_drift_is_refused(format: str, change: str, folder: Path) -> None:
    feed = feed_of(format)
    event, rows = land(feed, sent(feed, change), folder)
    assert (event.event_code, rows) == ("rejected", [])
    assert str(event.reason).startswith("schema_drift: a: the columns are not the contract's. ")
    named = {"added": [STRANGE], "dropped": [feed.column_names[0]], "renamed": [STRANGE]}[change]
    assert [name for name in named if name not in str(event.reason)] == []
    assert "Update the contract" in str(event.reason)
    assert "ask the source" in str(event.reason)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("change", ["added", "dropped", "renamed"])
def test_drift_rejects_the_file_and_names_the_column(format: str, change: str, tmp_path: Path) -> None:
    if change == "dropped" and format in NAMED_BY_RECORD:
        pytest.skip("each record says its own names; see the next test")
    check_drift_is_refused(format, change, tmp_path)


@pytest.mark.parametrize("format", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("change", ["added", "dropped", "renamed"])
def test_drift_would_pass_without_the_look_at_the_header(
    format: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_place(_: Path, header: Any, columns: tuple[str, ...], __: Any) -> list[int]:
        return [min(place, len(header) - 1) for place in range(len(columns))]

    monkeypatch.setattr(READERS[format], "positions", by_place)
    with goes_red():
        check_drift_is_refused(format, change, tmp_path)


def check_dropped_column_is_told(format: str, folder: Path) -> None:
    feed = feed_of(format)
    event, rows = land(feed, sent(feed, "dropped"), folder)
    assert (event.event_code, len(rows)) == ("landed", 2)
    assert event.reason == f"no record has {feed.column_names[0]}: ask the source if they were dropped"


@pytest.mark.parametrize("format", NAMED_BY_RECORD)
@pytest.mark.parametrize("guarded", [True, False])
def test_column_that_no_record_has_is_told(
    format: str, guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if guarded:
        check_dropped_column_is_told(format, tmp_path)
        return
    monkeypatch.setattr("ronghe.ingest.landing.listed", lambda _: "something")
    with goes_red():
        check_dropped_column_is_told(format, tmp_path)


def check_order_is_free(format: str, folder: Path) -> None:
    feed = feed_of(format)
    _, rows = land(feed, sent(feed, "reordered"), folder)
    _, expected = land(feed, file_of(feed, records_of(feed)), folder)
    assert rows == expected
    assert len(rows) == 2


@pytest.mark.parametrize("format", FORMATS)
def test_order_of_columns_is_free(format: str, tmp_path: Path) -> None:
    check_order_is_free(format, tmp_path)


def test_order_would_count_without_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "positions", lambda *a: list(range(len(a[2]))))
    with goes_red():
        check_order_is_free("csv", tmp_path)


def check_missing_header_is_told_without_the_record(folder: Path) -> None:
    feed = feed_of("csv")
    content = file_of(feed, records_of(feed)).partition(b"\n")[2]
    event, rows = land(feed, content, folder)
    assert (event.event_code, rows) == ("rejected", [])
    assert "the header is missing" in str(event.reason)
    assert f"{feed.column_names[0]}1" not in str(event.reason)


@pytest.mark.parametrize("guarded", [True, False])
def test_file_without_its_header_is_rejected(guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if guarded:
        check_missing_header_is_told_without_the_record(tmp_path)
        return
    monkeypatch.setattr(csv_records, "positions", lambda *a: list(range(len(a[2]))))
    with goes_red():
        check_missing_header_is_told_without_the_record(tmp_path)


def check_changed_type_is_stopped() -> None:
    feed = feed_of("csv")
    delivery = Delivery(feed.id, feed.source_code, date(2026, 11, 2), "x/a.csv", "hash", 1, "id")
    counts = {"id": {"accepted": 0, "deduplicated": 0, "quarantined": 60}}
    table: Any = None  # nothing was accepted, so no row is judged
    found = acceptance.judge_deliveries(feed, [delivery], counts, table, table, ())
    event = acceptance.verdict(feed, delivery, found.broken["id"], counts["id"], 60)
    assert event.event_code == "stopped"
    assert "quarantined records" in str(event.reason)


@pytest.mark.parametrize("guarded", [True, False])
def test_changed_type_stops_the_delivery(guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if guarded:
        check_changed_type_is_stopped()
        return
    monkeypatch.setattr(acceptance, "SHARE_FROM_RECORDS", 1000)
    with goes_red():
        check_changed_type_is_stopped()


# 18: encodings -----------------------------------------------------------------------------------------------------

SWIPE = catalogue().feed("shenzhen.swipe")
STATION = "车公庙𠮷站"


def swipes(station: str = STATION) -> str:
    row = {"卡号": "A1", "站点名称": station, "结算日期": "20261102"}
    return file_of(
        SWIPE.model_copy(update={"reader": _utf8(SWIPE)}), [row, row | {"卡号": "A2", "站点名称": "乙"}]
    ).decode()


def _utf8(feed: Feed) -> Any:
    return feed.reader.model_copy(update={"encoding": "UTF-8"})


def stations(content: bytes, folder: Path, declared: str = "GB18030") -> list[tuple[str | None, str | None]]:
    """Return the defect and the station of each record."""
    feed = SWIPE.model_copy(update={"reader": SWIPE.reader.model_copy(update={"encoding": declared})})
    event, rows = land(feed, content, folder)
    assert event.event_code == "landed", event.reason
    return [(row["defect"], row["站点名称"]) for row in rows]


WHOLE = [(None, STATION), (None, "乙")]
ENCODED = {
    "gb18030 declared utf-8": (lambda: swipes().encode("gb18030"), "UTF-8"),
    "utf-8 declared gb18030": (lambda: swipes().encode(), "GB18030"),
    "utf-8 with a mark": (lambda: swipes().encode("utf-8-sig"), "GB18030"),
    "gb18030 with a mark": (lambda: ("\ufeff" + swipes()).encode("gb18030"), "UTF-8"),
    "utf-16 with a mark": (lambda: swipes().encode("utf-16"), "UTF-8"),
    "lone cr": (lambda: swipes().replace("\r\n", "\r").encode("gb18030"), "GB18030"),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_text_comes_out_as_it_was_written(kind: str, tmp_path: Path) -> None:
    content, declared = ENCODED[kind]
    assert stations(content(), tmp_path, declared) == WHOLE


def only_the_declared(_: Path, declared: str, *__: Any) -> encodings.Encoding:
    return encodings.Encoding(declared.lower(), strict=False)


def lines_at_lf_only(texts: Any, _: int) -> Any:
    yield [f"{line}\n" for line in "".join(texts).split("\n")]


OFF = {
    "lone cr": ("line_blocks", lines_at_lf_only),
    **dict.fromkeys([kind for kind in ENCODED if kind != "lone cr"], ("find_encoding", only_the_declared)),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_text_would_be_garbled_without_the_rule(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, declared = ENCODED[kind]
    monkeypatch.setattr(csv_records, *OFF[kind])
    with goes_red():
        assert stations(content(), tmp_path, declared) == WHOLE


BROKEN: dict[str, Callable[[], bytes]] = {
    "a byte of no character": lambda: swipes("甲#").encode("gb18030").replace(b"#", b"\xff"),
    "a character cut": lambda: swipes("甲#").encode().replace("甲#".encode(), "甲".encode()[:2]),
    "nul": lambda: swipes("甲\0").encode("gb18030"),
    "lost before us": lambda: swipes("甲\ufffd").encode("gb18030"),
}


def check_broken_cell_is_marked(kind: str, folder: Path) -> None:
    found = stations(BROKEN[kind](), folder, "UTF-8" if kind == "a character cut" else "GB18030")
    assert found == [("undecodable", None), (None, "乙")]


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_text_marks_its_record_and_no_other(kind: str, tmp_path: Path) -> None:
    check_broken_cell_is_marked(kind, tmp_path)


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_text_would_be_taken_without_the_mark(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "ESCAPE", "replace")
    monkeypatch.setattr(csv_records._Parser, "_has_bad", lambda *_: False)
    with goes_red():
        check_broken_cell_is_marked(kind, tmp_path)


def check_lost_character_is_seen(format: str, folder: Path) -> None:
    feed = feed_of(format)
    first, second = records_of(feed)
    name = feed.column_names[0]
    utf8 = feed.model_copy(update={"reader": _utf8(feed)})  # GBK has no such character
    _, rows = land(feed, file_of(utf8, [first | {name: "甲\ufffd"}, second]), folder)
    assert [row["defect"] for row in rows] == [records.UNDECODABLE_CELL, None]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("guarded", [True, False])
def test_character_lost_before_us_is_seen_in_every_format(
    format: str, guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if guarded:
        check_lost_character_is_seen(format, tmp_path)
        return
    monkeypatch.setattr(READERS[format], "mend_cells", lambda *_: None)
    with goes_red():
        check_lost_character_is_seen(format, tmp_path)
