"""Files that come half, twice, changed, packed to harm, or as links: what is taken, what is not, and what is said."""

import gzip
import hashlib
import io
import stat
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.ingest import deliveries, landing, unpack, xml_records
from ronghe.ingest.deliveries import Delivery, Event, Ledger, discover
from ronghe.lake import Lake
from ronghe.ledger import LEDGER, accepted_events
from ronghe.release import files
from ronghe.release.package import release_extract
from tests.faults.teeth import goes_red
from tests.open_tables import PLACE, append, record, small_extract, write, write_livelihood
from tests.samples.build import file_of

pytestmark = [pytest.mark.faults, pytest.mark.smoke]

FEED = catalogue().feed("shenzhen.swipe")
TIMETABLE = next(f for f in catalogue().feeds.values() if f.reader.format == "csv" and f.reader.member)
MARKUP = next(f for f in catalogue().feeds.values() if f.reader.format == "xml" and not f.reader.member)
DAY = date(2026, 11, 2)
CANARY = "canary-4711"


def rows(*cards: str) -> bytes:
    return file_of(FEED, [{"卡号": card, "结算日期": "20261102"} for card in cards])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    path.write_text(CANARY)
    return path


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.3)


def put(home: Home, name: str, content: bytes, feed: Any = FEED) -> Path:
    pattern = feed.landing.replace("{business_date}", DAY.isoformat())
    path = home.landing / feed.source_code / pattern.replace("*", name, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def name_of(delivery: Delivery) -> str:
    return Path(delivery.path).name.partition(".")[0]


def taken(home: Home) -> list[str]:
    return [name_of(delivery) for delivery in discover(FEED, home.landing)]


def land(home: Home, feed: Any = FEED) -> dict[str, Event]:
    """Stage what is new, say so in the ledger, and return the events by the files' names."""
    ledger = Ledger(Lake(home, catalogue()), feed)
    new = ledger.unseen(discover(feed, home.landing))
    folder = home.staging(feed.id)
    staged = landing.stage(feed, new, home.landing, folder, ledger.landed_content(), ledger.newest())
    tell(home, *staged.events)
    return {name_of(event.delivery): event for event in staged.events}


def tell(home: Home, *events: Event) -> None:
    """Write events as the engine does, each call a second after the one before."""
    lake = Lake(home, catalogue())
    at = datetime(2026, 11, 3, tzinfo=UTC).replace(second=lake.rows(LEDGER).num_rows)
    if events:
        (append if lake.exists(LEDGER) else write)(home, LEDGER, [event.row(at) for event in events])


# 12: a file is still being written when it is seen -----------------------------------------------------------------


@pytest.fixture
def writer(home: Home) -> Iterator[Callable[[], None]]:
    """A source that writes a file line by line; returns what waits for its end."""
    path, go_on = put(home, "growing", rows("A")), threading.Event()

    def write_on() -> None:
        while not go_on.wait(0.02):
            with path.open("ab") as file:
                file.write(rows("B").splitlines(keepends=True)[1])

    thread = threading.Thread(target=write_on)
    thread.start()

    def end() -> None:
        go_on.set()
        thread.join()

    yield end
    end()


def check_growing_file_is_left(home: Home) -> None:
    put(home, "whole", rows("C"))
    assert taken(home) == ["whole"]


def test_file_that_grows_is_left_until_it_is_whole(home: Home, writer: Callable[[], None]) -> None:
    check_growing_file_is_left(home)
    writer()
    assert taken(home) == ["growing", "whole"]


def test_file_that_grows_would_be_taken_without_the_second_look(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "growing", rows("A"))
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.0)
    with goes_red():
        check_growing_file_is_left(home)


def check_file_that_changes_while_it_is_read_waits(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = put(home, "a", rows("A")), landing.open_records

    def changes(*arguments: Any) -> Any:
        with path.open("ab") as file:
            file.write(b"B")
        return opened(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(landing, "open_records", changes)
        assert land(home) == {}
    assert list(home.staging(FEED.id).glob("*.parquet")) == []
    assert land(home)["a"].event_code == "landed"


def test_file_that_changes_while_it_is_read_waits(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    check_file_that_changes_while_it_is_read_waits(home, monkeypatch)


def test_what_changed_would_be_landed_without_a_look_behind(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_is_as_found", lambda *_: True)
    with goes_red():
        check_file_that_changes_while_it_is_read_waits(home, monkeypatch)


# 13: a packed file is cut ------------------------------------------------------------------------------------------


def check_cut_file_is_rejected_alone(home: Home) -> None:
    cut = gzip.compress(rows("A", "B"))[:-9]
    put(home, "cut", cut)
    put(home, "whole", gzip.compress(rows("C")))
    events = land(home)
    assert {name: event.event_code for name, event in events.items()} == {"cut": "rejected", "whole": "landed"}
    assert events["cut"].delivery.content_sha256 == hashlib.sha256(cut).hexdigest()
    assert "ask the source to send it again" in str(events["cut"].reason)


def test_cut_gzip_is_rejected_with_its_hash_and_the_others_go_on(home: Home) -> None:
    check_cut_file_is_rejected_alone(home)


def test_cut_gzip_would_stop_all_without_the_guard(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_DAMAGED", ())
    with pytest.raises(EOFError):
        check_cut_file_is_rejected_alone(home)


def test_cut_zip_is_rejected_with_its_hash(home: Home) -> None:
    whole = zipped({str(TIMETABLE.reader.member): "x" * 5000})
    put(home, "cut", whole[: len(whole) // 2], TIMETABLE)
    [event] = land(home, TIMETABLE).values()
    assert (event.event_code, str(event.reason)[:7]) == ("rejected", "not_zip")
    assert event.delivery.content_sha256 == hashlib.sha256(whole[: len(whole) // 2]).hexdigest()


# 14: the same file, other content, another name --------------------------------------------------------------------


def check_same_file_is_nothing_new(home: Home) -> None:
    assert land(home)["a"].event_code == "landed"
    put(home, "a", rows("A"))
    assert land(home) == {}


def test_same_file_twice_is_nothing_new(home: Home) -> None:
    put(home, "a", rows("A"))
    check_same_file_is_nothing_new(home)


def test_same_file_would_be_landed_twice_without_the_ledger(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "a", rows("A"))
    monkeypatch.setattr(Ledger, "unseen", lambda _, seen: tuple(seen))
    with goes_red():
        check_same_file_is_nothing_new(home)


def check_other_content_restates(home: Home) -> None:
    put(home, "a", rows("A"))
    first = land(home)["a"].delivery
    tell(home, Event(first, "accepted", FEED.version))
    put(home, "a", rows("A", "B"))
    second = land(home)["a"]
    assert (second.event_code, second.reason) == ("landed", f"restates delivery {first.delivery_id} of the same name")
    ledger = Ledger(Lake(home, catalogue()), FEED)
    assert ledger.unclaimed() == (second.delivery,)
    assert ledger.restated([second.delivery]) == (first,)
    tell(home, Event(second.delivery, "accepted", FEED.version), Event(first, "superseded", FEED.version))
    accepted = accepted_events(Lake(home, catalogue()))
    assert [row["delivery_id"] for row in accepted] == [second.delivery.delivery_id]
    # The source takes its correction back.
    put(home, "a", rows("A"))
    back = land(home)["a"]
    assert back.delivery == first
    assert f"restates delivery {second.delivery.delivery_id}" in str(back.reason)
    assert ledger.unclaimed() == (first,)
    assert ledger.restated([first]) == (second.delivery,)


def test_other_content_under_the_same_name_restates(home: Home) -> None:
    check_other_content_restates(home)


def test_restatement_would_go_unsaid_without_the_look_at_names(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "newest", lambda _: {})
    with goes_red():
        check_other_content_restates(home)


def check_same_content_is_noted_not_loaded(home: Home) -> None:
    put(home, "a", rows("A"))
    put(home, "b", rows("A"))
    first = land(home)
    put(home, "c", rows("A"))
    events = first | land(home)
    assert {name: event.event_code for name, event in events.items()} == {
        "a": "landed",
        "b": "duplicate",
        "c": "duplicate",
    }
    assert "same content as shenzhen/swipe/2026-11-02/a.csv" in str(events["c"].reason)


def test_same_content_under_another_name_is_noted_and_not_loaded(home: Home) -> None:
    check_same_content_is_noted_not_loaded(home)


def test_same_content_would_be_loaded_without_the_look_at_content(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "landed_content", lambda _: {})
    with goes_red():
        check_same_content_is_noted_not_loaded(home)


# 20: files made to harm --------------------------------------------------------------------------------------------


def zipped(members: Mapping[str, str], link: str | None = None) -> bytes:
    """Return an archive; the member of the name `link` is a symbolic link to its content."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if name == link else 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def check_archive_is_refused(home: Home, content: bytes) -> None:
    put(home, "a", content, TIMETABLE)
    [event] = land(home, TIMETABLE).values()
    assert str(event.reason).startswith("unsafe_archive: "), event.reason
    assert event.event_code == "rejected"
    assert not list(home.root.rglob("escaped*"))


MEMBER = str(TIMETABLE.reader.member)
HOSTILE = {
    "up": zipped({MEMBER: "x", "../../escaped": "x"}),
    "absolute": zipped({MEMBER: "x", "/tmp/escaped": "x"}),
    "windows": zipped({MEMBER: "x", "..\\escaped": "x"}),
    "drive": zipped({MEMBER: "x", "C:escaped": "x"}),
    "link": zipped({MEMBER: "/etc/passwd"}, link=MEMBER),
    "link beside": zipped({MEMBER: "x", "escaped": "/etc/passwd"}, link="escaped"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_archive_that_leads_out_is_refused(kind: str, home: Home) -> None:
    check_archive_is_refused(home, HOSTILE[kind])


@pytest.mark.parametrize("kind", HOSTILE)
def test_archive_would_be_opened_without_the_guard(kind: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_refuse_unsafe", lambda *_, **__: None)
    with goes_red():
        check_archive_is_refused(home, HOSTILE[kind])


def check_bomb_is_refused(home: Home) -> None:
    put(home, "bomb", gzip.compress(bytes(80 << 20)))
    tracemalloc.start()
    [event] = land(home).values()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(event.reason).startswith("too_large: "), event.reason
    assert peak < 16 << 20
    assert list(home.staging(FEED.id).iterdir()) == []


def test_bomb_is_refused_in_bounded_memory_and_leaves_nothing(home: Home) -> None:
    check_bomb_is_refused(home)


def test_bomb_would_unpack_without_the_limit(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "RATIO", 2000)
    with goes_red():
        check_bomb_is_refused(home)


def test_tar_is_never_unpacked(home: Home, canary: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("../../../escaped", "/tmp/escaped", "ordinary"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("escaped-link")
        link.type, link.linkname = tarfile.SYMTYPE, str(canary)
        archive.addfile(link)
    put(home, "a", out.getvalue())
    [event] = land(home).values()
    assert (event.event_code, CANARY in str(event)) == ("rejected", False)
    assert list(home.root.rglob("*escaped*")) == []


def entity(system: str) -> bytes:
    """Return a delivery whose first cell is an entity."""
    [tag, name] = [MARKUP.reader.record_tag, MARKUP.column_names[0]]
    text = f"<!DOCTYPE r [<!ENTITY e {system}>]>\n<r><{tag}><{name}>&e;</{name}></{tag}></r>"
    return text.encode(MARKUP.reader.encoding)


def check_entities_are_refused(home: Home, content: bytes) -> None:
    put(home, "a", content, MARKUP)
    [event] = land(home, MARKUP).values()
    said = str([pq.read_table(path).to_pylist() for path in home.staging(MARKUP.id).glob("*.parquet")])
    assert CANARY not in f"{said} {event}"
    assert str(event.reason).startswith("entity_or_dtd: "), event.reason


def test_entity_is_refused_and_no_other_file_is_read(home: Home, canary: Path) -> None:
    check_entities_are_refused(home, entity(f'SYSTEM "{canary.as_uri()}"'))
    check_entities_are_refused(home, entity(f'"{CANARY}"'))


def test_entity_would_be_expanded_without_the_guard(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_records, "_take_prolog", lambda _, text: (text, "r"))
    with goes_red():
        check_entities_are_refused(home, entity(f'"{CANARY}"'))


def check_link_is_no_delivery(home: Home, canary: Path) -> None:
    put(home, "a", rows("A")).with_name("b.csv").symlink_to(canary)
    assert taken(home) == ["a"]


def test_link_in_the_landing_zone_is_no_delivery(home: Home, canary: Path) -> None:
    check_link_is_no_delivery(home, canary)


def test_link_would_be_followed_without_the_guard(home: Home, canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with goes_red():
        check_link_is_no_delivery(home, canary)


def check_no_cell_is_a_formula(home: Home) -> None:
    write_livelihood(home)
    write(home, "safe.place", [{**PLACE, "place_name": '=HYPERLINK("http://x")'}])
    release_extract(Lake(home, catalogue()), small_extract("livelihood"), record)
    [file] = home.releases.rglob("safe.place.csv")
    assert "'=HYPERLINK" in file.read_text("utf-8")


@pytest.mark.parametrize("guarded", [True, False])
def test_formula_of_a_source_is_text_in_an_extract(guarded: bool, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    if guarded:
        check_no_cell_is_a_formula(home)
        return
    monkeypatch.setattr(files, "PREFIXED", "'")
    with goes_red():
        check_no_cell_is_a_formula(home)
