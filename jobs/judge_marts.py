"""Judge every open table that changed, by its contract and its expectations, and write the pages about quality.

Reads:  every mart and safe table, meta.quality, meta.delivery, meta.quarantine
Writes: meta.quality, data/open/docs/quality/
Usage:  python jobs/judge_marts.py
Returns the number of tables judged; one that is as it was judged is not judged again.
"""

from ronghe.job import DataStopped, JobContext, job_main
from ronghe.quality import judgements, report


def run(ctx: JobContext) -> int:
    """Judge, write the pages, and stop what must not go out; said again on every run until it is mended."""
    found, new = judgements.judge_open_tables(ctx.lake)
    report.write_pages(ctx.lake)
    if said := judgements.stopping(found):
        raise DataStopped(f"not to be released: {said}. See {ctx.home.docs / 'quality' / 'index.html'}")
    return new


if __name__ == "__main__":
    job_main(run)
