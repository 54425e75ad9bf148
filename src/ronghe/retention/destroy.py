"""Destroy what is due, in an order that a kill at any point leaves in order.

begun in the ledger -> keys -> originals -> raw -> quarantine -> old versions -> each delivery -> done. From
the first step on the days are closed, so nothing is made anew of them; every later step may be done again.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from ronghe.contracts import Feed
from ronghe.contracts.ddl import schema_ddl
from ronghe.crash import crash_point
from ronghe.home import Home
from ronghe.ingest.closed import DESTRUCTION
from ronghe.ingest.deliveries import Delivery
from ronghe.lake import Lake, Part, digest
from ronghe.privacy.keys import KeyStore
from ronghe.retention.due import REFUSED, RETENTION, Act, day_keys, of_feed, of_table, rows_until

QUARANTINE, DUPLICATE = "meta.quarantine", "meta.duplicate"
# What quarantine keeps of a record whose content has to go: that it was there, and its reasons.
_NOTHING = {"record": "'{}'"}


def destroy_due(lake: Lake, home: Home, as_of: date) -> list[Act]:
    """Destroy what is due on a business day; return the acts that found something to do.

    Keys go first: with them gone, tokens that are kept are mere numbers, whatever happens to the steps behind.
    """
    return [act for act in _acts(lake, home, as_of) if act.is_due]


def _acts(lake: Lake, home: Home, as_of: date) -> Iterator[Act]:
    store = KeyStore(home.keys)
    if keys := day_keys(lake.catalogue, store.ids(), as_of):
        for act in _begun(lake, [keys]):
            store.destroy(act.keys)
            _end(lake, act)
        yield keys
    for feed in lake.catalogue.feeds.values():
        found = list(of_feed(lake, home, feed, as_of))
        for act in _begun(lake, found):
            _destroy_deliveries(lake, home, feed, act)
            _end(lake, act)
        yield from found
    for table_id in lake.catalogue.tables:
        if rows := of_table(lake, table_id, as_of):
            for act in _begun(lake, [rows]):
                lake.destroy(table_id, rows_until(lake, act.until or as_of, table_id))
                lake.forget(table_id)
                _end(lake, act)
            yield rows


def _destroy_deliveries(lake: Lake, home: Home, feed: Feed, act: Act) -> None:
    """Take originals and records out, then say so of each delivery; `meta.delivery` keeps its counts."""
    for path in act.files:
        path.unlink(missing_ok=True)
    crash_point("destruction:originals")
    if act.reason == REFUSED or not act.deliveries:
        return
    for delivery in act.deliveries:
        (home.staging(feed.id) / f"{delivery.delivery_id}.parquet").unlink(missing_ok=True)
    where = Part("delivery_id", tuple(d.delivery_id for d in act.deliveries)).predicate()
    lake.destroy(feed.raw_table, where)
    if act.reason == RETENTION:
        lake.destroy(QUARANTINE, where)
        lake.destroy(DUPLICATE, where)
    else:
        lake.blank(QUARANTINE, _NOTHING, where)
    for table_id in (feed.raw_table, QUARANTINE, DUPLICATE):
        lake.forget(table_id)
    _record(lake, "done", [_purged(act, delivery) for delivery in act.deliveries])


def _begun(lake: Lake, acts: Iterable[Act]) -> Iterator[Act]:
    """Yield the acts to do: those with something to go, written down first, and those that were cut off."""
    open_acts = {(row["reason_code"], row["subject"]) for row in _open(lake)}
    for act in acts:
        if act.is_due:
            _record(lake, "begun", [_row(act)])
            crash_point("destruction:begun")
        if act.is_due or (act.reason, act.subject) in open_acts:
            yield act


def _end(lake: Lake, act: Act) -> None:
    """Write that an act is done, and whatever was cut off of it before."""
    crash_point("destruction:ending")
    same = [row for row in _open(lake) if (row["reason_code"], row["subject"]) == (act.reason, act.subject)]
    _record(
        lake, "done", [row for row in same if not act.until or not row["until_date"] or row["until_date"] <= act.until]
    )


def _open(lake: Lake) -> list[dict[str, Any]]:
    rows = lake.rows(DESTRUCTION).to_pylist()
    done = {row["destruction_id"] for row in rows if row["state_code"] == "done"}
    return [row for row in rows if row["destruction_id"] not in done]


def _row(act: Act) -> dict[str, Any]:
    return {
        "destruction_id": act.act_id,
        "reason_code": act.reason,
        "subject": act.subject,
        "until_date": act.until,
        "as_of_date": act.as_of,
        "delivery_count": len(act.deliveries),
        "file_count": len(act.files),
        "record_count": act.records,
        "key_count": len(act.keys),
        "proof_sha256": act.proof,
    }


def _purged(act: Act, delivery: Delivery) -> dict[str, Any]:
    """Return the row that says that one delivery is gone."""
    one = Act(act.reason, delivery.delivery_id, act.as_of, delivery.business_date, (delivery,))
    return _row(one)


def _record(lake: Lake, state: str, rows: Iterable[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    new = [{**row, "state_code": state, "recorded_at": now} for row in rows]
    if not new:
        return
    table = lake.catalogue.table(DESTRUCTION)
    values = [tuple(row[name] for name in table.column_names) for row in new]
    frame = lake.spark.createDataFrame(values, schema_ddl(table))
    lake.append(DESTRUCTION, frame, digest(DESTRUCTION, state, [row["destruction_id"] for row in new]))
