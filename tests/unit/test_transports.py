"""Transports: what a source serves becomes files by day, once, whatever goes wrong on the way."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ronghe.contracts import ContractError, Feed, catalogue
from ronghe.contracts.catalogue import builtin_folder
from ronghe.contracts.source import Reader, Transport
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.ingest import http_pages, transports
from ronghe.ingest.connections import connection_url, declare
from ronghe.ingest.deliveries import discover
from ronghe.ingest.records import open_records
from ronghe.ingest.transports import SourceUnavailable, fetch
from ronghe.simulate import serve, simulate
from tests.ports import free_port

PAGES = Transport(kind="http_pages", connection="portal", path="/v1/x", day_column="published", page_size=3)
TABLE = Transport(kind="database", connection="portal", table="x", day_column="published")
Serve = Callable[[list[Any]], None]


def feed_of(transport: Transport) -> Feed:
    feed = catalogue().feed("shenzhen.swipe")
    own = {"id": "shenzhen.x", "name": "x", "landing": "x/{business_date}/*.jsonl", "reader": Reader(format="json")}
    return feed.model_copy(update={**own, "transport": transport})


def record(day: str | None, number: int, **more: Any) -> dict[str, Any]:
    return {"n": number, "published": day, **more}


def landed(home: Home) -> dict[str, list[Any]]:
    """The records in each landed file."""
    found = {d.path: home.landing / d.path for d in discover(feed_of(PAGES), home.landing)}
    assert [p.name for p in (home.landing / "shenzhen").iterdir() if p.name.startswith(".")] == []
    return {
        name.removeprefix("shenzhen/x/"): [json.loads(line)["n"] for line in path.read_text("utf-8").splitlines()]
        for name, path in found.items()
    }


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).make()


@pytest.fixture
def put(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return what sets the records that the simulated interface serves."""
    folder = home.upstream / "api"
    running = serve.server(folder, {"v1/x": PAGES}, 0)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", f"http://127.0.0.1:{running.server_port}/")

    def write(records: list[Any]) -> None:
        serve._records.cache_clear()
        (folder / "v1").mkdir(parents=True, exist_ok=True)
        (folder / "v1" / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")

    yield write
    running.shutdown()
    running.server_close()


# --- days and files


def test_records_become_one_file_a_day(home: Home, put: Serve) -> None:
    put(
        [
            record("2026-11-02", 1),
            record("2026-11-03T08:00:00+0800", 2),
            record("2026-11-02", 3),
            record("2026-11-03", 4),
        ]
    )
    assert fetch(feed_of(PAGES), home) == 2
    assert landed(home) == {"2026-11-02/x_20261102.jsonl": [1, 3], "2026-11-03/x_20261103.jsonl": [2, 4]}


FETCH = """
from ronghe.home import Home
from tests.unit.test_transports import PAGES, feed_of, fetch
fetch(feed_of(PAGES), Home.find())
"""


def test_fetch_that_was_killed_between_two_files_is_taken_up(home: Home, put: Serve) -> None:
    put([record(f"2026-11-0{day}", day) for day in (2, 3, 4)])
    environment = {**os.environ, "RONGHE_HOME": str(home.root), VARIABLE: "ingest:filed:2"}
    killed = subprocess.run([sys.executable, "-c", FETCH], cwd=builtin_folder(), env=environment, check=False)
    assert killed.returncode == -9
    assert len(list(home.landing.rglob("x_*.jsonl"))) == 2
    assert fetch(feed_of(PAGES), home) == 1
    assert landed(home) == {f"2026-11-0{day}/x_2026110{day}.jsonl": [day] for day in (2, 3, 4)}


def test_nothing_is_written_twice_and_a_day_that_grew_is_a_further_file(home: Home, put: Serve) -> None:
    first = [record("2026-11-02", 1), record("2026-11-02", 1), record("2026-11-03", 2)]
    put(first)
    assert fetch(feed_of(PAGES), home) == 2
    assert fetch(feed_of(PAGES), home) == 0
    put([*first, record("2026-11-03", 3), record("2026-11-04", 4), record("2026-11-03", 2)])
    assert fetch(feed_of(PAGES), home) == 2
    put([*first, record("2026-11-04", 5), record("2026-11-04", 4)])
    assert fetch(feed_of(PAGES), home) == 1
    assert landed(home) == {
        "2026-11-02/x_20261102.jsonl": [1, 1],
        "2026-11-03/x_20261103.jsonl": [2],
        "2026-11-03/x_20261103_2.jsonl": [3, 2],
        "2026-11-04/x_20261104.jsonl": [4],
        "2026-11-04/x_20261104_2.jsonl": [5],
    }


@pytest.mark.parametrize("day", [None, "", "soon", "02.11.2026", "2026-11-31", "20261102", 20261102, "2226-11-02"])
def test_a_record_without_a_day_to_believe_is_landed_once(home: Home, put: Serve, day: Any) -> None:
    undated, dated = record(day, 9), [record("2026-11-02", 1), record("2026-11-03", 2), record("2026-11-04", 3)]
    put([undated, *dated[:2]])
    assert fetch(feed_of(PAGES), home) == 2
    for more in (2, 3, 3):
        put([undated, *dated[:more]])
        fetch(feed_of(PAGES), home)
    assert landed(home) == {
        "2026-11-02/x_20261102.jsonl": [1],
        "2026-11-03/x_20261103.jsonl": [2, 9],
        "2026-11-04/x_20261104.jsonl": [3],
    }


def test_records_of_which_none_has_a_day_are_a_fault_of_the_contract(home: Home, put: Serve) -> None:
    put([record(None, 1)])
    with pytest.raises(ContractError, match="dayColumn"):
        fetch(feed_of(PAGES), home)
    assert landed(home) == {}


def test_no_records_are_no_files(home: Home, put: Serve) -> None:
    put([])
    assert fetch(feed_of(PAGES), home) == 0


def test_a_feed_that_is_delivered_is_not_fetched(home: Home) -> None:
    assert fetch(catalogue().feed("shenzhen.swipe"), home) == 0


def test_many_records_need_little_memory_at_a_time(home: Home, put: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "WAITING_CHARACTERS", 100)
    put([record(f"2026-11-{1 + n % 20:02}", n) for n in range(500)])
    assert fetch(feed_of(PAGES), home) == 20
    assert sorted(n for numbers in landed(home).values() for n in numbers) == list(range(500))


def test_what_was_cut_off_is_taken_up(home: Home, put: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    put([record("2026-11-02", 1), record("2026-11-03", 2)])
    publish = transports._publish

    def stop(feed: Feed, home: Home, day: date, *rest: Any) -> int:
        if day == date(2026, 11, 3):
            raise KeyboardInterrupt
        return publish(feed, home, day, *rest)

    monkeypatch.setattr(transports, "_publish", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch(feed_of(PAGES), home)
    assert list(landed(home)) == ["2026-11-02/x_20261102.jsonl"]
    monkeypatch.undo()


# --- pages


class Script:
    """A source that answers as it is told, in order, and notes what it was asked."""

    def __init__(self, *answers: tuple[int, bytes] | tuple[int, bytes, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script.asked.append(self.path)
                status, body, *headers = script.answers.pop(0)
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Script]]:
    monkeypatch.setattr(http_pages, "_wait", lambda state: 0)
    made: list[Script] = []

    def make(*answers: Any) -> Script:
        made.append(Script(*answers))
        address = f"http://user:s3cret@127.0.0.1:{made[-1].server.server_port}/base?key=k3y"
        monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", address)
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def page(*numbers: int, **more: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"data": [record("2026-11-02", n) for n in numbers], **more}).encode()


def failure(kind: type[Exception], home: Home, transport: Transport = PAGES) -> str:
    with pytest.raises(kind) as caught:
        fetch(feed_of(transport), home)
    said = str(caught.value)
    assert "shenzhen.x: connection 'portal'" in said
    assert not [word for word in ("s3cret", "user", "k3y", "127.0.0.1") if word in said]
    assert landed(home) == {}
    return said


def test_pages_are_asked_for_until_one_is_short(home: Home, script: Callable[..., Script]) -> None:
    source = script(page(1, 2, 3), page(4, 5, 6), page(7), page(7))
    fetch(feed_of(PAGES), home)
    assert source.asked == [f"/base/v1/x?key=k3y&page={n}&size=3" for n in (1, 2, 3)]
    assert landed(home) == {"2026-11-02/x_20261102.jsonl": [1, 2, 3, 4, 5, 6, 7]}
    fetch(feed_of(PAGES), home)
    assert source.asked[3:] == ["/base/v1/x?key=k3y&since=2026-11-02&page=1&size=3"]


def test_records_stay_as_they_were_sent(home: Home, script: Callable[..., Script]) -> None:
    sent = '{"n":1.10,"published":"2026-11-02","甲":{"b":[true,null,1e5]}}'
    script((200, f'\ufeff{{"total": 1, "data": [ {sent} ]}}'.encode()))
    fetch(feed_of(PAGES), home)
    assert next(home.landing.rglob("*.jsonl")).read_text("utf-8") == f"{sent}\n"


def test_a_page_is_asked_for_again_while_the_source_is_busy(home: Home, script: Callable[..., Script]) -> None:
    source = script((429, b"", {"Retry-After": "1"}), (503, b""), page(1, 2, 3), (500, b""), page(4))
    fetch(feed_of(PAGES), home)
    assert len(source.asked) == 5
    assert landed(home) == {"2026-11-02/x_20261102.jsonl": [1, 2, 3, 4]}


def test_a_source_that_stays_busy_or_is_not_there_is_unavailable(
    home: Home, script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = script(page(1, 2, 3), *[(503, b"")] * 9)
    assert "page 2 does not come (status 503" in failure(SourceUnavailable, home)
    assert len(source.asked) == 1 + http_pages.ATTEMPTS
    monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", "http://user:s3cret@127.0.0.1:1/")
    assert "ConnectError" in failure(SourceUnavailable, home)


@pytest.mark.parametrize(
    ("answers", "kind", "told"),
    [
        ([(200, b"<html>")], SourceUnavailable, "no JSON"),
        ([(200, b"\xff\xfe")], SourceUnavailable, "no JSON"),
        ([(403, b"")], ContractError, "answers 403"),
        ([(302, b"", {"Location": "/"})], ContractError, "answers 302"),
        ([(200, b'{"rows": []}')], ContractError, "page 1 has no array 'data'"),
        ([page(1, 2, 3), (200, b'{"data": null}')], ContractError, "page 2 has no array"),
        ([page(1, 2, 3), page(1, 2, 3)], ContractError, "page 2 is page 1 again"),
        ([page(1, 2, 3, total=7), page(4, 5, 6, total=6)], SourceUnavailable, "shrank from 7 to 6"),
        ([page(1, 2, total=7)], ContractError, "set `pageSize`"),
    ],
    ids=str,
)
def test_a_source_that_answers_wrongly_lands_nothing(
    home: Home, script: Callable[..., Script], answers: list[Any], kind: type[Exception], told: str
) -> None:
    script(*answers)
    assert told in failure(kind, home)


def test_pages_without_end_are_cut_off(
    home: Home, script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_pages, "PAGES", 3)
    script(*(page(n, n, n) for n in range(9)))
    assert "3 pages and no end" in failure(ContractError, home)
    monkeypatch.setattr(http_pages, "PAGE_BYTES", 20)
    script(page(1, 2, 3))
    assert "lower `pageSize`" in failure(ContractError, home)


# --- databases


@pytest.fixture
def table(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what writes a table, whose columns have the types given."""
    url = f"sqlite:///{home.root / 'x.sqlite'}"
    monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", url)

    def write(day: Any, *rows: dict[str, Any], **types: Any) -> None:
        engine = sa.create_engine(url)
        metadata = sa.MetaData()
        columns = [sa.Column(name, kind) for name, kind in {"published": day, **types}.items()]
        made = sa.Table("x", metadata, sa.Column("n", sa.Integer, primary_key=True), *columns)
        metadata.drop_all(engine)
        metadata.create_all(engine)
        with engine.begin() as connection:
            for row in rows:
                connection.execute(made.insert(), row)
        engine.dispose()

    return write


def numbers(home: Home) -> dict[str, list[Any]]:
    return {name: [int(n) for n in found] for name, found in landed(home).items()}


@pytest.mark.parametrize("kind", [sa.Date, sa.DateTime, sa.String])
def test_rows_become_one_file_a_day_and_only_new_ones_are_asked_for(
    home: Home, table: Callable[..., None], kind: Any
) -> None:
    def row(day: int | None, number: int) -> dict[str, Any]:
        at = datetime(2026, 11, day, 7) if day else None  # noqa: DTZ001 - as a database has it
        value = {sa.Date: at.date(), sa.DateTime: at, sa.String: str(at)}[kind] if at else None
        return {"n": number, "published": value}

    first = [row(3, 1), row(2, 2), row(3, 3), row(None, 4)]
    table(kind, *first)
    assert fetch(feed_of(TABLE), home) == 2
    assert numbers(home) == {"2026-11-02/x_20261102.jsonl": [2], "2026-11-03/x_20261103.jsonl": [1, 3, 4]}
    # What lies before the newest landed day is not asked for.
    table(kind, *first, row(2, 5), row(3, 6), row(4, 7))
    assert fetch(feed_of(TABLE), home) == 2
    assert numbers(home)["2026-11-03/x_20261103_2.jsonl"] == [6]
    assert numbers(home)["2026-11-04/x_20261104.jsonl"] == [7]
    assert len(numbers(home)) == 4


def test_values_have_one_spelling(home: Home, table: Callable[..., None]) -> None:
    at = datetime(2026, 11, 2, 8, 15, 30)  # noqa: DTZ001 - as a database has it
    row = {"n": 1, "published": at.date(), "a b": Decimal("1.10"), "c": True, "d": at, "e": 0.1, "f": None, "g": "甲"}
    types = {"a b": sa.Numeric(10, 2), "c": sa.Boolean, "d": sa.DateTime, "e": sa.Float, "f": sa.String, "g": sa.String}
    table(sa.Date, row, **types)
    fetch(feed_of(TABLE), home)
    assert json.loads(next(home.landing.rglob("*.jsonl")).read_text("utf-8")) == {
        "n": "1",
        "published": "2026-11-02",
        "a b": "1.10",
        "c": "true",
        "d": "2026-11-02T08:15:30",
        "e": "0.1",
        "f": None,
        "g": "甲",
    }


def test_a_database_that_is_wrong_says_so_without_its_address(
    home: Home, table: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    table(sa.String)
    assert "no table 'y'" in failure(ContractError, home, TABLE.model_copy(update={"table": "y"}))
    assert "no column 'z'" in failure(ContractError, home, TABLE.model_copy(update={"day_column": "z"}))
    for url, kind in [
        ("postgresql+psycopg://user:s3cret@127.0.0.1:1/x", SourceUnavailable),
        ("nothing://user:s3cret@127.0.0.1/x", ContractError),
        ("s3cret", ContractError),
    ]:
        monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", url)
        failure(kind, home, TABLE)


# --- connections


def test_connection_is_looked_up_in_the_environment_then_in_the_file(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContractError, match=r"RONGHE_CONNECTION_PORTAL.*connections\.yaml"):
        connection_url("portal", home)
    declare(home, {"portal": "http://a", "other": "http://b"})
    declare(home, {"portal": "http://c"})
    assert [connection_url(name, home) for name in ("portal", "other")] == ["http://c", "http://b"]
    monkeypatch.setenv("RONGHE_CONNECTION_PORTAL", "http://d")
    assert connection_url("portal", home) == "http://d"


def test_connections_are_read_by_their_owner_only(home: Home) -> None:
    declare(home, {"portal": "http://user:s3cret@a"})
    path = home.service / "connections.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ContractError, match="chmod 600"):
        connection_url("portal", home)
    path.chmod(0o600)
    for text in ("- s3cret", "portal: [s3cret]", "portal: 's3cret", "\x00"):
        path.write_text(text, "utf-8")
        with pytest.raises(ContractError, match="must map names") as caught:
            connection_url("portal", home)
        assert "s3cret" not in str(caught.value)


# --- the simulated interface


def test_simulated_interface_serves_pages_since_a_day(tmp_path: Path) -> None:
    records = [record(f"2026-11-0{n}", n) for n in range(1, 6)] + [record(None, 9)]
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")

    def asked(target: str) -> tuple[int, Any, Any]:
        found = serve.answer(tmp_path, target, {"v1/x": PAGES})
        return found.status, found.body.get("total"), [r["n"] for r in found.body.get("data", [])]

    assert asked("/v1/x?page=1&size=4") == (200, 6, [1, 2, 3, 4])
    assert asked("/v1/x?page=2&size=4") == (200, 6, [5, 9])
    assert asked("/v1/x?page=3&size=4") == (200, 6, [])
    assert asked("/v1/x?since=2026-11-04&size=10") == (200, 3, [4, 5, 9])
    assert asked("/v1/x?page=0") == asked("/v1/x?size=x") == (400, None, [])
    assert asked("/v1/y") == asked("/../v1/x") == (404, None, [])


def test_connections_lead_to_what_is_simulated_unless_a_person_says_otherwise(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface, database = serve.asked_transports("http_pages"), serve.asked_transports("database")
    assert interface
    assert database
    for transport in interface:
        path = home.upstream / "api" / f"{str(transport.path).strip('/')}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for transport in database:
        (home.upstream / f"{transport.connection}.sqlite").touch()
    declare(home, {interface[0].connection: "http://127.0.0.1:1", database[0].connection: "postgresql://own"})
    monkeypatch.setenv("RONGHE_SOURCES_PORT", "7000")
    serve.connect(home)
    assert connection_url(interface[0].connection, home) == "http://127.0.0.1:7000"
    assert connection_url(database[0].connection, home) == "postgresql://own"


def test_connections_of_a_home_that_was_moved_lead_into_the_new_place(home: Home) -> None:
    connection = serve.asked_transports("database")[0].connection
    home.upstream.mkdir(parents=True)
    (home.upstream / f"{connection}.sqlite").touch()
    declare(home, {connection: f"sqlite:////old/data/upstream/{connection}.sqlite"})
    serve.connect(home)
    assert connection_url(connection, home) == f"sqlite:///{home.upstream}/{connection}.sqlite"


def test_simulated_sources_start_and_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_SOURCES_PORT", str(free_port()))
    assert serve.up(home) is None
    (home.upstream / "api").mkdir(parents=True)
    try:
        started = serve.up(home)
        assert started == serve.up(home) == serve.state(home)
        assert serve.listening(serve.HOST, serve.port())
        monkeypatch.setattr(serve, "state", lambda _: None)
        monkeypatch.setattr(serve, "down", lambda _: False)
        with pytest.raises(serve.SourcesError, match="in use"):
            serve.up(home)
    finally:
        monkeypatch.undo()
        assert serve.down(home)
    assert not serve.down(home)


def test_what_is_fetched_from_the_simulated_sources_is_what_they_published(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Day by day, record by record in the order of the truth, for every feed with a transport."""
    simulate(home.landing, home.truth, scale=0.01, days=6)
    running = serve.server(home.upstream / "api", serve.by_path(), 0)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("RONGHE_SOURCES_PORT", str(running.server_port))
    serve.connect(home)
    truth = [json.loads(line) for line in (home.truth / "deliveries.jsonl").read_text("utf-8").splitlines()]
    try:
        for feed in (feed for feed in catalogue().feeds.values() if feed.transport):
            expected = {row["path"]: row["read"] for row in truth if row["feed"] == feed.id}
            assert fetch(feed, home) == len(expected) > 0
            assert {d.path: count(feed, home.landing / d.path) for d in discover(feed, home.landing)} == expected
            assert fetch(feed, home) == 0
    finally:
        running.shutdown()
        running.server_close()


def count(feed: Feed, path: Path) -> int:
    """Return how many records the feed's own reader finds, none of them broken."""
    batches = list(open_records(path, feed.reader, feed.column_names, feed.refuse))
    assert not any(defect for batch in batches for defect in batch["defect"].to_pylist())
    return sum(batch.num_rows for batch in batches)
