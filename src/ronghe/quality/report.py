"""Pages about quality, for everybody: `data/open/docs/quality/`. Static, without scripts and without the network.

Pages show no value of any row. Counts of restricted tables are rounded: an exact total could be subtracted from what
the gate published (guard rail 6). Equal tables give equal bytes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ronghe.contracts import Catalogue, Table
from ronghe.contracts.classification import grade_of
from ronghe.contracts.expectations import Expectation
from ronghe.lake import Lake
from ronghe.ledger import ACCEPTED, LEDGER, last_events, quarantined_rows
from ronghe.quality.judgements import TRAIL
from ronghe.quality.words import in_words

# The smallest count that is shown of a restricted table.
LEAST_SHOWN = 10
# The newest so many deliveries or judgements make a trend.
TREND_LENGTH = 30
_FATES = ("accepted_count", "deduplicated_count", "quarantined_count")
LAYERS = {"std": ("Standard", "标准层"), "safe": ("Safe", "脱敏层"), "mart": ("Marts", "集市层")}


@dataclass(frozen=True)
class Line:
    """A check and what came of it the last time: `passed`, `warn` or `stop`, or `new` where it was never run."""

    check: Expectation
    words: str
    outcome: str
    rows: str
    broken: str
    observed: str


@dataclass(frozen=True)
class Point:
    """One mark of a trend: its label, outcome, height from 0 to 1, and what it says in words."""

    label: str
    outcome: str
    height: float
    said: str


@dataclass(frozen=True)
class Page:
    """Everything the page of a table shows."""

    table: Table
    grade: str
    judged_at: str
    scope: str
    lines: tuple[Line, ...]
    trend: tuple[Point, ...]
    trend_title: str

    @property
    def file(self) -> str:
        """The page's file, beside the index."""
        return f"{self.table.id}.html"

    @property
    def groups(self) -> tuple[tuple[str, tuple[Line, ...]], ...]:
        """The checks by column, in the contract's order; those of the whole table come first, under no name."""
        found: dict[str, list[Line]] = {name: [] for name in ("", *self.table.column_names)}
        for line in self.lines:
            found.setdefault(line.check.kwargs.get("column") or "", []).append(line)
        return tuple((name, tuple(lines)) for name, lines in found.items() if lines)

    @property
    def highest(self) -> Point | None:
        """The highest mark of the trend, the newest of equals."""
        return max(reversed(self.trend), key=lambda point: point.height, default=None)

    @property
    def counts(self) -> Counter[str]:
        """How many checks passed, warn and stop."""
        return Counter(line.outcome for line in self.lines)

    @property
    def outcome(self) -> str:
        """The worst outcome of any check."""
        return next((name for name in ("stop", "warn", "new") if self.counts[name]), "passed")


@dataclass(frozen=True)
class Held:
    """How many records of a feed one reason holds back, and which share (percent) of those that are in quarantine.

    A share of few records would tell how many there are, so it is null.
    """

    feed_id: str
    feed_title: str
    reason: str
    records: str
    share: int | None


def coarse(count: int) -> str:
    """Return a count of the restricted half to two digits, or to tens; small ones are not told apart."""
    if count == 0:
        return "0"
    if count < LEAST_SHOWN:
        return f"under {LEAST_SHOWN}"
    size = max(LEAST_SHOWN, 10 ** (int(math.log10(count)) - 1))
    return f"≈ {round(count / size) * size:,}"


def percent(share: float) -> str:
    """Return a share of 0 to 100 in percent to two digits."""
    return f"{share:.2g} %" if 0 < share < 99.5 else f"{share:.0f} %"


def gather(lake: Lake) -> tuple[list[Page], list[Held]]:
    """Return what the pages show, from the trail, the ledger and the quarantine; no engine runs."""
    found = lake.catalogue
    trail: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lake.rows(TRAIL).to_pylist():
        trail[row["table_name"]].append(row)
    ledger = lake.rows(LEDGER).to_pylist()
    shown = [t for t in found.tables.values() if t.layer in LAYERS and (t.id in trail or lake.exists(t.id))]
    pages = [_page(found, table, trail[table.id], ledger) for table in shown]
    pages.sort(key=lambda page: (list(LAYERS).index(page.table.layer), page.table.id))
    return pages, _held(found, quarantined_rows(lake, "reasons"))


def _page(found: Catalogue, table: Table, rows: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> Page:
    days = {row["delivery_id"]: row["business_date"] for row in ledger if row["event_code"] == "landed"}
    latest = max((row["state"] for row in rows), key=lambda state: _order(rows, state, days), default=None)
    results = {row["check_id"]: row for row in rows if row["state"] == latest}
    feeds = {feed.id for feed in found.feeds.values() if feed.target == table.id}
    events = [row for row in ledger if row["feed_id"] in feeds]
    # Great Expectations does not say of a measure how many rows it is of.
    size = max((row["element_count"] or 0 for row in results.values()), default=0)
    lines = tuple(_line(table, check, results.get(check.check_id), size) for check in found.expectations(table.id))
    one = next(iter(results.values()), None)
    return Page(
        table=table,
        grade=grade_of(table),
        judged_at=one["recorded_at"].strftime("%Y-%m-%d %H:%M UTC") if one else "",
        scope=_scope(one["scope"], days) if one else "",
        lines=lines,
        trend=_delivery_trend(events) if feeds else _judgement_trend(rows),
        trend_title="Records in quarantine, by business day" if feeds else "Checks, by version of the table",
    )


def _order(rows: list[dict[str, Any]], state: str, days: dict[str, date]) -> tuple[date, Any, str]:
    """Return what puts judgements in order: the newest business day they cover, then when they were written."""
    row = next(row for row in rows if row["state"] == state)
    covered = [days[name] for name in row["scope"].split() if name in days]
    return max(covered, default=date.min), row["recorded_at"], state


def _scope(scope: str, days: dict[str, date]) -> str:
    """Return in words what was judged."""
    covered = sorted(days[name] for name in scope.split() if name in days)
    if not covered:
        return scope
    count = f"{len(covered)} deliver{'y' if len(covered) == 1 else 'ies'}"
    return f"{count} of {covered[0]}" + (f" … {covered[-1]}" if covered[0] != covered[-1] else "")


def _line(table: Table, check: Expectation, row: dict[str, Any] | None, size: int) -> Line:
    if row is None:
        return Line(check, in_words(check), "new", "", "", "")
    restricted = table.zone == "restricted"
    count = coarse if restricted else _exact
    rows, broken, pct = row["element_count"], row["unexpected_count"], row["unexpected_pct"]
    # A share of few rows would tell how many they are.
    told = broken and pct is not None and not (restricted and broken < LEAST_SHOWN)
    share = f" ({percent(pct)})" if told else ""
    return Line(
        check=check,
        words=in_words(check),
        outcome="passed" if row["is_success"] else check.severity,
        rows="" if rows is None else count(rows),
        broken="" if broken is None else count(broken) + share,
        observed=_observed(check, row["observed_number"], table, size),
    )


def _exact(count: int) -> str:
    return f"{count:,}"


def _observed(check: Expectation, value: float | None, table: Table, size: int) -> str:
    if value is None:
        return ""
    if "Proportion" in check.expectation:
        few = min(value, 1 - value) * size
        if table.zone == "restricted" and 0 < few < LEAST_SHOWN:
            return f"all but under {LEAST_SHOWN}" if value > 0.5 else f"under {LEAST_SHOWN}"
        return percent(100 * value)
    if "Count" in check.expectation:
        return coarse(int(value)) if table.zone == "restricted" else _exact(int(value))
    return f"{value:,.4g}"


def _delivery_trend(events: Iterable[dict[str, Any]]) -> tuple[Point, ...]:
    """Return the share of records in quarantine by business day, of deliveries that were accepted or stopped."""
    days: dict[date, Counter[str]] = defaultdict(Counter)
    for row in last_events(events).values():
        if row["event_code"] in (*ACCEPTED, "stopped"):
            days[row["business_date"]].update({name: row[name] or 0 for name in _FATES})
            days[row["business_date"]]["stopped"] += row["event_code"] == "stopped"
    newest = sorted(days.items())[-TREND_LENGTH:]
    shares = {day: _share_held(counts) for day, counts in newest}
    highest = max((*shares.values(), 1.0))
    return tuple(
        Point(
            label=day.isoformat(),
            outcome="stop" if counts["stopped"] else "passed",
            height=round(shares[day] / highest, 3),
            said=_said(counts["quarantined_count"], shares[day])
            + (", a delivery was stopped" if counts["stopped"] else ""),
        )
        for day, counts in newest
    )


def _share_held(counts: Counter[str]) -> float:
    """Return the percentage of records in quarantine; a share of few records would tell how many they are."""
    held, records = counts["quarantined_count"], sum(counts[name] for name in _FATES)
    return 100 * held / records if held >= LEAST_SHOWN else 0.0


def _said(held: int, share: float) -> str:
    return f"under {LEAST_SHOWN} records" if 0 < held < LEAST_SHOWN else percent(share)


def _judgement_trend(rows: list[dict[str, Any]]) -> tuple[Point, ...]:
    """Return the share of checks that passed in each judgement, oldest first."""
    by_state: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_state[row["state"]].append(row)
    ordered = sorted(by_state.values(), key=lambda found: (found[0]["recorded_at"], found[0]["state"]))
    return tuple(_judged(found) for found in ordered[-TREND_LENGTH:])


def _judged(rows: Sequence[dict[str, Any]]) -> Point:
    broken = {row["severity_code"] for row in rows if not row["is_success"]}
    passed = sum(row["is_success"] for row in rows)
    outcome = next((severity for severity in ("stop", "warn") if severity in broken), "passed")
    said = f"{passed} of {len(rows)} checks passed"
    return Point(rows[0]["scope"], outcome, round(passed / len(rows), 3), said)


def _held(found: Catalogue, rows: Iterable[dict[str, Any]]) -> list[Held]:
    """Return how many records each reason holds back in each feed, most first."""
    rows = list(rows)
    records = Counter(row["feed_id"] for row in rows)
    counts = Counter((row["feed_id"], reason) for row in rows for reason in row["reasons"].split())
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return [
        Held(feed, _title(found, feed), reason, coarse(count), _share(count, records[feed]))
        for (feed, reason), count in ordered
    ]


def _share(count: int, records: int) -> int | None:
    return round(100 * count / records) if count >= LEAST_SHOWN else None


def _title(found: Catalogue, feed_id: str) -> str:
    return found.feeds[feed_id].title_zh if feed_id in found.feeds else ""


def render(found: Catalogue, pages: Sequence[Page], held: Sequence[Held]) -> dict[str, str]:
    """Return every page by its file name."""
    templates = Environment(
        loader=PackageLoader("ronghe.quality"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {"layers": LAYERS, "catalogue": found, "pages": pages}
    written = {p.file: templates.get_template("table.html").render(page=p, **shared) for p in pages}
    written["index.html"] = templates.get_template("index.html").render(held=held, **shared)
    return written


def write_pages(lake: Lake) -> Path:
    """Write the pages, each in one step, and remove those of tables that are no more; return the index."""
    folder = lake.home.docs / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    written = render(lake.catalogue, *gather(lake))
    for name, text in sorted(written.items()):
        unfinished = folder / f".{name}.tmp"
        unfinished.write_text(text, "utf-8")
        unfinished.replace(folder / name)
    for path in folder.glob("*.html"):
        if path.name not in written:
            path.unlink()
    return folder / "index.html"
