"""Release every extract whose tables changed: a data package, audited and put up by one commit, then its database.

Reads:  the open tables that extracts name, meta.release
Writes: meta.release, the packages, the extracts' databases, the metrics
Usage:  python jobs/release_extracts.py
Returns the number of releases that went up.
"""

import logging

from ronghe.job import DataStopped, JobContext, job_main
from ronghe.monitoring.metrics import write_metrics
from ronghe.monitoring.notify import Event, notify
from ronghe.release import database, package

log = logging.getLogger(__name__)


def run(ctx: JobContext) -> int:
    """Release what is due; one extract that is held back does not hold back the others."""
    lake, released, faults = ctx.lake, 0, []
    for extract in ctx.catalogue.extracts.values():
        if missing := package.missing_tables(lake, extract):
            log.info("%s waits for %s", extract.id, ", ".join(missing))
            continue
        try:
            released += package.release_extract(lake, extract, package.record_release) is not None
        except package.ReleaseHeldBack as error:
            faults.append(str(error))
            notify(Event("release_failed", extract.id, str(error), "release-failed"))
            continue
        current = package.releases(lake, extract.id)[-1]["release_id"]
        url = database.address(ctx.home, extract)
        database.load(url, extract, ctx.catalogue, ctx.home.releases / extract.id / current, current)
    write_metrics(ctx.home, lake)
    if faults:
        raise DataStopped("; ".join(faults))
    return released


if __name__ == "__main__":
    job_main(run)
