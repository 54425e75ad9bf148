"""Put the administrative divisions and their history into the lake.

Reads:  code set division (GB/T 2260 with validity)
Writes: fused.division
Usage:  python jobs/fuse_divisions.py
Returns the number of codes and names, 0 where they are there already.
"""

from ronghe.contracts.ddl import schema_ddl
from ronghe.fuse.divisions import division_rows
from ronghe.job import JobContext, job_main

TABLE = "fused.division"


def run(ctx: JobContext) -> int:
    """Replace the table if the packaged history or the declared changes are others."""
    codeset = ctx.catalogue.codeset("division")
    rows = division_rows(codeset)
    fingerprint = ctx.lake.fingerprint(TABLE, rows, declarations=[codeset])
    frame = ctx.spark.createDataFrame(rows, schema_ddl(ctx.catalogue.table(TABLE)))
    return len(rows) if ctx.lake.replace(TABLE, frame, fingerprint) else 0


if __name__ == "__main__":
    job_main(run)
