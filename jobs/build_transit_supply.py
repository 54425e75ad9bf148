"""Build planned departures and headways by stop and hour of the service day.

Reads:  std.stop_time (accepted deliveries), fused.link_place_source
Writes: mart.transit_supply (the timetables that changed), meta.mart_part
Usage:  python jobs/build_transit_supply.py
Returns the number of timetables built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.livelihood import parts, places, transit_supply

MART = parts.Mart("mart.transit_supply", "feed_date")


def run(ctx: JobContext) -> int:
    """Count the departures of the timetables that changed."""
    lake = ctx.lake
    stop_times = accepted_rows(lake, "std.stop_time")
    gone, basis = restated_rows(lake, "std.stop_time"), places.basis(lake, transit_supply.KINDS)
    due = parts.due_parts(lake, MART, stop_times, basis, ctx.days, gone)
    stops = places.places_by_code(lake.read(places.LINKS), transit_supply.KINDS)
    return parts.build(lake, MART, transit_supply.hours(transit_supply.departures(stop_times, stops)), due)


if __name__ == "__main__":
    job_main(run)
