"""Compact small files, and remove those that no retained version needs.

Reads:  every table
Writes: the same rows in fewer files
Usage:  python jobs/maintain_lake.py
Returns the number of tables maintained.
"""

from ronghe.job import Faults, JobContext, job_main


def run(ctx: JobContext) -> int:
    """Maintain every table that exists; one that cannot be maintained holds back no other."""
    faults, count = Faults(), 0
    for name in ctx.catalogue.tables:
        with faults.collected():
            if ctx.lake.exists(name):
                ctx.lake.maintain(name)
                count += 1
    faults.tell()
    return count


if __name__ == "__main__":
    job_main(run)
