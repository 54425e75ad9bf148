"""Monitoring: which feed is late on which night, who is told, and what Prometheus reads."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from prometheus_client.parser import text_string_to_metric_families

from jobs import record_inputs as job
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.catalogue import builtin_folder
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake
from ronghe.monitoring import freshness
from ronghe.monitoring.freshness import days_late, feed_states
from ronghe.monitoring.metrics import write_job_metrics, write_metrics
from ronghe.monitoring.notify import Event, notify
from ronghe.release.files import arrow_schema
from tests.open_tables import record, write_livelihood

NIGHT = date(2026, 11, 22)
SECRET = "token-not-to-be-told"
EVENT = Event("late_source", "a.feed", "1 day late", "late-source")


class DeltaLake(Lake):
    """A lake whose writes go through delta-rs."""

    @property
    def spark(self) -> Any:
        return SimpleNamespace(createDataFrame=lambda rows, ddl: rows)

    def append(self, table_id: str, frame: Any, fingerprint: str) -> bool:
        schema = arrow_schema(self.catalogue.table(table_id).columns)
        rows = [{**row, "recorded_at": row["recorded_at"].replace(tzinfo=UTC)} for row in frame]
        write_deltalake(self.path(table_id), pa.Table.from_pylist(rows, schema), mode="append")
        return True


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeltaLake:
    monkeypatch.delenv("RONGHE_WEBHOOK_URL", raising=False)
    return DeltaLake(Home(tmp_path).make(), catalogue())


def feeds() -> list[str]:
    return list(catalogue().feeds)


def deliver(lake: Lake, feed_id: str, day: date, event: str = "accepted", **counts: Any) -> None:
    """Add an event to the ledger."""
    row = {
        "delivery_id": f"{feed_id} {day}",
        "event_code": event,
        "feed_id": feed_id,
        "source_code": feed_id.partition(".")[0],
        "business_date": day,
        "path": "p",
        "content_sha256": "h",
        "byte_count": 1,
        "contract_version": "1.0.0",
        "recorded_at": datetime(2026, 11, 23, tzinfo=UTC),
        "accepted_count": 10,
        "quarantined_count": 1,
        **counts,
    }
    schema = arrow_schema(lake.catalogue.table("meta.delivery").columns)
    write_deltalake(lake.path("meta.delivery"), pa.Table.from_pylist([row], schema), mode="append")


def context(lake: Lake) -> JobContext:
    return JobContext(lake.home, lake.catalogue, lake.spark, lake)


# Late --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind", "frequency", "late"),
    [(0, 1, 0), (1, 1, 1), (3, 1, 3), (0, 7, 0), (6, 7, 0), (7, 7, 1), (9, 7, 3), (31, 31, 1)],
)
def test_delivery_is_late_from_the_day_it_is_due(behind: int, frequency: int, late: int) -> None:
    assert days_late(NIGHT, NIGHT - timedelta(behind), frequency) == late


def test_night_is_the_newest_accepted_day_of_any_feed(lake: DeltaLake) -> None:
    first, second, *others = feeds()
    deliver(lake, first, NIGHT)
    deliver(lake, first, NIGHT + timedelta(5), "landed")
    deliver(lake, second, NIGHT - timedelta(2))
    deliver(lake, second, NIGHT, "stopped")
    states = {state.feed_id: state for state in feed_states(lake)}
    assert {state.night_date for state in states.values()} == {NIGHT}
    assert (states[first].late_days, states[first].is_late) == (0, False)
    frequency = catalogue().feed(second).frequency_days
    assert states[second].late_days == days_late(NIGHT, NIGHT - timedelta(2), frequency)
    assert all(states[feed].is_late and states[feed].late_days is None for feed in others)


def test_a_folder_named_after_a_day_to_come_makes_no_feed_late(lake: DeltaLake) -> None:
    first, second, *_ = feeds()
    deliver(lake, first, NIGHT)
    deliver(lake, second, date(2062, 11, 23))
    states = {state.feed_id: state for state in feed_states(lake)}
    assert states[first].late_days == 0
    assert {state.night_date for state in states.values()} == {NIGHT}


def test_replayed_delivery_counts_as_its_last_replay_left_it(lake: DeltaLake) -> None:
    first, *_ = feeds()
    for hour, event, accepted, quarantined in ((3, "replayed", 14, 1), (1, "accepted", 10, 5), (2, "replayed", 12, 3)):
        at = datetime(2026, 11, 23, hour, tzinfo=UTC)
        counts = {"accepted_count": accepted, "quarantined_count": quarantined}
        deliver(lake, first, NIGHT, event, **counts, recorded_at=at)
    [state] = [state for state in feed_states(lake) if state.feed_id == first]
    assert (state.delivery_count, state.record_count, state.quarantined_count) == (1, 14, 1)


def test_nothing_is_late_before_anything_was_accepted(lake: DeltaLake) -> None:
    assert feed_states(lake) == []
    assert job.run(context(lake)) == 0


def rows_of(lake: Lake) -> dict[tuple[str, str, int], bool]:
    found = lake.rows(freshness.TABLE).to_pylist()
    return {(str(r["night_date"]), r["feed_id"], r["delivery_count"]): r["is_late"] for r in found}


def test_night_records_its_inputs_once_and_the_late_one_when_it_came(
    lake: DeltaLake, caplog: pytest.LogCaptureFixture
) -> None:
    on_time, late, *_ = (f for f in feeds() if catalogue().feed(f).frequency_days == 1)
    for feed in feeds():
        deliver(lake, feed, NIGHT - timedelta(1))
    deliver(lake, on_time, NIGHT)
    assert job.run(context(lake)) == len(feeds())
    assert rows_of(lake)["2026-11-22", on_time, 2] is False
    assert rows_of(lake)["2026-11-22", late, 1] is True
    told = [r.getMessage() for r in caplog.records if "late_source" in r.getMessage()]
    assert any(late in text and "1 day late" in text and "docs/runbooks/late-source.md" in text for text in told)
    assert not any(on_time in text for text in told)

    caplog.clear()
    assert job.run(context(lake)) == 0
    assert caplog.text == ""

    deliver(lake, late, NIGHT)
    assert job.run(context(lake)) == 1
    assert rows_of(lake)["2026-11-22", late, 2] is False
    assert "late_source" not in caplog.text


# Told --------------------------------------------------------------------------------------------------------------


class Webhook(HTTPServer):
    status = 200

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("RONGHE_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook?key={SECRET}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook_is_sent_the_event_and_its_address_is_in_no_log(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert notify(EVENT)
    assert SECRET not in caplog.text
    assert webhook.bodies == [
        {"kind": "late_source", "subject": "a.feed", "text": "1 day late", "runbook": "docs/runbooks/late-source.md"}
    ]


@pytest.mark.parametrize("status", [404, 500])
def test_webhook_that_refuses_stops_nothing(status: int, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    webhook.status = status
    assert not notify(EVENT)
    assert f"answered {status}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", [f"http://127.0.0.1:1/{SECRET}", f"not a url {SECRET}", f"ftp://x/{SECRET}"])
def test_webhook_that_is_not_there_stops_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("RONGHE_WEBHOOK_URL", url)
    assert not notify(EVENT)
    assert "was not reached" in caplog.text
    assert SECRET not in caplog.text


def test_log_is_told_without_a_webhook(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RONGHE_WEBHOOK_URL", raising=False)
    assert notify(EVENT)
    assert "late_source: a.feed: 1 day late (docs/runbooks/late-source.md)" in caplog.text


# Measured ----------------------------------------------------------------------------------------------------------


def samples(path: Path) -> dict[tuple[str, ...], float]:
    """Every sample of a file by its name and the values of its labels."""
    # Labels come in the order of their names.
    families = text_string_to_metric_families(path.read_text("utf-8"))
    return {
        (s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for family in families for s in family.samples
    }


def test_metrics_tell_feeds_tables_and_releases(lake: DeltaLake) -> None:
    feed = feeds()[0]
    deliver(lake, feed, NIGHT, accepted_count=90, quarantined_count=7)
    write_livelihood(lake.home)
    at = datetime(2026, 11, 23, 5, tzinfo=UTC)
    for number in (2, 1):
        row = {"extract_id": "livelihood", "release_number": number, "release_id": "r", "basis": "b", "manifest": "{}"}
        record(lake, {**row, "row_count": 1, "byte_count": 1, "recorded_at": at + timedelta(hours=number)})
    found = samples(write_metrics(lake.home, lake))
    assert found["ronghe_feed_records", "accepted", feed] == 90
    assert found["ronghe_feed_records", "quarantined", feed] == 7
    assert found["ronghe_feed_late_days", feed] == 0
    assert found["ronghe_feed_newest_day_seconds", feed] == datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    assert found["ronghe_table_rows", "mart.passenger_flow"] == 2
    assert found["ronghe_table_version", "mart.passenger_flow"] == 0
    assert found["ronghe_release_number", "livelihood"] == 2
    assert found["ronghe_release_time_seconds", "livelihood"] == (at + timedelta(hours=2)).timestamp()


def test_every_metric_is_documented(lake: DeltaLake) -> None:
    page = (builtin_folder() / "docs" / "monitoring.md").read_text("utf-8")
    deliver(lake, feeds()[0], NIGHT)
    own = write_job_metrics(lake.home, "land_deliveries", feeds()[0], 1.5, 1.0, True)
    for name, *_ in [*samples(write_metrics(lake.home, lake)), *samples(own)]:
        assert f"`{name}`" in page


def test_each_job_has_a_file_of_its_own(lake: DeltaLake) -> None:
    feed = feeds()[0]
    first = write_job_metrics(lake.home, "ingest_deliveries", feed, 12.5, 100.0, True)
    second = write_job_metrics(lake.home, "fuse_places", None, 1.0, 200.0, False)
    assert first != second
    assert samples(first)["ronghe_job_seconds", feed, "ingest_deliveries"] == 12.5
    assert samples(second)["ronghe_job_ok", "", "fuse_places"] == 0


def test_declared_frequencies_are_known() -> None:
    found: Catalogue = catalogue()
    assert sum(feed.frequency_days == 1 for feed in found.feeds.values()) >= 2
