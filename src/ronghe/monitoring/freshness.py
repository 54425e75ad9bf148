"""Freshness: how new each feed is, measured by the night's own day.

The night is for the newest business day that was accepted of any feed; a day to come is not believed, for one folder
with a wrong name would make every other feed late by years. A feed is late when a delivery that its declared
frequency makes due by that day was not accepted: a daily feed by one day is one whose newest day is the day before.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ronghe.contracts import Feed
from ronghe.contracts.ddl import schema_ddl
from ronghe.lake import Lake, digest
from ronghe.ledger import accepted_events

TABLE = "meta.night_input"
_COLUMNS = ("feed_id", "business_date", "accepted_count", "quarantined_count")


@dataclass(frozen=True)
class FeedState:
    """What was accepted of a feed when a night ran; `late_days` is none before its first delivery."""

    night_date: date
    feed_id: str
    source_code: str
    newest_business_date: date | None
    late_days: int | None
    delivery_count: int
    record_count: int
    quarantined_count: int

    @property
    def is_late(self) -> bool:
        """Whether a delivery was due and is missing."""
        return self.late_days is None or self.late_days > 0

    def row(self, recorded_at: datetime) -> dict[str, Any]:
        """Return the state as a row of `meta.night_input`."""
        return {
            "night_date": self.night_date,
            "feed_id": self.feed_id,
            "delivery_count": self.delivery_count,
            "source_code": self.source_code,
            "newest_business_date": self.newest_business_date,
            "late_days": self.late_days,
            "is_late": self.is_late,
            "recorded_at": recorded_at,
        }

    def said(self) -> str:
        """Return one sentence about a late feed."""
        if self.newest_business_date is None:
            return f"{self.feed_id}: nothing was accepted yet; the night of {self.night_date} goes on without it"
        days = "1 day" if self.late_days == 1 else f"{self.late_days} days"
        return (
            f"{self.feed_id}: {days} late, newest business day {self.newest_business_date}; "
            f"the night of {self.night_date} goes on without it"
        )


def feed_states(lake: Lake) -> list[FeedState]:
    """Return the state of every declared feed, none before the first delivery of any was accepted."""
    accepted: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in accepted_events(lake, *_COLUMNS):
        accepted[row["feed_id"]].append(row)
    declared = lake.catalogue.feeds
    days = [row["business_date"] for feed_id in declared for row in accepted[feed_id]]
    if not days:
        return []
    # East of Greenwich tomorrow has begun.
    begun = datetime.now(UTC).date() + timedelta(1)
    night = max((day for day in days if day <= begun), default=max(days))
    return [_state(feed, accepted[feed.id], night) for feed in declared.values()]


def _state(feed: Feed, rows: Iterable[dict[str, Any]], night: date) -> FeedState:
    rows = list(rows)
    newest = max((row["business_date"] for row in rows), default=None)
    return FeedState(
        night_date=night,
        feed_id=feed.id,
        source_code=feed.source_code,
        newest_business_date=newest,
        late_days=None if newest is None else days_late(night, newest, feed.frequency_days),
        delivery_count=len(rows),
        record_count=sum(row["accepted_count"] or 0 for row in rows),
        quarantined_count=sum(row["quarantined_count"] or 0 for row in rows),
    )


def days_late(night: date, newest: date, frequency_days: int) -> int:
    """Return by how many days the delivery after the newest one is overdue; 0 if it is not due yet."""
    return max(0, (night - newest).days - frequency_days + 1)


def record_inputs(lake: Lake) -> list[FeedState]:
    """Write which feeds are in to `meta.night_input`, and return those whose state was not written yet.

    A night, a feed and its number of accepted deliveries name a state; restating one changes none of them.
    """
    key = ("night_date", "feed_id", "delivery_count")
    seen = {tuple(row.values()) for row in lake.rows(TABLE, key).to_pylist()}
    new = [s for s in feed_states(lake) if (s.night_date, s.feed_id, s.delivery_count) not in seen]
    if new:
        now = datetime.now(UTC)
        frame = lake.spark.createDataFrame([s.row(now) for s in new], schema_ddl(lake.catalogue.table(TABLE)))
        lake.append(TABLE, frame, digest(TABLE, [(s.night_date, s.feed_id, s.delivery_count) for s in new]))
    return new
