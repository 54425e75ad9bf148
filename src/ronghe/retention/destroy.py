"""Destroy what is due, in an order that a kill at any point leaves in order.

begun in the ledger -> keys -> originals -> raw -> quarantine -> old versions -> each delivery -> done. From
the first step on the days are closed, so nothing is made anew of them; every later step may be done again.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ronghe.contracts import Feed
from ronghe.contracts.ddl import schema_ddl
from ronghe.crash import crash_point
from ronghe.home import Home
from ronghe.ingest.closed import DESTRUCTION, UNRECORDED
from ronghe.ingest.deliveries import Delivery, content_sha256
from ronghe.job import Faults, alone
from ronghe.lake import Lake, Part, digest
from ronghe.privacy.keys import KeyStore
from ronghe.privacy.text.columns import MEMORY
from ronghe.retention.due import (
    REFUSED,
    RETENTION,
    Act,
    day_keys,
    needed_texts,
    of_feed,
    of_table,
    of_texts,
    refuse_undeclared,
    rows_until,
    unrecorded,
)
from ronghe.stores import take_back
from ronghe.upkeep import QUARANTINE

DUPLICATE = "meta.duplicate"
# The job that remembers treated texts.
_CROSSING = "desensitise_fused"
# What quarantine keeps of a record whose content has to go: that it was there, and its reasons.
_NOTHING = {"record": "'{}'"}
# An original on its way out; no delivery begins with a dot.
_ASIDE = ".destroyed~"


def destroy_due(lake: Lake, home: Home, as_of: date) -> int:
    """Destroy what is due on a business day; return how many acts found something to do.

    Keys go first: with them gone, tokens that are kept are mere numbers, whatever happens to the steps behind. What
    holds back one feed or table holds back no other.

    Raises:
        DataStopped: a file lies in a folder whose name is no date, a table is damaged, or the ledger has deliveries of
            a feed that nothing declares; all else that was due is gone.
        JobFailed: jobs held a feed for too long; all else that was due is gone.
    """
    trail, faults = Trail(lake), Faults()
    count = 0
    with faults.collected():
        count += _keys(trail, KeyStore(home.keys), as_of)
    groups: dict[str, list[Feed]] = {name: [] for name, table in lake.catalogue.tables.items() if table.retention}
    for feed in lake.catalogue.feeds.values():
        groups.setdefault(feed.target, []).append(feed)
    for target, feeds in groups.items():
        # Together: what is accepted of one feed may reopen a delivery of another one of its target.
        with faults.collected(), alone(home, *(feed.id for feed in feeds)):
            for feed in feeds:
                with faults.collected():
                    count += _feed(trail, home, feed, as_of)
            with faults.collected():
                rows = of_table(lake, target, as_of)
                count += trail.carry_out([rows] if rows else [], lambda act: _destroy_rows(lake, act))
    with faults.collected(), alone(home, _CROSSING):
        count += trail.carry_out([of_texts(lake, as_of)], lambda _: _forget_texts(lake))
    faults.tell()
    return count


def _keys(trail: "Trail", store: KeyStore, as_of: date) -> int:
    """Destroy keys of days; none as long as a feed is not known whose window may be longer."""
    refuse_undeclared(trail.lake)
    return trail.carry_out([day_keys(trail.lake.catalogue, store.ids(), as_of)], lambda act: store.destroy(act.keys))


def _feed(trail: "Trail", home: Home, feed: Feed, as_of: date) -> int:
    _put_back(home.landing / feed.source_code)
    acts = list(of_feed(trail.lake, home, feed, as_of))

    def destroy(act: Act) -> None:
        if act.reason == UNRECORDED:
            _destroy_unrecorded(trail.lake, feed)
        else:
            _destroy_deliveries(trail, home, feed, act)

    return trail.carry_out(acts, destroy)


class Trail:
    """The ledger of destruction: what was begun, and what is done."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        # Nobody else writes it: the job runs alone.
        self._known: list[dict[str, Any]] = lake.rows(DESTRUCTION).to_pylist()

    def carry_out(self, acts: Iterable[Act], destroy: Callable[[Act], object]) -> int:
        """Carry out acts that find something to go, and those that were cut off; return how many found something."""
        count = 0
        for act in acts:
            if act.is_due:
                self.record("begun", [self._row(act), *map(_row_of, _of_each(act))])
                crash_point("destruction:begun")
            if act.is_due or self._open(act):
                destroy(act)
                self._end(act)
            count += act.is_due
        return count

    def record(self, state: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows in a state, each once however often it is recorded."""
        there = {(row["destruction_id"], row["state_code"]) for row in self._known}
        now = datetime.now(UTC)
        new = [
            {**r, "state_code": state, "recorded_at": now} for r in rows if (r["destruction_id"], state) not in there
        ]
        if not new:
            return
        table = self.lake.catalogue.table(DESTRUCTION)
        values = [tuple(row[name] for name in table.column_names) for row in new]
        frame = self.lake.spark.createDataFrame(values, schema_ddl(table))
        self.lake.append(DESTRUCTION, frame, digest(DESTRUCTION, state, [row["destruction_id"] for row in new]))
        self._known += new

    def _open(self, act: Act) -> list[dict[str, Any]]:
        """Return the acts of the same reason and subject that are not done."""
        rows = [row for row in self._known if (row["reason_code"], row["subject"]) == (act.reason, act.subject)]
        done = {row["destruction_id"] for row in rows if row["state_code"] == "done"}
        return [row for row in rows if row["destruction_id"] not in done]

    def _end(self, act: Act) -> None:
        """Write that an act is done, and whatever was cut off of it before."""
        crash_point("destruction:ending")
        same = self._open(act)
        self.record("done", [r for r in same if not act.until or not r["until_date"] or r["until_date"] <= act.until])

    def _row(self, act: Act) -> dict[str, Any]:
        """Return the row of an act: the same one that was cut off has the same identifier, a later one another."""
        said = (act.reason, act.subject)
        done = [r for r in self._known if (r["reason_code"], r["subject"]) == said and r["state_code"] == "done"]
        return _row_of(act) | {"destruction_id": digest(*said, act.until, act.proof, len(done))[:20]}


def _of_each(act: Act) -> list[Act]:
    """Return the part of an act that is about each of its deliveries."""
    return [Act(act.reason, d.delivery_id, act.as_of, d.business_date, (d,)) for d in act.deliveries]


def _row_of(act: Act) -> dict[str, Any]:
    return {
        "destruction_id": digest(act.reason, act.subject, act.until, act.proof)[:20],
        "reason_code": act.reason,
        "subject": act.subject,
        "until_date": act.until,
        "as_of_date": act.as_of,
        "delivery_count": len(act.deliveries),
        "file_count": len(act.originals),
        "record_count": act.records,
        "key_count": len(act.keys),
        "proof_sha256": act.proof,
    }


def _destroy_deliveries(trail: Trail, home: Home, feed: Feed, act: Act) -> None:
    """Take originals and records out, then say so of each delivery; `meta.delivery` keeps its counts."""
    lake = trail.lake
    for original in act.originals:
        _take_out(home.landing / original.path, original)
    crash_point("destruction:originals")
    if act.reason == REFUSED or not act.deliveries:
        return
    for delivery in act.deliveries:
        (home.staging(feed.id) / f"{delivery.delivery_id}.parquet").unlink(missing_ok=True)
    take_back(home.shared_staging(feed.id))  # no job of the feed runs, so all of it is a killed one's
    where = Part("delivery_id", tuple(d.delivery_id for d in act.deliveries)).predicate()
    lake.destroy(feed.raw_table, where)
    if act.reason == RETENTION:
        lake.destroy(QUARANTINE, where)
        lake.destroy(DUPLICATE, where)
    else:
        lake.blank(QUARANTINE, _NOTHING, where)
    for table_id in (feed.raw_table, QUARANTINE, DUPLICATE):
        lake.forget(table_id)
    trail.record("done", map(_row_of, _of_each(act)))


def _destroy_unrecorded(lake: Lake, feed: Feed) -> None:
    if lost := unrecorded(lake, feed):
        lake.destroy(feed.raw_table, lost.predicate())
    lake.forget(feed.raw_table)


def _destroy_rows(lake: Lake, act: Act) -> None:
    lake.destroy(act.subject, rows_until(lake, act.until or act.as_of, act.subject))
    lake.forget(act.subject)


def _forget_texts(lake: Lake) -> None:
    lake.replace(MEMORY, needed_texts(lake), digest(MEMORY, lake.state(MEMORY)))
    lake.forget(MEMORY)


def _take_out(path: Path, original: Delivery) -> None:
    """Remove an original; other content that its source has put in its place since it was looked at stays.

    It is moved first and looked at then, so that nothing can take its place in between.
    """
    aside = path.with_name(f"{_ASIDE}{path.name}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    crash_point("destruction:aside")
    if content_sha256(aside) == original.content_sha256:
        aside.unlink()
    else:
        _put_back(path.parent)


def _put_back(folder: Path) -> None:
    """Put files that were moved where they were, unless their source has put newer ones there meanwhile."""
    for aside in folder.rglob(f"{_ASIDE}*"):
        path = aside.with_name(aside.name.removeprefix(_ASIDE))
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                aside.rename(path)
        aside.unlink(missing_ok=True)
