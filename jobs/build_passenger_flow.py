"""Build the passenger flow by place and quarter of an hour, through the gate.

Reads:  std.swipe (accepted deliveries), fused.link_place_source
Writes: mart.passenger_flow (the days that changed), meta.gate_audit
Usage:  python jobs/build_passenger_flow.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.livelihood import parts, passenger_flow, places

MART = parts.GatedMart("mart.passenger_flow", "service_date", passenger_flow.MEASURES, passenger_flow.as_table)


def run(ctx: JobContext) -> int:
    """Count the swipes of the days that changed."""
    lake = ctx.lake
    swipes = accepted_rows(lake, "std.swipe")
    gone, basis = restated_rows(lake, "std.swipe"), places.basis(lake, passenger_flow.KINDS)
    due = parts.due_parts(lake, MART, swipes, basis, ctx.days, gone)
    return parts.build_gated(lake, MART, passenger_flow.contributions(swipes, lake.read(places.LINKS)), due)


if __name__ == "__main__":
    job_main(run)
