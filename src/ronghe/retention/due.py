"""What is due to be destroyed, measured in business time.

A window or a retention of n days that began on a day is over when a business day more than n days after it was
accepted. No clock hastens that: a lake whose sources are silent keeps what it has.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue, Feed
from ronghe.contracts.rules import literal
from ronghe.home import Home
from ronghe.ingest.closed import DESTRUCTION, KEYS, UNRECORDED, purged_ids
from ronghe.ingest.deliveries import Delivery, Ledger, as_of_feed, discover
from ronghe.job import DataStopped, Faults
from ronghe.lake import Lake, Part, digest
from ronghe.ledger import ACCEPTED, LEDGER, accepted_events, last_events, under_way_ids
from ronghe.privacy.text.columns import MEMORY, RememberedTexts, treatment_version
from ronghe.privacy.treatments import free_texts

WINDOW, RETENTION, REFUSED = "window", "retention", "refused"
_ENDED = (*ACCEPTED, "duplicate", "superseded")
_DAY_KEY = re.compile(r"(?:day|late)_(\d{4}-\d{2}-\d{2})(?:_.+)?")


@dataclass(frozen=True)
class Act:
    """One act of destruction: why, of what, until which day, and what is there to go.

    `deliveries` lose their records, `originals` are deliveries whose file lies in the landing zone.
    """

    reason: str
    subject: str
    as_of: date
    until: date | None = None
    deliveries: tuple[Delivery, ...] = ()
    originals: tuple[Delivery, ...] = ()
    keys: tuple[str, ...] = ()
    records: int = 0

    @property
    def is_due(self) -> bool:
        """Whether anything is there to go."""
        return bool(self.deliveries or self.originals or self.keys or self.records)

    @property
    def proof(self) -> str:
        """SHA-256 over the ids, paths and content hashes of what goes."""
        delivered = sorted((d.delivery_id, d.content_sha256) for d in self.deliveries)
        return digest(delivered, sorted((d.path, d.content_sha256) for d in self.originals), sorted(self.keys))


@dataclass(frozen=True)
class History:
    """What the ledger says of a feed's deliveries: the last event of each, and the records that were read of it."""

    last: dict[Delivery, str] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read_from(cls, rows: Iterable[dict[str, Any]]) -> "History":
        """Read it out of the feed's events."""
        rows = list(rows)
        names = Delivery.__dataclass_fields__
        last = {Delivery(**{n: row[n] for n in names}): row["event_code"] for row in last_events(rows).values()}
        return cls(last, {row["delivery_id"]: row["read_count"] for row in rows if row["event_code"] == "landed"})

    @property
    def ended(self) -> set[Delivery]:
        """The deliveries that wait for nothing and nobody."""
        return self.of(*_ENDED)

    def of(self, *events: str) -> set[Delivery]:
        """Return the deliveries whose last event is one of some."""
        return {delivery for delivery, event in self.last.items() if event in events}

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


def day_keys(found: Catalogue, keys: Iterable[str], as_of: date) -> Act:
    """Return the keys of service days to destroy: those of days on which the window of no feed is open.

    One key serves every feed of a day, so the longest window counts; where no feed has such keys any more, none.
    """
    windows = (
        feed.lateness_days
        for feed in found.feeds.values()
        if any(c.tokenise and c.tokenise.key == "service_day" for c in found.table(feed.target).columns)
    )
    until = last_over(as_of, max(windows, default=0))
    days = ((key, _DAY_KEY.fullmatch(key)) for key in sorted(keys))
    due = tuple(key for key, day in days if day and date.fromisoformat(day[1]) <= until)
    return Act(WINDOW, KEYS, as_of, until, keys=due)


def everything(lake: Lake, home: Home, keys: Iterable[str], as_of: date, faults: Faults) -> Iterator[Act]:
    """Yield every act, in the order of their destruction, whether or not it is due.

    Args:
        lake: the lake; it is read only.
        home: where the deliveries lie.
        keys: the keys that are there.
        as_of: the business day to measure from.
        faults: collects what is wrong with the keys, a feed or a table, so that the others are told.
    """
    with faults.collected():
        refuse_undeclared(lake)
        yield day_keys(lake.catalogue, keys, as_of)
    for feed in lake.catalogue.feeds.values():
        with faults.collected():
            yield from list(of_feed(lake, home, feed, as_of))  # all of a feed, or nothing of it
    for table_id in lake.catalogue.tables:
        with faults.collected():
            yield from filter(None, [of_table(lake, table_id, as_of)])
    with faults.collected():
        yield of_texts(lake, as_of)


def refuse_undeclared(lake: Lake) -> None:
    """Check that every feed with deliveries is declared: the window of one that is not may be the longest.

    Raises:
        DataStopped: names those that are not.
    """
    unknown = sorted(set(lake.rows(LEDGER, ["feed_id"])["feed_id"].to_pylist()) - set(lake.catalogue.feeds))
    if unknown:
        raise DataStopped(
            f"{LEDGER} has deliveries of {', '.join(unknown)}, which nothing declares: no key of a day is destroyed. "
            "Set RONGHE_SCHEMAS as it was, or declare them."
        )


def of_feed(lake: Lake, home: Home, feed: Feed, as_of: date) -> Iterator[Act]:
    """Yield what is due of a feed's deliveries: by retention, by the lateness window, by what the contract refuses.

    Before that, raw records that no delivery was recorded for: nothing else would ever end their time.
    A delivery that waits for the ingest or for a person is kept until its retention ends; so is a file that its source
    has put back, or that another feed of the source has still to read.

    Raises:
        ContractError: a file lies in a folder whose name is no date.
    """
    tokenised = bool(lake.catalogue.table(feed.target).tokenised)
    if feed.retention_days is None and not tokenised and not feed.refuse:
        return
    lost = unrecorded(lake, feed)
    records = lake.read(feed.raw_table).where(lost.predicate()).count() if lost else 0
    yield Act(UNRECORDED, feed.id, as_of, records=records)
    history = History.read_from(Ledger(lake, feed).events())
    if not history.last:
        return
    # Files that are fetched tell the next fetch what it knows already; those of the newest day have to stay.
    newest = max(d.business_date for d in history.last)
    lying = {d for d in discover(feed, home.landing) if feed.transport is None or d.business_date < newest}
    gone, done = purged_ids(lake), _done(lake)
    begun = {delivery for delivery in history.last if delivery.delivery_id in gone}

    def act(reason: str, until: date | None, due: set[Delivery], originals: set[Delivery]) -> Act:
        lost, files = (tuple(sorted(some, key=_order)) for some in (due, originals))
        return Act(reason, feed.id, as_of, until, lost, files, records=history.records(due))

    over = set[Delivery]()
    if feed.retention_days is not None:
        until = last_over(as_of, feed.retention_days)
        over = {d for d in history.last if d.business_date <= until}
        yield act(RETENTION, until, {d for d in over if d.delivery_id not in done[RETENTION]}, over & lying)
    # What was restated and lies there again was put back, and will be taken in.
    back = (history.of("superseded") & lying) - begun
    ended = history.ended - over - back
    read_by_all = lying - _awaited_elsewhere(lake, feed, lying)
    closed = set[Delivery]()
    if tokenised:
        until = last_over(as_of, feed.lateness_days)
        closed = {d for d in ended if d.business_date <= until}
        due = {d for d in closed if d.delivery_id not in done[WINDOW] | done[RETENTION]}
        # The file of a delivery that is gone may have been delivered again.
        yield act(WINDOW, until, due, (closed | (begun - over)) & read_by_all)
    if feed.refuse:
        yield act(REFUSED, None, set(), (ended - closed) & read_by_all)


def unrecorded(lake: Lake, feed: Feed) -> Part | None:
    """Return the part of a feed's raw records that no delivery was recorded for, none where there is none.

    Their landing was killed between raw and the ledger, and did not find the file again that it had read.
    """
    ids = {row["delivery_id"] for row in lake.read(feed.raw_table).select("delivery_id").distinct().collect()}
    lost = ids - set(lake.rows(LEDGER, ["delivery_id"])["delivery_id"].to_pylist())
    return Part("delivery_id", tuple(sorted(lost))) if lost else None


def _order(delivery: Delivery) -> tuple[date, str]:
    return delivery.business_date, delivery.path


def _awaited_elsewhere(lake: Lake, feed: Feed, lying: set[Delivery]) -> set[Delivery]:
    """Return the deliveries whose file another feed of the same landing folder will take in yet."""
    awaited = set[Delivery]()
    for other in lake.catalogue.feeds.values():
        if (other.source_code, other.landing) == (feed.source_code, feed.landing) and other.id != feed.id:
            there = {as_of_feed(delivery, other.id): delivery for delivery in lying}
            awaited |= {there[delivery] for delivery in Ledger(lake, other).unseen(there)}
    return awaited


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
    """Return the predicate of the rows of a table with a retention that go.

    Rows of a delivery that is under way stay until it is accepted: its records are counted against them.
    """
    kept = lake.catalogue.table(table_id).retention
    if kept is None:
        return "false"
    under_way = [literal(delivery_id) for delivery_id in sorted(under_way_ids(lake))]
    others = f" AND delivery_id NOT IN ({', '.join(under_way)})" if under_way else ""
    return f"`{kept.day_column}` <= DATE'{until}'{others}"


def of_texts(lake: Lake, as_of: date) -> Act:
    """Return the treated texts to forget: a name that was missed in one must not outlive the rows it is of."""
    there = lake.read(MEMORY).count() if lake.exists(MEMORY) else 0
    return Act(RETENTION, MEMORY, as_of, records=there and there - needed_texts(lake).count())


def needed_texts(lake: Lake) -> DataFrame:
    """Return what is remembered of texts that a table has still, under its policy as it is now."""
    remembered = RememberedTexts(lake)
    needed = lake.read(MEMORY).limit(0).select("text_digest", "treatment_version")
    for target in (table for table in lake.catalogue.tables.values() if table.crosses):
        origin = lake.catalogue.table(str(target.crosses))
        for policy, columns in free_texts(origin, target).items():
            version = F.lit(treatment_version(lake.catalogue.policy(policy))).alias("treatment_version")
            texts = remembered.digested(lake.read(origin.id), columns)
            needed = needed.unionByName(texts.select("text_digest", version))
    return lake.read(MEMORY).join(needed, needed.columns, "left_semi")


def _done(lake: Lake) -> Mapping[str, set[str]]:
    """Return what was destroyed to the end, ids of deliveries among it, by the reason."""
    found = defaultdict[str, set[str]](set)
    for row in lake.rows(DESTRUCTION, ["state_code", "reason_code", "subject"]).to_pylist():
        if row["state_code"] == "done":
            found[row["reason_code"]].add(row["subject"])
    return found
