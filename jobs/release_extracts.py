"""Release every extract whose tables changed: a data package, audited and put up by one commit, then its database.

Reads:  the open tables that extracts name, meta.release, meta.quality
Writes: meta.release, meta.quality, the packages, the extracts' databases, the metrics
Usage:  python jobs/release_extracts.py
Returns the number of releases that went up.
"""

import logging

from ronghe.contracts import Extract
from ronghe.job import Faults, JobContext, job_main
from ronghe.lake import Lake
from ronghe.monitoring.metrics import write_metrics
from ronghe.monitoring.notify import Event, notify
from ronghe.quality import judgements
from ronghe.release import database, package

log = logging.getLogger(__name__)


def run(ctx: JobContext) -> int:
    """Release what is due; one extract that is held back does not hold back the others."""
    lake, released = ctx.lake, 0
    faults = Faults(lambda extract, said: notify(Event("release_failed", extract, said, "release-failed")))
    for extract in ctx.catalogue.extracts.values():
        with faults.collected(extract.id):
            if missing := package.missing_tables(lake, extract):
                log.info("%s waits for %s", extract.id, ", ".join(missing))
                continue
            judged = package.basis_of(lake, extract)
            _refuse_unsound(lake, extract)
            released += package.release_extract(lake, extract, package.record_release, judged) is not None
            _load_database(ctx, extract)
    with faults.collected():
        write_metrics(ctx.home, lake)
    faults.tell()
    return released


def _load_database(ctx: JobContext, extract: Extract) -> None:
    """Bring the extract's database to the release that is up."""
    current = package.releases(ctx.lake, extract.id)[-1]["release_id"]
    url = database.address(ctx.home, extract)
    database.load(url, extract, ctx.catalogue, ctx.home.releases / extract.id / current, current)


def _refuse_unsound(lake: Lake, extract: Extract) -> None:
    """Hold an extract back while a check that must hold of one of its tables does not.

    A table that changed since the night judged it is judged here; the others are looked up.
    """
    found = [judgements.judge_table(lake, name)[0] for name in extract.table_ids]
    if said := judgements.stopping(found):
        raise package.ReleaseHeldBack(f"release of {extract.id} held back: {said}. See docs/runbooks/quality-stop.md.")


if __name__ == "__main__":
    job_main(run)
