"""Reading the ledger of deliveries (`meta.delivery`): a delivery stands as its last event says; no engine is needed."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ronghe.lake import Lake
from ronghe.upkeep import QUARANTINE

LEDGER = "meta.delivery"
# A delivery whose last event is one of these is accepted: by its acceptance, or by the last replay of its quarantine.
ACCEPTED = ("accepted", "replayed")

# The next run of the ingest takes these up.
UNDER_WAY = ("landed", "reopened")


def last_events(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the last event of each delivery, by its id; rows need `delivery_id` and `recorded_at`."""
    return {row["delivery_id"]: row for row in sorted(rows, key=lambda row: row["recorded_at"])}


def accepted_events(lake: Lake, *columns: str) -> list[dict[str, Any]]:
    """Return the last event of each delivery that is accepted and was not superseded or reopened since.

    Args:
        lake: read.
        columns: columns of the ledger to have beside the event's own.
    """
    rows = lake.rows(LEDGER, list(dict.fromkeys(("delivery_id", "event_code", "recorded_at", *columns)))).to_pylist()
    return [row for row in last_events(rows).values() if row["event_code"] in ACCEPTED]


def accepted_states(lake: Lake) -> dict[str, str]:
    """Return what each accepted delivery stands for in a fingerprint, by its id.

    It is the id; and where it was accepted again or records came out of quarantine since, how often: its rows are
    others then.
    """
    rows = lake.rows(LEDGER, ["delivery_id", "event_code", "recorded_at"]).to_pylist()
    times = Counter(row["delivery_id"] for row in rows if row["event_code"] in ACCEPTED)
    accepted = (name for name, row in last_events(rows).items() if row["event_code"] in ACCEPTED)
    return {name: f"{name}+{times[name]}" if times[name] > 1 else name for name in accepted}


def superseded_ids(lake: Lake) -> frozenset[str]:
    """Return the ids of deliveries that were restated; what is said of their records is over."""
    return _ids_of(lake, "superseded")


def quarantined_rows(lake: Lake, *columns: str) -> list[dict[str, Any]]:
    """Return the records that are in quarantine, but for those of deliveries that were restated since.

    Args:
        lake: read.
        columns: columns of the quarantine to have beside `delivery_id` and `feed_id`.
    """
    over = superseded_ids(lake)
    rows = lake.rows(QUARANTINE, ["delivery_id", "feed_id", *columns]).to_pylist()
    return [row for row in rows if row["delivery_id"] not in over]


def under_way_ids(lake: Lake) -> frozenset[str]:
    """Return the ids of deliveries that the next run of the ingest takes up, of whatever feed."""
    return _ids_of(lake, *UNDER_WAY)


def _ids_of(lake: Lake, *events: str) -> frozenset[str]:
    last = last_events(lake.rows(LEDGER, ["delivery_id", "event_code", "recorded_at"]).to_pylist())
    return frozenset(name for name, row in last.items() if row["event_code"] in events)
