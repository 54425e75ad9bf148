"""Figures for Prometheus, as text files that its node exporter collects (`--collector.textfile.directory`).

    ronghe.prom                   feeds, tables, releases; written at the beginning and the end of the night
    ronghe_job_<job>.prom         the last run of a job

Names, labels and meanings stand in docs/monitoring.md. An age is `time() - ..._seconds`, so that it grows while nothing
runs.
"""

import re
from calendar import timegm
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.monitoring.freshness import feed_states
from ronghe.remedies import TableDamaged

_RELEASES = "meta.release"


def write_metrics(home: Home, lake: Lake) -> Path:
    """Write the figures of feeds, tables and releases; return the file."""
    registry = CollectorRegistry()
    _feeds(lake, registry)
    _tables(lake, registry)
    _releases(lake, registry)
    return _write(home, "ronghe", registry)


def write_job_metrics(home: Home, job: str, feed_id: str | None, seconds: float, ended_at: float, ok: bool) -> Path:
    """Write the figures of one job's run; every job has its own file, so jobs do not wait for each other."""
    registry = CollectorRegistry()
    labels = {"job": job, "feed": feed_id or ""}
    for name, what, value in (
        ("ronghe_job_seconds", "How long the last run took", seconds),
        ("ronghe_job_ok", "Whether the last run ended well", float(ok)),
        ("ronghe_job_end_time_seconds", "When the last run ended", ended_at),
    ):
        Gauge(name, what, tuple(labels), registry=registry).labels(**labels).set(value)
    return _write(home, f"ronghe_job_{re.sub(r'[^a-z0-9]+', '_', f'{job} {feed_id}' if feed_id else job)}", registry)


def _write(home: Home, name: str, registry: CollectorRegistry) -> Path:
    home.metrics.mkdir(parents=True, exist_ok=True)
    path = home.metrics / f"{name}.prom"
    write_to_textfile(str(path), registry)
    return path


def _feeds(lake: Lake, registry: CollectorRegistry) -> None:
    records = Gauge("ronghe_feed_records", "Records of accepted deliveries", ("feed", "fate"), registry=registry)
    deliveries = Gauge("ronghe_feed_deliveries", "Deliveries accepted", ("feed",), registry=registry)
    newest = Gauge("ronghe_feed_newest_day_seconds", "Newest accepted business day", ("feed",), registry=registry)
    late = Gauge("ronghe_feed_late_days", "Days a delivery is overdue", ("feed",), registry=registry)
    for state in feed_states(lake):
        records.labels(state.feed_id, "accepted").set(state.record_count)
        records.labels(state.feed_id, "quarantined").set(state.quarantined_count)
        deliveries.labels(state.feed_id).set(state.delivery_count)
        if state.newest_business_date is not None and state.late_days is not None:
            newest.labels(state.feed_id).set(timegm(state.newest_business_date.timetuple()))
            late.labels(state.feed_id).set(state.late_days)


def _tables(lake: Lake, registry: CollectorRegistry) -> None:
    rows = Gauge("ronghe_table_rows", "Rows of a table", ("table",), registry=registry)
    versions = Gauge("ronghe_table_version", "Newest version of a table", ("table",), registry=registry)
    for name in lake.catalogue.tables:
        # Whoever reads a damaged table says so; it has no figures here.
        with suppress(TableDamaged):
            if lake.exists(name):
                count, version = lake.size(name)
                rows.labels(name).set(count)
                versions.labels(name).set(version)


def _releases(lake: Lake, registry: CollectorRegistry) -> None:
    number = Gauge("ronghe_release_number", "Release that is up", ("extract",), registry=registry)
    at = Gauge("ronghe_release_time_seconds", "When the release went up", ("extract",), registry=registry)
    for row in sorted(
        lake.rows(_RELEASES, ["extract_id", "release_number", "recorded_at"]).to_pylist(),
        key=lambda row: int(row["release_number"]),
    ):
        number.labels(row["extract_id"]).set(row["release_number"])
        at.labels(row["extract_id"]).set(row["recorded_at"].timestamp())
