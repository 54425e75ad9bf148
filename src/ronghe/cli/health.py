"""How the platform stands: what ran, what is late, what is held back and why, what was released, what to do."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ronghe import engine
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.evolution import EvolutionRefused
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.ledger import ACCEPTED, last_events, quarantined_rows
from ronghe.monitoring.freshness import feed_states
from ronghe.orchestration import service
from ronghe.orchestration.client import Airflow
from ronghe.release import package
from ronghe.remedies import TableDamaged

# What an operator does about a reason, by the rule before the colon.
ADVICE = {
    "contradiction": "two records of one day say different things: ask the source to deliver one of the files again",
    "torn": "the record breaks off: ask the source to deliver the file again",
    "undecodable": "bytes are no text in the declared encoding: ask the source",
    "oversized": "a cell is longer than the contract allows",
    "required": "a value that must be there is missing: ask the source",
    "format": "a value is not written as the contract says: ask the source, or mend `format`",
    "unit": "a number comes in a unit the contract does not know: ask the source, or add its factor",
    "code": "a value is in no code set: ask the source, or add an alias to the code set",
    "check": "a check digit is wrong: ask the source",
    "range": "a value is outside its limits: ask the source",
    "future": "a day lies after the delivery: ask the source",
    "any_of": "none of the values is there of which one must be: ask the source",
    "destroyed": "what was read was destroyed with the key of its day: it cannot be replayed",
    "pattern": "a value is not of the contract's pattern: ask the source",
}
_BOOKS = "docs/runbooks"


@dataclass(frozen=True)
class Run:
    """The newest run of a DAG."""

    dag: str
    state: str
    started_at: str | None
    seconds: float | None


@dataclass(frozen=True)
class FeedHealth:
    """A feed: how new, how late, and what became of its deliveries (first counts) and records (last two)."""

    feed: str
    newest_business_date: str | None
    late_days: int | None
    is_late: bool
    accepted: int
    waiting: int
    held_back: int
    records: int
    quarantined: int


@dataclass(frozen=True)
class HeldBack:
    """A delivery that was rejected or stopped, and why."""

    event: str
    path: str
    reason: str


@dataclass(frozen=True)
class Reason:
    """A rule that records of a feed broke, how many, and what helps."""

    feed: str
    reason: str
    count: int
    advice: str


@dataclass(frozen=True)
class ReleaseHealth:
    """An extract: the release that is up, and whether its tables changed since or were not built yet."""

    extract: str
    release_number: int | None
    release_id: str | None
    recorded_at: str | None
    rows: int | None
    is_current: bool
    waits_for: tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """Everything `ronghe status` tells.

    `runs` is none while Airflow is down; `tables` counts those of each layer; `refused` has those whose contract asks
    for what would lose or reinterpret rows, `damaged` those that cannot be opened.
    """

    home: str
    engine: str | None
    airflow: str | None
    runs: tuple[Run, ...] | None
    feeds: tuple[FeedHealth, ...]
    held_back: tuple[HeldBack, ...]
    quarantine: tuple[Reason, ...]
    releases: tuple[ReleaseHealth, ...]
    tables: dict[str, int]
    refused: tuple[str, ...]
    damaged: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values, what to do included."""
        return {**asdict(self), "to_do": self.to_do()}

    def to_do(self) -> list[str]:
        """Return what waits for a person, a line each that names the command or the runbook; empty if all is well."""
        lines = [f"{name} is down: ronghe up" for name in ("engine", "airflow") if getattr(self, name) is None]
        lines += [f"{r.dag} failed: {_BOOKS}/failed-task.md" for r in self.runs or () if r.state == "failed"]
        if self.damaged:
            lines.append(f"{', '.join(self.damaged)} cannot be opened: ronghe doctor, {_BOOKS}/damaged-table.md")
        if self.refused:
            lines.append(f"{', '.join(self.refused)} cannot follow the contract: ronghe migrate --dry-run")
        late = [feed for feed in self.feeds if feed.is_late and feed.newest_business_date]
        lines += [f"{f.feed} is late by {_days(f.late_days or 0)}: {_BOOKS}/late-source.md" for f in late]
        if never := [f.feed for f in self.feeds if f.newest_business_date is None]:
            lines.append(f"nothing accepted yet of {len(never)} feeds: ronghe run, or {_BOOKS}/late-source.md")
        if self.held_back:
            lines.append(f"deliveries held back: {len(self.held_back)}: {_BOOKS}/stopped-delivery.md")
        if records := sum(feed.quarantined for feed in self.feeds):
            lines.append(f"records in quarantine: {records:,}: ronghe quarantine, {_BOOKS}/quarantine.md")
        return lines + [line for release in self.releases if (line := _release_line(release))]


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _release_line(release: ReleaseHealth) -> str | None:
    """Return what to do about an extract, if anything."""
    if release.waits_for:
        first, *more = release.waits_for
        return f"{release.extract} waits for {first}{f' and {len(more)} more' if more else ''}: ronghe run"
    if not release.is_current:
        return f"{release.extract} is older than its tables: ronghe run, or {_BOOKS}/release-failed.md"
    return None


def collect(home: Home) -> Health:
    """Look at services and tables; no engine is needed.

    Raises:
        AirflowError: Airflow runs and does not answer.
    """
    found = catalogue()
    lake = Lake(home, found)
    running, airflow = engine.state(home), service.state(home)
    events = lake.rows("meta.delivery").to_pylist()
    there = [table for table in found.tables.values() if lake.exists(table.id)]
    looked_at = {table.id: _look(lake, table.id) for table in there}
    return Health(
        home=str(home.root),
        engine=f"localhost:{running.port}" if running else None,
        airflow=f"http://localhost:{airflow.port}" if airflow else None,
        runs=_runs(home) if airflow else None,
        feeds=_feeds(lake, events),
        held_back=_held_back(events),
        quarantine=quarantine_reasons(lake, set(found.feeds)),
        releases=_releases(lake, found),
        tables=dict(Counter(table.layer for table in there)),
        refused=tuple(name for name, error in looked_at.items() if isinstance(error, EvolutionRefused)),
        damaged=tuple(name for name, error in looked_at.items() if isinstance(error, TableDamaged)),
    )


def _look(lake: Lake, table_id: str) -> Exception | None:
    """Return what keeps a table from being opened, or from following its contract."""
    try:
        lake.evolve(table_id, only_look=True)
    except (EvolutionRefused, TableDamaged) as error:
        return error
    return None


def _runs(home: Home) -> tuple[Run, ...]:
    with Airflow.connect(home) as client:
        newest = client.newest_runs()
    return tuple(Run(r["dag_id"], r["state"], r["start_date"], r["duration"]) for r in newest)


def _feeds(lake: Lake, events: list[dict[str, Any]]) -> tuple[FeedHealth, ...]:
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in last_events(events).values():
        ids[row["feed_id"], row["event_code"]].add(row["delivery_id"])
    states = {state.feed_id: state for state in feed_states(lake)}
    return tuple(_feed(feed_id, ids, states.get(feed_id)) for feed_id in lake.catalogue.feeds)


def _feed(feed_id: str, ids: dict[tuple[str, str], set[str]], state: Any) -> FeedHealth:
    newest = state.newest_business_date if state else None
    return FeedHealth(
        feed=feed_id,
        newest_business_date=newest.isoformat() if newest else None,
        late_days=state.late_days if state else None,
        is_late=bool(state and state.is_late),
        accepted=len(set().union(*(ids[feed_id, event] for event in ACCEPTED))),
        waiting=len(ids[feed_id, "landed"] | ids[feed_id, "reopened"]),
        held_back=len(ids[feed_id, "rejected"] | ids[feed_id, "stopped"]),
        records=state.record_count if state else 0,
        quarantined=state.quarantined_count if state else 0,
    )


def _held_back(events: list[dict[str, Any]]) -> tuple[HeldBack, ...]:
    """Return deliveries that were rejected or stopped, but for those whose file was corrected and accepted since."""
    last = last_events(events).values()
    accepted = {row["path"]: row["recorded_at"] for row in last if row["event_code"] in ACCEPTED}
    return tuple(
        HeldBack(row["event_code"], row["path"], row["reason"] or "")
        for row in last
        if row["event_code"] in ("rejected", "stopped")
        and accepted.get(row["path"], row["recorded_at"]) <= row["recorded_at"]
    )


def quarantine_reasons(lake: Lake, feeds: set[str]) -> tuple[Reason, ...]:
    """Return how many records each rule holds back in each feed."""
    rows = quarantined_rows(lake, "reasons")
    counts = Counter((r["feed_id"], reason) for r in rows if r["feed_id"] in feeds for reason in r["reasons"].split())
    return tuple(
        Reason(feed, reason, count, ADVICE.get(reason.partition(":")[0], ""))
        for (feed, reason), count in sorted(counts.items())
    )


def _releases(lake: Lake, found: Catalogue) -> tuple[ReleaseHealth, ...]:
    told = []
    for extract in found.extracts.values():
        past = package.releases(lake, extract.id)
        last = past[-1] if past else None
        waits = tuple(package.missing_tables(lake, extract))
        told.append(
            ReleaseHealth(
                extract=extract.id,
                release_number=last["release_number"] if last else None,
                release_id=last["release_id"] if last else None,
                recorded_at=_said(last["recorded_at"]) if last else None,
                rows=last["row_count"] if last else None,
                is_current=bool(last and not waits and package.is_current(lake, extract, last)),
                waits_for=waits,
            )
        )
    return tuple(told)


def _said(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
