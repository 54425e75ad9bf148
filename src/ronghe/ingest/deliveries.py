"""Deliveries: what lies in the landing zone, and the ledger of what became of it."""

import hashlib
import re
import time
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ronghe.contracts import ContractError, Feed
from ronghe.contracts.ddl import schema_ddl
from ronghe.ingest.closed import closed_until, purged_ids
from ronghe.lake import Lake, digest
from ronghe.ledger import ACCEPTED, LEDGER, UNDER_WAY, accepted_events, accepted_states, last_events, superseded_ids

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# A file a source is still writing carries one of these, and is left alone until it is renamed.
_UNFINISHED = (".tmp", ".part", ".filepart")
# A file that was written to less than this ago is looked at twice, so long apart: one that changes is left for later.
SETTLE_SECONDS = 2.0


@dataclass(frozen=True)
class Delivery:
    """One file of one feed. `delivery_id` follows from feed, path and content, so it is the same on every look."""

    feed_id: str
    source_code: str
    business_date: date
    path: str
    content_sha256: str
    byte_count: int
    delivery_id: str


@dataclass(frozen=True)
class Event:
    """What became of a delivery; see the code set `delivery_event`."""

    delivery: Delivery
    event_code: str
    contract_version: str
    encoding: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    reason: str | None = None

    def said(self) -> tuple[str, str, int | None]:
        """Return what tells the event from the delivery's others."""
        return self.event_code, self.contract_version, self.counts.get("quarantined")

    def row(self, recorded_at: datetime) -> dict[str, Any]:
        """Return the event as a row of the ledger."""
        delivery = self.delivery
        return {
            "delivery_id": delivery.delivery_id,
            "event_code": self.event_code,
            "feed_id": delivery.feed_id,
            "source_code": delivery.source_code,
            "business_date": delivery.business_date,
            "path": delivery.path,
            "content_sha256": delivery.content_sha256,
            "byte_count": delivery.byte_count,
            "encoding": self.encoding,
            "read_count": self.counts.get("read"),
            "accepted_count": self.counts.get("accepted"),
            "deduplicated_count": self.counts.get("deduplicated"),
            "quarantined_count": self.counts.get("quarantined"),
            "reason": self.reason,
            "contract_version": self.contract_version,
            "recorded_at": recorded_at,
        }


def discover(feed: Feed, landing: Path) -> tuple[Delivery, ...]:
    """Return the feed's deliveries in the landing zone, oldest business day first.

    A file that its source still writes is left for the next run. One that pauses for longer than the look at it is
    taken as it is; the whole file then restates it, see `Ledger`.

    Raises:
        ContractError: a file lies in a folder whose name is no date.
    """
    folder = landing / feed.source_code
    # What a transport fetched was put there whole.
    looked = {path: _look(path) for path in _files(feed, folder)} if feed.transport else _settled(_files(feed, folder))
    found = [(path, look, _delivery(feed, path, folder)) for path, look in looked.items()]
    whole = [delivery for path, look, delivery in found if _look(path) == look]
    return tuple(sorted(whole, key=lambda d: (d.business_date, d.path)))


def landed_files(feed: Feed, landing: Path) -> dict[date, list[Path]]:
    """Return the feed's files in the landing zone by business day, unread.

    Raises:
        ContractError: as for `discover`.
    """
    folder = landing / feed.source_code
    found: dict[date, list[Path]] = {}
    for path in sorted(_files(feed, folder)):
        relative = path.relative_to(folder).as_posix()
        found.setdefault(_business_date(feed, relative, f"{feed.source_code}/{relative}"), []).append(path)
    return found


def _files(feed: Feed, folder: Path) -> list[Path]:
    return [path for path in folder.glob(feed.landing.replace("{business_date}", "*")) if _finished(path)]


def _finished(path: Path) -> bool:
    """Tell whether a path is a file under its final name; a link is no delivery, since it may lead anywhere."""
    named = not path.name.startswith(".") and not path.name.endswith(_UNFINISHED)
    return named and path.is_file() and not path.is_symlink()


def _look(path: Path) -> tuple[int, int] | None:
    """Return a file's size and the instant it was last written to (ns), none where it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _settled(paths: Iterable[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return the files that do not change, each with its look; asks for time only where a file is young."""
    looked = {path: look for path in paths if (look := _look(path))}
    since = time.time_ns() - int(SETTLE_SECONDS * 1e9)
    young = [path for path, (_, written) in looked.items() if written > since]
    if young:
        time.sleep(SETTLE_SECONDS)
    return {path: look for path, look in looked.items() if path not in young or _look(path) == look}


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _delivery(feed: Feed, path: Path, folder: Path) -> Delivery:
    relative = path.relative_to(folder).as_posix()
    sha256 = content_sha256(path)
    name = f"{feed.source_code}/{relative}"
    return Delivery(
        feed_id=feed.id,
        source_code=feed.source_code,
        business_date=_business_date(feed, relative, name),
        path=name,
        content_sha256=sha256,
        byte_count=path.stat().st_size,
        delivery_id=_identity(feed.id, name, sha256),
    )


def _identity(feed_id: str, path: str, content_sha256: str) -> str:
    return digest(feed_id, path, content_sha256)[:20]


def _business_date(feed: Feed, relative: str, name: str) -> date:
    """Read the business day out of a delivery's path, where the landing pattern has it."""
    parts = re.split(r"(\{business_date\}|\*)", feed.landing)
    known = {"{business_date}": r"(?P<day>[^/]+)", "*": "[^/]*"}
    found = re.fullmatch("".join(known.get(part, re.escape(part)) for part in parts), relative)
    day = found.groupdict().get("day", "") if found else ""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
            return date.fromisoformat(day)
    except ValueError:
        pass
    raise ContractError(
        f"{feed.id}: {name} has no business day (YYYY-MM-DD) where {feed.landing!r} wants one. "
        "Ask the source to deliver into a folder named after the day."
    )


def as_of_feed(delivery: Delivery, feed_id: str) -> Delivery:
    """Return the delivery that the same file is to another feed of its source: two may read one packed file."""
    identity = _identity(feed_id, delivery.path, delivery.content_sha256)
    return replace(delivery, feed_id=feed_id, delivery_id=identity)


class Ledger:
    """The append-only list of what became of each delivery of one feed (`meta.delivery`).

    A delivery stands as its last event says. Other content under the name of a delivery that was landed restates it:
    once the newer one is accepted, the older one is `superseded`, and deliveries that leant on its rows are `reopened`.
    """

    def __init__(self, lake: Lake, feed: Feed) -> None:
        self._lake = lake
        self._feed = feed

    def events(self) -> list[dict[str, Any]]:
        """Return the feed's events, oldest first."""
        rows = self._lake.rows(LEDGER).to_pylist()
        return sorted((row for row in rows if row["feed_id"] == self._feed.id), key=lambda row: row["recorded_at"])

    def unseen(self, found: Iterable[Delivery]) -> tuple[Delivery, ...]:
        """Return deliveries that were not landed yet, were rejected under another version of the contract, or are back.

        A delivery is back where its source has put the content again that it had superseded. What was purged does not
        come back.
        """
        last, purged = last_events(self.events()), purged_ids(self._lake)
        new = (delivery for delivery in found if delivery.delivery_id not in purged)
        return tuple(delivery for delivery in new if self._is_unseen(last.get(delivery.delivery_id)))

    def _is_unseen(self, event: dict[str, Any] | None) -> bool:
        if event is None or event["event_code"] == "superseded":
            return True
        return bool(event["event_code"] == "rejected" and event["contract_version"] != self._feed.version)

    def landed_content(self) -> dict[tuple[date, str], str]:
        """Return the path under which each content was landed under this version of the contract.

        Keys are business day and SHA-256: a list that did not change is a delivery of its day all the same, and what a
        contract put in quarantine may be delivered again when the contract is mended. Content that was restated since
        is not known any more. What was purged is known under every version: its rows stand, and their identifiers could
        not be told from those of the same file again.
        """
        purged = purged_ids(self._lake)
        return {
            (row["business_date"], row["content_sha256"]): row["path"]
            for row in self._newest().values()
            if row["contract_version"] == self._feed.version or row["delivery_id"] in purged
        }

    def newest(self) -> dict[str, str]:
        """Return the id of the delivery that was landed last under each path."""
        return {path: row["delivery_id"] for path, row in self._newest().items()}

    def _newest(self) -> dict[str, dict[str, Any]]:
        return {row["path"]: row for row in self.events() if row["event_code"] == "landed"}

    def unclaimed(self) -> tuple[Delivery, ...]:
        """Return deliveries that were landed and neither accepted, stopped nor purged, oldest business day first.

        One that was stopped waits until the feed's contract has another version: it would only be stopped again, and
        its rows would stand before those of a delivery that corrects them. One that was restated waits for nothing.
        """
        events = self.events()
        newest = set(self.newest().values()) - purged_ids(self._lake)
        waiting = [
            _of_row(row)
            for row in last_events(events).values()
            if row["delivery_id"] in newest and self._is_waiting(row)
        ]
        return tuple(sorted(waiting, key=lambda d: (d.business_date, d.path)))

    def _is_waiting(self, event: dict[str, Any]) -> bool:
        stopped_before = event["event_code"] == "stopped" and event["contract_version"] != self._feed.version
        return stopped_before or event["event_code"] in UNDER_WAY

    def restated(self, deliveries: Iterable[Delivery]) -> tuple[Delivery, ...]:
        """Return what was landed under the path of one of the given deliveries and has other content."""
        ids = {delivery.path: delivery.delivery_id for delivery in deliveries}
        return tuple(
            _of_row(row)
            for row in last_events(self.events()).values()
            if row["event_code"] not in ("rejected", "duplicate", "superseded")
            and ids.get(row["path"], row["delivery_id"]) != row["delivery_id"]
        )

    def claim(self, deliveries: Iterable[Delivery]) -> list[Any]:
        """Return what the fates of unclaimed deliveries follow from beside their records: each claim is another one.

        It stays the same over a rerun, and differs when a delivery is taken up again or others stand.
        """
        last = last_events(self.events())
        claimed = sorted((d.delivery_id, str(last[d.delivery_id]["recorded_at"])) for d in deliveries)
        return [claimed, accepted_ids(self._lake, [self._feed.target])]

    def with_quarantine(self, days: Container[date] | None = None) -> tuple[Delivery, ...]:
        """Return accepted deliveries with records in quarantine that were not destroyed, oldest business day first.

        Args:
            days: business days to look at; none for all.
        """
        purged = purged_ids(self._lake)
        found = [_of_row(r) for r in self._accepted() if r["quarantined_count"] and r["delivery_id"] not in purged]
        asked = (delivery for delivery in found if days is None or delivery.business_date in days)
        return tuple(sorted(asked, key=lambda d: (d.business_date, d.path)))

    def quarantined_counts(self) -> dict[str, int]:
        """Return how many records of each accepted delivery are in quarantine, by its id, as the ledger has it."""
        return {row["delivery_id"]: row["quarantined_count"] or 0 for row in self._accepted()}

    def _accepted(self) -> list[dict[str, Any]]:
        return [row for row in last_events(self.events()).values() if row["event_code"] in ACCEPTED]

    def read_counts(self) -> dict[str, int]:
        """Return how many records each landed delivery has, by its id."""
        return {r["delivery_id"]: r["read_count"] for r in self.events() if r["event_code"] == "landed"}

    def record(self, events: Iterable[Event]) -> bool:
        """Write events, each once however often it is recorded; say whether any was not there yet.

        An event that is a delivery's last already (a rerun after a kill) is left as it is. Events are ordered by their
        instant, so one comes after all that are there, whatever the clock says.
        """
        there = last_events(self._lake.rows(LEDGER).to_pylist())
        # One delivery may be replayed twice under one version, with fewer records in quarantine the second time.
        key = ("delivery_id", "event_code", "contract_version", "quarantined_count")
        said = {tuple(row[name] for name in key) for row in there.values()}
        new = [e for e in events if (e.delivery.delivery_id, *e.said()) not in said]
        if not new:
            return False
        instants = (row["recorded_at"].replace(tzinfo=UTC) for row in there.values())
        after = max(instants, default=datetime.min.replace(tzinfo=UTC)) + timedelta(microseconds=1)
        now = max(datetime.now(UTC), after)
        rows = [event.row(now) for event in new]
        before = {name: str(row["recorded_at"]) for name, row in there.items()}
        content = [{**row, "recorded_at": before.get(row["delivery_id"])} for row in rows]
        frame = self._lake.spark.createDataFrame(rows, schema_ddl(self._lake.catalogue.table(LEDGER)))
        # Not the instant, but that of the event before: what a killed run still commits and what its retry records are
        # one write, and a delivery that is accepted again after it was reopened is another.
        return self._lake.append(LEDGER, frame, digest(LEDGER, content))


def _of_row(row: dict[str, Any]) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__dataclass_fields__})


def accepted_ids(lake: Lake, table_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the states of the accepted deliveries behind std tables: what has come in, whatever else is on its way."""
    targets = set(table_ids)
    feeds = {feed.id for feed in lake.catalogue.feeds.values() if feed.target in targets}
    states = accepted_states(lake)
    rows = accepted_events(lake, "feed_id")
    return tuple(sorted(states[row["delivery_id"]] for row in rows if row["feed_id"] in feeds))


def accepted_among(lake: Lake, delivery_ids: Collection[str]) -> tuple[Delivery, ...]:
    """Return those of some deliveries, of whatever feed, that are accepted, oldest business day first."""
    rows = accepted_events(lake, *Delivery.__dataclass_fields__) if delivery_ids else []
    found = [_of_row(row) for row in rows if row["delivery_id"] in delivery_ids]
    return tuple(sorted(found, key=lambda d: (d.business_date, d.path)))


def accepted_deliveries(lake: Lake) -> "DataFrame":
    """Return the ids of every accepted delivery, as column `delivery_id`."""
    from pyspark.sql import functions as F

    last = lake.read(LEDGER).groupBy("delivery_id").agg(F.max_by("event_code", "recorded_at").alias("event_code"))
    return last.where(F.col("event_code").isin(*ACCEPTED)).select("delivery_id")


def accepted_rows(lake: Lake, table_id: str) -> "DataFrame":
    """Return a std table's rows of accepted deliveries; nothing else is read downstream of the ingest.

    Days whose rows went when their retention ended are closed: a late row of one is not read either. What was built
    from them stands, and would be built again from the late row alone.
    """
    return _of_open_days(lake, table_id).join(accepted_deliveries(lake), "delivery_id", "left_semi")


def restated_rows(lake: Lake, table_id: str) -> "DataFrame":
    """Return a std table's rows of deliveries that were restated: what stands of them came with the newer ones.

    Of closed days there are none, see `accepted_rows`.
    """
    from pyspark.sql import functions as F

    ids = sorted(superseded_ids(lake))
    return _of_open_days(lake, table_id).where(F.col("delivery_id").isin(*ids) if ids else F.lit(False))


def _of_open_days(lake: Lake, table_id: str) -> "DataFrame":
    from pyspark.sql import functions as F

    rows, kept, closed = lake.read(table_id), lake.catalogue.table(table_id).retention, closed_until(lake, table_id)
    return rows.where(F.col(kept.day_column) > F.lit(closed)) if kept and closed else rows
