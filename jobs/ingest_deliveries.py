"""Take in what a source has delivered: land it, bring it under the standard, accept it.

Reads:  the feed's folder of the landing zone
Writes: what land_deliveries, standardise_deliveries and accept_deliveries write
Usage:  python jobs/ingest_deliveries.py --feed shenzhen.swipe
Returns the number of deliveries accepted, 0 where nothing is new.
"""

from jobs import accept_deliveries, land_deliveries, standardise_deliveries
from ronghe.job import JobContext, job_main


def run(ctx: JobContext) -> int:
    """Take the three steps in one session: most of a small feed's time would go into starting three tasks."""
    if land_deliveries.run(ctx) == 0:
        return 0
    accepted = 0
    # A second time where a restated delivery reopened others.
    while standardise_deliveries.run(ctx) and (more := accept_deliveries.run(ctx)):
        accepted += more
    return accepted


if __name__ == "__main__":
    job_main(run)
