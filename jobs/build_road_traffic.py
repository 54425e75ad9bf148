"""Build vehicles, speed and congestion by road site, direction and hour.

Reads:  std.road_count (accepted deliveries), fused.link_place_source
Writes: mart.road_traffic (the days that changed), meta.mart_part
Usage:  python jobs/build_road_traffic.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.livelihood import parts, places, road_traffic

MART = parts.Mart("mart.road_traffic", "traffic_date")


def run(ctx: JobContext) -> int:
    """Count the vehicles of the days that changed."""
    lake = ctx.lake
    counts = accepted_rows(lake, "std.road_count")
    gone, basis = restated_rows(lake, "std.road_count"), places.basis(lake, road_traffic.KINDS)
    due = parts.due_parts(lake, MART, counts, basis, ctx.days, gone)
    sites = places.places_by_code(lake.read(places.LINKS), road_traffic.KINDS)
    return parts.build(lake, MART, road_traffic.hours(road_traffic.windows(counts, sites)), due)


if __name__ == "__main__":
    job_main(run)
