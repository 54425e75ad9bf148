"""Build the passenger flow by place and quarter of an hour, through the gate.

Reads:  std.swipe (accepted deliveries), fused.link_place_source
Writes: mart.passenger_flow (the days that changed), meta.gate_audit
Usage:  python jobs/build_passenger_flow.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows
from ronghe.job import JobContext, job_main
from ronghe.lake import digest
from ronghe.livelihood import parts, passenger_flow

MART = parts.GatedMart("mart.passenger_flow", "service_date", passenger_flow.MEASURES, passenger_flow.as_table)


def run(ctx: JobContext) -> int:
    """Count the swipes of the days that changed."""
    lake = ctx.lake
    swipes = accepted_rows(lake, "std.swipe")
    # Which place a code and name are, not how often they were seen: that changes with every delivery.
    identity = ["source_code", "place_kind_code", "place_code", "place_name", "place_id"]
    basis = digest(sorted(lake.rows("fused.link_place_source", identity).to_pylist(), key=str))
    due = parts.due_parts(lake, MART, swipes, basis, ctx.days)
    links = lake.read("fused.link_place_source")
    return parts.build_gated(lake, MART, passenger_flow.contributions(swipes, links), due)


if __name__ == "__main__":
    job_main(run)
