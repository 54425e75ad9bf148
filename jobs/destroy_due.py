"""Destroy what has to go: day keys, identifiers and originals of closed days, rows whose retention is over.

Reads:  meta.delivery, meta.destruction, the landing zone, the keys, std tables with a retention, fused tables of texts
Writes: meta.destruction; deletes in the landing zone, the keys, raw, meta.quarantine, meta.duplicate,
        meta.text_treatment and std
Usage:  python jobs/destroy_due.py [--days 2026-11-22: measure from an earlier business day]
Returns the number of acts of destruction.
"""

from datetime import UTC, datetime

from ronghe.job import JobContext, job_main
from ronghe.retention.destroy import destroy_due
from ronghe.retention.due import newest_day


def run(ctx: JobContext) -> int:
    """Measure from the newest business day that was accepted; a day that is asked for can only hold back."""
    newest = newest_day(ctx.lake, datetime.now(UTC).date())
    if newest is None:
        return 0
    return destroy_due(ctx.lake, ctx.home, min(newest, ctx.days.last) if ctx.days else newest)


if __name__ == "__main__":
    job_main(run)
