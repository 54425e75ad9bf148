"""Build requests by division, topic and day of receipt, through the gate.

Reads:  std.service_request (accepted deliveries)
Writes: mart.service_request (the days that changed), meta.gate_audit
Usage:  python jobs/build_service_request.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.livelihood import parts, service_request

MART = parts.GatedMart("mart.service_request", "received_date", service_request.MEASURES, service_request.as_table)


def run(ctx: JobContext) -> int:
    """Count the requests received on the days that changed."""
    requests = accepted_rows(ctx.lake, "std.service_request")
    days = parts.touched(requests, service_request.REQUEST, MART.part_column)
    due = parts.due_parts(ctx.lake, MART, days, "", ctx.days, restated_rows(ctx.lake, "std.service_request"))
    return parts.build_gated(ctx.lake, MART, service_request.contributions(requests), due)


if __name__ == "__main__":
    job_main(run)
