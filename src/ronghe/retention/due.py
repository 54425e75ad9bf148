"""What is due to be destroyed, measured in business time.

A window or a retention of n days that began on a day is over when a business day more than n days after it was
accepted. No clock hastens that: a lake whose sources are silent keeps what it has.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ronghe.contracts import Catalogue, Feed
from ronghe.home import Home
from ronghe.ingest.closed import DESTRUCTION, KEYS, purged_ids
from ronghe.ingest.deliveries import Delivery, Ledger, discover
from ronghe.lake import Lake, digest
from ronghe.ledger import accepted_events, last_events

WINDOW, RETENTION, REFUSED = "window", "retention", "refused"
_ENDED = ("accepted", "replayed", "duplicate", "superseded")
_DAY_KEY = re.compile(r"(?:day|late)_(\d{4}-\d{2}-\d{2})(?:_.+)?")


@dataclass(frozen=True)
class Act:
    """One act of destruction: why, of what, until which day, and what is there to go."""

    reason: str
    subject: str
    as_of: date
    until: date | None = None
    deliveries: tuple[Delivery, ...] = ()
    files: tuple[Path, ...] = ()
    keys: tuple[str, ...] = ()
    records: int = 0

    @property
    def is_due(self) -> bool:
        """Whether anything is there to go."""
        return bool(self.deliveries or self.files or self.keys or self.records)

    @property
    def proof(self) -> str:
        """SHA-256 over the ids and content hashes of what goes."""
        delivered = sorted((d.delivery_id, d.content_sha256) for d in self.deliveries)
        return digest(delivered, sorted(path.name for path in self.files), sorted(self.keys))

    @property
    def act_id(self) -> str:
        """Identifier: the same act found again has the same."""
        return digest(self.reason, self.subject, self.until, self.proof)[:20]


@dataclass(frozen=True)
class History:
    """What the ledger says of a feed's deliveries: the last event of each, and the records that were read of it."""

    last: dict[Delivery, str] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> "History":
        """Read it out of the feed's events."""
        rows = list(rows)
        names = Delivery.__dataclass_fields__
        last = {Delivery(**{n: row[n] for n in names}): row["event_code"] for row in last_events(rows).values()}
        return cls(last, {row["delivery_id"]: row["read_count"] for row in rows if row["event_code"] == "landed"})

    @property
    def ended(self) -> set[Delivery]:
        """The deliveries that wait for nothing and nobody."""
        return {delivery for delivery, event in self.last.items() if event in _ENDED}

    def records(self, deliveries: Iterable[Delivery]) -> int:
        """Return how many records deliveries had."""
        return sum(self.read.get(delivery.delivery_id, 0) for delivery in deliveries)


def newest_day(lake: Lake, today: date) -> date | None:
    """Return the newest business day that was accepted of any feed, none before the first.

    Args:
        lake: read for its ledger of deliveries.
        today: a day to come is not believed: a folder with a wrong name would close every window at once.
    """
    days = (row["business_date"] for row in accepted_events(lake, "business_date"))
    return max((day for day in days if day <= today), default=None)


def last_over(as_of: date, days: int) -> date:
    """Return the last day that lies more than a number of days back."""
    return as_of - timedelta(days + 1)


def day_keys(found: Catalogue, keys: Iterable[str], as_of: date) -> Act | None:
    """Return the keys of service days to destroy: those of days on which the window of no feed is open.

    One key serves every feed of a day, so the longest window counts.
    """
    windows = [
        feed.lateness_days
        for feed in found.feeds.values()
        if any(c.tokenise and c.tokenise.key == "service_day" for c in found.table(feed.target).columns)
    ]
    if not windows:
        return None
    until = last_over(as_of, max(windows))
    days = ((key, _DAY_KEY.fullmatch(key)) for key in sorted(keys))
    due = tuple(key for key, day in days if day and date.fromisoformat(day[1]) <= until)
    return Act(WINDOW, KEYS, as_of, until, keys=due)


def of_feed(lake: Lake, home: Home, feed: Feed, as_of: date) -> Iterator[Act]:
    """Yield what is due of a feed's deliveries: by retention, by the lateness window, by what the contract refuses.

    A delivery that is not accepted, a duplicate or restated waits for a person, and is kept until its retention ends.
    """
    history = History.of(Ledger(lake, feed).events())
    if not history.last:
        return
    # Files that are fetched tell the next fetch what it knows already; those of the newest day have to stay.
    newest = max(d.business_date for d in history.last)
    lying = [d for d in discover(feed, home.landing) if feed.transport is None or d.business_date < newest]

    def act(reason: str, until: date | None, due: set[Delivery], files_of: set[Delivery]) -> Act:
        ids = {delivery.delivery_id for delivery in files_of}
        files = tuple(home.landing / d.path for d in lying if d.delivery_id in ids)
        ordered = tuple(sorted(due, key=lambda d: (d.business_date, d.path)))
        return Act(reason, feed.id, as_of, until, ordered, files, records=history.records(due))

    gone, ended = purged_ids(lake), history.ended
    purged = {delivery for delivery in history.last if delivery.delivery_id in gone}
    if feed.retention_days is not None:
        until, before = last_over(as_of, feed.retention_days), _done_until(lake, RETENTION, feed.id)
        over = {d for d in history.last if d.business_date <= until}
        due = {d for d in over if d not in purged or before is None or d.business_date > before}
        yield act(RETENTION, until, due, over)
        ended, purged = ended - over, purged - over
    if lake.catalogue.table(feed.target).tokenised:
        until = last_over(as_of, feed.lateness_days)
        due = {d for d in ended - purged if d.business_date <= until}
        # The file of a delivery that is gone may have been delivered again.
        yield act(WINDOW, until, due, due | purged)
    if feed.refuse:
        yield act(REFUSED, None, set(), ended)


def of_table(lake: Lake, table_id: str, as_of: date) -> Act | None:
    """Return the rows of a std table whose retention is over, none where the table keeps its rows."""
    kept = lake.catalogue.table(table_id).retention
    if kept is None or not lake.exists(table_id):
        return None
    until = last_over(as_of, kept.days)
    return Act(
        RETENTION, table_id, as_of, until, records=lake.read(table_id).where(rows_until(lake, until, table_id)).count()
    )


def rows_until(lake: Lake, until: date, table_id: str) -> str:
    """Return the predicate of the rows of a table with a retention that go."""
    kept = lake.catalogue.table(table_id).retention
    return f"`{kept.day_column}` <= DATE'{until}'" if kept else "false"


def _done_until(lake: Lake, reason: str, subject: str) -> date | None:
    """Return the last day until which something was destroyed to the end for a reason."""
    rows = lake.rows(DESTRUCTION, ["state_code", "reason_code", "subject", "until_date"]).to_pylist()
    known = (r for r in rows if (r["state_code"], r["reason_code"], r["subject"]) == ("done", reason, subject))
    return max((row["until_date"] for row in known if row["until_date"]), default=None)
