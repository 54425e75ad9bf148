"""Compact small files, and remove those that no retained version needs.

Reads:  every table
Writes: the same rows in fewer files
Usage:  python jobs/maintain_lake.py
Returns the number of tables maintained.
"""

from ronghe.job import JobContext, job_main


def run(ctx: JobContext) -> int:
    """Maintain every table that exists."""
    tables = [name for name in ctx.catalogue.tables if ctx.lake.exists(name)]
    for name in tables:
        ctx.lake.maintain(name)
    return len(tables)


if __name__ == "__main__":
    job_main(run)
