"""What lies in the landing zone, and what the ledger says is still to be done."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ronghe.contracts import ContractError, Feed, catalogue
from ronghe.home import Home
from ronghe.ingest import deliveries
from ronghe.ingest.deliveries import Delivery, Event, Ledger, accepted_ids, discover
from ronghe.lake import Lake
from ronghe.ledger import LEDGER

FEED = catalogue().feed("shenzhen.swipe")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests are as young as can be and nobody writes to them."""
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.0)


def put(landing: Path, name: str, content: str = "卡号\n1\n") -> Path:
    path = landing / FEED.source_code / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def test_deliveries_come_by_business_day_then_path(tmp_path: Path) -> None:
    for name in ("swipe/2026-11-03/a.csv", "swipe/2026-11-02/b.csv", "swipe/2026-11-02/a.csv"):
        put(tmp_path, name)
    assert [(d.business_date, d.path) for d in discover(FEED, tmp_path)] == [
        (date(2026, 11, 2), "shenzhen/swipe/2026-11-02/a.csv"),
        (date(2026, 11, 2), "shenzhen/swipe/2026-11-02/b.csv"),
        (date(2026, 11, 3), "shenzhen/swipe/2026-11-03/a.csv"),
    ]


def test_delivery_says_what_it_is(tmp_path: Path) -> None:
    path = put(tmp_path, "swipe/2026-11-02/a.csv", "abc")
    [delivery] = discover(FEED, tmp_path)
    assert (delivery.feed_id, delivery.source_code, delivery.byte_count) == ("shenzhen.swipe", "shenzhen", 3)
    assert delivery.content_sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert path.stat().st_size == 3


@pytest.mark.parametrize("name", ["a.csv.tmp", "a.csv.part", "a.csv.filepart", ".a.csv", "a.xml"])
def test_file_is_left_alone_when_unfinished_or_of_another_kind(name: str, tmp_path: Path) -> None:
    put(tmp_path, f"swipe/2026-11-02/{name}")
    (tmp_path / "shenzhen" / "swipe" / "2026-11-02" / "folder.csv").mkdir()
    assert discover(FEED, tmp_path) == ()
    open_pattern = FEED.model_copy(update={"landing": "swipe/{business_date}/*"})
    assert [d.path for d in discover(open_pattern, tmp_path) if not d.path.endswith(".xml")] == []


def test_nothing_is_found_when_the_landing_zone_is_not_there(tmp_path: Path) -> None:
    assert discover(FEED, tmp_path / "nowhere") == ()


@pytest.mark.parametrize("folder", ["2026-11-31", "2026-13-01", "yesterday", "2026-11"])
def test_folder_is_refused_by_name_when_it_is_no_day(folder: str, tmp_path: Path) -> None:
    put(tmp_path, f"swipe/{folder}/a.csv")
    with pytest.raises(ContractError, match=rf"shenzhen\.swipe: shenzhen/swipe/{folder}/a\.csv"):
        discover(FEED, tmp_path)


def test_day_is_read_from_the_file_name_when_the_pattern_has_it_there(tmp_path: Path) -> None:
    feed = FEED.model_copy(update={"landing": "daily/*_{business_date}_*.csv"})
    put(tmp_path, "daily/swipe_2026-11-02_v1.csv")
    assert [d.business_date for d in discover(feed, tmp_path)] == [date(2026, 11, 2)]


def test_pattern_without_a_day_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "daily/a.csv")
    with pytest.raises(ContractError, match="has no business day"):
        discover(FEED.model_copy(update={"landing": "daily/*.csv"}), tmp_path)


def test_id_is_stable_and_follows_from_feed_path_and_content(tmp_path: Path) -> None:
    put(tmp_path, "swipe/2026-11-02/a.csv", "1")
    put(tmp_path, "swipe/2026-11-02/b.csv", "1")
    first = discover(FEED, tmp_path)
    assert discover(FEED, tmp_path) == first
    other_feed = discover(FEED.model_copy(update={"id": "shenzhen.tap"}), tmp_path)
    put(tmp_path, "swipe/2026-11-02/a.csv", "2")
    ids = [d.delivery_id for d in (*first, *other_feed, discover(FEED, tmp_path)[0])]
    assert len(set(ids)) == 5


class Events:
    """Stands in for the lake: a ledger that can be read without an engine."""

    def __init__(self, *events: Event) -> None:
        self._rows = [event.row(datetime(2026, 11, 3, tzinfo=UTC)) for event in events]

    def rows(self, table_id: str, columns: Sequence[str] = ()) -> pa.Table:
        if table_id == LEDGER and self._rows:
            return pa.Table.from_pylist(self._rows)
        return pa.table({name: pa.array([], pa.string()) for name in columns})


def delivery(name: str, day: int = 2, feed_id: str = FEED.id) -> Delivery:
    return Delivery(feed_id, "shenzhen", date(2026, 11, day), f"shenzhen/{name}.csv", f"sha-{name}", 3, f"id-{name}")


def event(name: str, code: str, version: str = FEED.version, **more: Any) -> Event:
    return Event(delivery(name, **more), code, version, counts={"read": 7})


def ledger(*events: Event) -> Ledger:
    feed: Feed = FEED
    return Ledger(Events(*events), feed)  # type: ignore[arg-type]


def test_delivery_is_unseen_until_it_was_landed_refused_or_known() -> None:
    known = ledger(event("landed", "landed"), event("rejected", "rejected"), event("same", "duplicate"))
    found = [delivery(name) for name in ("landed", "rejected", "same", "new")]
    assert known.unseen(found) == (delivery("new"),)


def test_rejected_delivery_is_unseen_again_when_the_contract_is_another_version() -> None:
    assert ledger(event("a", "rejected", version="0.9.0")).unseen([delivery("a")]) == (delivery("a"),)


def test_delivery_is_unclaimed_from_landed_to_accepted_or_stopped() -> None:
    known = ledger(
        event("late", "landed", day=3),
        event("stopped", "landed"),
        event("stopped", "stopped"),
        event("mended", "landed"),
        event("mended", "stopped", version="0.9.0"),
        event("done", "landed"),
        event("done", "accepted"),
        event("refused", "rejected"),
        event("other", "landed", feed_id="shenzhen.tap"),
    )
    assert known.unclaimed() == (delivery("mended"), delivery("late", day=3))
    assert known.read_counts() == {"id-late": 7, "id-stopped": 7, "id-mended": 7, "id-done": 7}
    assert known.landed_content()[date(2026, 11, 2), "sha-done"] == "shenzhen/done.csv"
    assert (date(2026, 11, 3), "sha-done") not in known.landed_content()


def counted(name: str, code: str, quarantined: int, **more: Any) -> Event:
    counts = {"read": 7, "accepted": 7 - quarantined, "deduplicated": 0, "quarantined": quarantined}
    return Event(delivery(name, **more), code, FEED.version, counts=counts)


def test_what_is_in_quarantine_is_known_from_the_last_replay() -> None:
    known = ledger(
        counted("late", "accepted", 2, day=3),
        counted("clean", "accepted", 0),
        counted("half", "accepted", 4),
        counted("half", "replayed", 1),
        counted("whole", "accepted", 4),
        counted("whole", "replayed", 0),
        counted("stopped", "stopped", 6),
        counted("restated", "accepted", 3),
        event("restated", "superseded"),
    )
    assert known.with_quarantine() == (delivery("half"), delivery("late", day=3))
    assert known.with_quarantine([date(2026, 11, 3)]) == (delivery("late", day=3),)
    assert known.quarantined_counts() == {"id-late": 2, "id-clean": 0, "id-half": 1, "id-whole": 0}
    assert known.unclaimed() == ()


def test_nothing_is_unclaimed_when_nothing_ever_landed() -> None:
    assert ledger().unclaimed() == ()


def test_accepted_ids_are_those_of_every_feed_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = [
        {"delivery_id": "a", "event_code": "accepted", "feed_id": "guiyang.enterprise", "quarantined_count": 0},
        {"delivery_id": "b", "event_code": "accepted", "feed_id": "shenzhen.swipe"},
        {"delivery_id": "c", "event_code": "landed", "feed_id": "shenzhen.swipe"},
        {"delivery_id": "d", "event_code": "accepted", "feed_id": "nanjing.social_security"},
        {"delivery_id": "b", "event_code": "replayed", "feed_id": "shenzhen.swipe", "quarantined_count": 2},
    ]
    for row in rows:
        row["recorded_at"] = datetime(2026, 11, 3)  # noqa: DTZ001 - as the ledger has it
        row.setdefault("quarantined_count", 3)
    lake = Lake(Home.find(), catalogue())
    monkeypatch.setattr(lake, "rows", lambda *_: pa.Table.from_pylist(rows))
    # A generator, as the fusions pass one: it can be gone through only once.
    assert accepted_ids(lake, (name for name in ("std.swipe", "std.organisation"))) == ("a", "b+2")
