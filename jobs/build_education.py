"""Build schools, pupils and teachers by division, term and kind of school, through the gate.

Reads:  std.school (accepted deliveries), fused.division
Writes: mart.education (the terms that changed), meta.gate_audit
Usage:  python jobs/build_education.py
Returns the number of terms built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.lake import digest
from ronghe.livelihood import education, parts

MART = parts.GatedMart("mart.education", "term_code", education.MEASURES, education.as_table)


def run(ctx: JobContext) -> int:
    """Count the standing figures of the terms that changed."""
    lake, schools = ctx.lake, accepted_rows(ctx.lake, "std.school")
    basis = digest(sorted(lake.rows("fused.division").to_pylist(), key=str))
    due = parts.due_parts(lake, MART, schools, basis, ctx.days, restated_rows(lake, "std.school"))
    return parts.build_gated(lake, MART, education.contributions(schools, lake.read("fused.division")), due)


if __name__ == "__main__":
    job_main(run)
