"""Days that are closed: what was destroyed of them stays so, and is not made anew from what comes late."""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ronghe.lake import Lake

DESTRUCTION = "meta.destruction"
# What a destruction is about, where it is no feed and no table: the random keys of service days.
KEYS = "keys"


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
