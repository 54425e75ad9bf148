"""Decide the records in quarantine of one feed again, after its contract, a code set or a normaliser was mended.

Reads:  meta.quarantine, raw.<source>__<feed>, the feed's target table (of accepted deliveries)
Writes: the feed's target table, meta.duplicate, meta.quarantine, meta.quality, then meta.delivery (replayed)
Usage:  python jobs/replay_quarantine.py --feed shenzhen.swipe --days 2026-11-01..2026-11-07
Returns the number of records that left quarantine, 0 where nothing passes that did not pass before.
"""

from ronghe.job import JobContext, job_main
from ronghe.quality import replay


def run(ctx: JobContext) -> int:
    """Replay the feed; what is built from its deliveries is built again by the next run."""
    return replay.run(ctx)


if __name__ == "__main__":
    job_main(run)
