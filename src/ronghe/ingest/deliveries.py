"""Deliveries: what lies in the landing zone, and the ledger of what became of it."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ronghe.contracts import ContractError, Feed
from ronghe.contracts.ddl import schema_ddl
from ronghe.ingest.closed import closed_until
from ronghe.lake import Lake, digest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEDGER = "meta.delivery"
# What was delivered is gone: the original, the records as read, and what quarantine kept of them.
PURGED = "purged"
# A file a source is still writing carries one of these, and is left alone until it is renamed.
_UNFINISHED = (".tmp", ".part", ".filepart")


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

    Raises:
        ContractError: a file lies in a folder whose name is no date.
    """
    folder = landing / feed.source_code
    found = [_delivery(feed, path, folder) for path in _files(feed, folder)]
    return tuple(sorted(found, key=lambda d: (d.business_date, d.path)))


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
    return path.is_file() and not path.name.startswith(".") and not path.name.endswith(_UNFINISHED)


def _delivery(feed: Feed, path: Path, folder: Path) -> Delivery:
    relative = path.relative_to(folder).as_posix()
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    name = f"{feed.source_code}/{relative}"
    return Delivery(
        feed_id=feed.id,
        source_code=feed.source_code,
        business_date=_business_date(feed, relative, name),
        path=name,
        content_sha256=sha256,
        byte_count=path.stat().st_size,
        delivery_id=digest(feed.id, name, sha256)[:20],
    )


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


class Ledger:
    """The append-only list of what became of each delivery of one feed (`meta.delivery`)."""

    def __init__(self, lake: Lake, feed: Feed) -> None:
        self._lake = lake
        self._feed = feed

    def events(self) -> list[dict[str, Any]]:
        """Return the feed's events, in no order."""
        rows = self._lake.rows(LEDGER).to_pylist()
        return [row for row in rows if row["feed_id"] == self._feed.id]

    def unseen(self, found: Iterable[Delivery]) -> tuple[Delivery, ...]:
        """Return deliveries that were not landed yet, or were rejected under another version of the contract."""
        seen = {
            row["delivery_id"]
            for row in self.events()
            if row["event_code"] != "rejected" or row["contract_version"] == self._feed.version
        }
        return tuple(delivery for delivery in found if delivery.delivery_id not in seen)

    def landed_content(self) -> dict[tuple[date, str], str]:
        """Return the path under which each content was landed under this version of the contract.

        Keys are business day and SHA-256: a list that did not change is a delivery of its day all the same, and what a
        contract put in quarantine may be delivered again when the contract is mended. What was purged is known under
        every version: its rows stand, and their identifiers could not be told from those of the same file again.
        """
        return {
            (row["business_date"], row["content_sha256"]): row["path"]
            for row in self.events()
            if row["event_code"] == PURGED
            or (row["event_code"] == "landed" and row["contract_version"] == self._feed.version)
        }

    def unclaimed(self) -> tuple[Delivery, ...]:
        """Return deliveries that were landed and neither accepted, stopped nor purged, oldest business day first.

        One that was stopped waits until the feed's contract has another version: it would only be stopped again, and
        its rows would stand before those of a delivery that corrects them.
        """
        events = self.events()
        ended = {
            row["delivery_id"]
            for row in events
            if row["event_code"] in ("accepted", PURGED)
            or (row["event_code"] == "stopped" and row["contract_version"] == self._feed.version)
        }
        names = Delivery.__dataclass_fields__
        waiting = [
            Delivery(**{name: row[name] for name in names})
            for row in events
            if row["event_code"] == "landed" and row["delivery_id"] not in ended
        ]
        return tuple(sorted(waiting, key=lambda d: (d.business_date, d.path)))

    def read_counts(self) -> dict[str, int]:
        """Return how many records each landed delivery has, by its id."""
        return {r["delivery_id"]: r["read_count"] for r in self.events() if r["event_code"] == "landed"}

    def record(self, events: Iterable[Event]) -> None:
        """Write events, each once however often it is recorded.

        An event that is in the ledger already (a rerun after a kill) is left as it is.
        """
        seen = {(row["delivery_id"], row["event_code"], row["contract_version"]) for row in self.events()}
        new = [e for e in events if (e.delivery.delivery_id, e.event_code, e.contract_version) not in seen]
        if not new:
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        rows = [event.row(now) for event in new]
        content = [{**row, "recorded_at": None} for row in rows]
        frame = self._lake.spark.createDataFrame(rows, schema_ddl(self._lake.catalogue.table(LEDGER)))
        self._lake.append(LEDGER, frame, digest(LEDGER, content, now.isoformat()))


def accepted_ids(lake: Lake, table_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the accepted deliveries behind std tables: what has come in, whatever else is on its way."""
    targets = set(table_ids)
    feeds = {feed.id for feed in lake.catalogue.feeds.values() if feed.target in targets}
    rows = lake.rows(LEDGER, ["delivery_id", "event_code", "feed_id"]).to_pylist()
    return tuple(sorted(r["delivery_id"] for r in rows if r["event_code"] == "accepted" and r["feed_id"] in feeds))


def accepted_deliveries(lake: Lake) -> "DataFrame":
    """Return the ids of every accepted delivery, as column `delivery_id`."""
    from pyspark.sql import functions as F

    events = lake.read(LEDGER)
    return events.where(F.col("event_code") == "accepted").select("delivery_id").distinct()


def accepted_rows(lake: Lake, table_id: str) -> "DataFrame":
    """Return a std table's rows of accepted deliveries; nothing else is read downstream of the ingest.

    Days whose rows went when their retention ended are closed: a late row of one is not read either. What was built
    from them stands, and would be built again from the late row alone.
    """
    from pyspark.sql import functions as F

    rows = lake.read(table_id).join(accepted_deliveries(lake), "delivery_id", "left_semi")
    kept, closed = lake.catalogue.table(table_id).retention, closed_until(lake, table_id)
    return rows.where(F.col(kept.day_column) > F.lit(closed)) if kept and closed else rows
