"""Days that are closed: what was destroyed of them stays so, and is not made anew from what comes late."""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ronghe.lake import Lake

DESTRUCTION = "meta.destruction"
# What a destruction is about, where it is no feed and no table: the random keys of service days.
KEYS = "keys"
# The reason of a destruction: raw records of a delivery that no event tells of.
UNRECORDED = "unrecorded"


def closed_until(lake: "Lake", subject: str) -> date | None:
    """Return the last day of which a subject was destroyed: a table's rows, or the keys of service days.

    A destruction counts from the moment it was begun: one that was cut off closes its days all the same.
    """
    rows = lake.rows(DESTRUCTION, ["subject", "until_date"]).to_pylist()
    return max((row["until_date"] for row in rows if row["subject"] == subject and row["until_date"]), default=None)


def purged_ids(lake: "Lake") -> frozenset[str]:
    """Return the ids of deliveries that are gone: the original, the records as read, what quarantine kept of them.

    A delivery counts from the moment its destruction was begun: nothing is made of one that is half gone.
    """
    return frozenset(lake.rows(DESTRUCTION, ["subject"])["subject"].to_pylist())


def times_cleared(lake: "Lake", feed_id: str) -> int:
    """Return how often a feed's raw records without a delivery went: where one comes after all, it is written again."""
    rows = lake.rows(DESTRUCTION, ["reason_code", "subject", "destruction_id"]).to_pylist()
    return len({r["destruction_id"] for r in rows if (r["reason_code"], r["subject"]) == (UNRECORDED, feed_id)})
