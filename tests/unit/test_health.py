"""`ronghe status`: what a person and a machine read of a home in which things went wrong; no engine, no Airflow."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from ronghe.cli import app, health
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.release.package import release_extract
from tests.open_tables import COMPANY, TRADER, append, record, write

SECONDS = count()  # events come one after the other
NIGHT, DAY_BEFORE = date(2026, 11, 22), date(2026, 11, 21)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    return Home(tmp_path).make()


@pytest.fixture
def feeds() -> list[str]:
    """Feeds that are due every day."""
    return [feed.id for feed in catalogue().feeds.values() if feed.frequency_days == 1]


def event(feed_id: str, day: date, code: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "delivery_id": f"{path} {more.get('content_sha256', 'h')}",
        "event_code": code,
        "feed_id": feed_id,
        "source_code": feed_id.partition(".")[0],
        "business_date": day,
        "path": path,
        "content_sha256": "h",
        "byte_count": 1,
        "contract_version": "1.0.0",
        "recorded_at": datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=next(SECONDS)),
        "accepted_count": 1000,
        "quarantined_count": 0,
        **more,
    }


def test_a_damaged_table_is_named_beside_everything_else(home: Home) -> None:
    lake = Lake(home, catalogue())
    log = Path(lake.path("std.place"), "_delta_log", f"{0:020}.json")
    log.parent.mkdir(parents=True)
    log.write_text("{", "utf-8")
    said = CliRunner().invoke(app, ["status"])
    assert said.exit_code == 0
    assert "std.place cannot be opened: ronghe doctor, docs/runbooks/damaged-table.md" in said.output
    assert "Releases" in said.output


def quarantine(home: Home, feed_id: str, reason: str) -> None:
    """Put two records of a feed into quarantine."""
    row = {"delivery_id": "a", "feed_id": feed_id, "reasons": reason, "record": "{}"}
    rows = pa.Table.from_pylist([{**row, "record_number": number} for number in (1, 2)])
    write_deltalake(Lake(home, catalogue()).path("meta.quarantine"), rows)


def status() -> dict[str, Any]:
    result = CliRunner().invoke(app, ["status", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def text() -> str:
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_empty_home_says_what_comes_first() -> None:
    found = status()
    assert found["to_do"][:2] == ["engine is down: ronghe up", "airflow is down: ronghe up"]
    assert any("nothing accepted yet of" in line for line in found["to_do"])
    assert found["feeds"]
    assert found["quarantine"] == found["held_back"] == []


def test_late_feed_is_told_with_its_runbook(home: Home, feeds: list[str]) -> None:
    on_time, late = feeds[:2]
    rows = [event(on_time, NIGHT, "accepted", "a"), event(late, DAY_BEFORE, "accepted", "b")]
    append(home, "meta.delivery", rows)
    found = {feed["feed"]: feed for feed in status()["feeds"]}
    assert (found[late]["is_late"], found[late]["late_days"]) == (True, 1)
    assert (found[on_time]["is_late"], found[on_time]["late_days"]) == (False, 0)
    assert f"{late} is late by 1 day: docs/runbooks/late-source.md" in text()
    assert f"{on_time} is late" not in text()


def test_held_back_delivery_is_told_until_its_file_is_corrected(home: Home, feeds: list[str]) -> None:
    feed = feeds[0]
    reason = "quarantined records: 30 of 60 records, more than 20 %"
    append(
        home, "meta.delivery", [event(feed, NIGHT, "landed", "a"), event(feed, NIGHT, "stopped", "a", reason=reason)]
    )
    append(home, "meta.delivery", [event(feed, NIGHT, "rejected", "z", reason="no text in GB18030")])
    assert {(h["event"], h["path"], h["reason"]) for h in status()["held_back"]} == {
        ("stopped", "a", reason),
        ("rejected", "z", "no text in GB18030"),
    }
    assert f"stopped: a: {reason}" in text()
    assert "deliveries held back: 2: docs/runbooks/stopped-delivery.md" in text()
    append(home, "meta.delivery", [event(feed, NIGHT, "accepted", "a", content_sha256="new")])
    assert [h["path"] for h in status()["held_back"]] == ["z"]


def test_quarantine_is_told_by_reason_with_advice(home: Home, feeds: list[str]) -> None:
    append(home, "meta.delivery", [event(feeds[0], NIGHT, "accepted", "a", quarantined_count=2)])
    quarantine(home, feeds[0], "check:uscc")
    [reason] = status()["quarantine"]
    assert (reason["reason"], reason["count"], reason["advice"]) == ("check:uscc", 2, health.ADVICE["check"])
    assert "records in quarantine: 2: ronghe quarantine, docs/runbooks/quarantine.md" in text()


def test_release_is_current_until_its_tables_change(home: Home) -> None:
    lake, extract = Lake(home, catalogue()), catalogue().extract("organisations")
    assert "organisations waits for safe.organisation: ronghe run" in text()
    write(home, "safe.organisation", [COMPANY])
    assert "organisations is older than its tables" in text()
    release_id = release_extract(lake, extract, record)
    [found] = [r for r in status()["releases"] if r["extract"] == "organisations"]
    assert (found["release_number"], found["release_id"], found["is_current"]) == (1, release_id, True)
    assert str(release_id)[:12] in text()
    assert "organisations" not in " ".join(status()["to_do"])
    write(home, "safe.organisation", [COMPANY, TRADER])
    assert "organisations is older than its tables" in text()


def test_failed_run_is_told_with_its_runbook(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = (
        health.Run("fuse", "failed", "2026-11-22T01:02:03Z", 61.4),
        health.Run("maintain_lake", "success", "2026-11-22T03:00:00Z", 5),
    )
    monkeypatch.setattr(health, "_runs", lambda home: runs)
    monkeypatch.setattr(health.service, "state", lambda home: SimpleNamespace(port=8080))
    assert [run["state"] for run in status()["runs"]] == ["failed", "success"]
    said = text()
    assert "fuse failed: docs/runbooks/failed-task.md" in said
    assert "2026-11-22 01:02" in said
    assert "maintain_lake failed" not in said


def test_status_fits_a_hundred_columns(home: Home, feeds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    rows = [
        event(f, NIGHT, "accepted", f, accepted_count=9_999_999, quarantined_count=99_999) for f in catalogue().feeds
    ]
    append(home, "meta.delivery", rows)
    longest = max(catalogue().feeds, key=len)
    quarantine(home, longest, "required:legal_representative_name")
    write(home, "safe.organisation", [COMPANY])
    release_extract(Lake(home, catalogue()), catalogue().extract("organisations"), record)
    assert "required:legal_representative_name" in text()
    lines = text().splitlines()
    assert [line.rstrip() for line in lines if len(line.rstrip()) > 100 and not line.startswith("home")] == []
