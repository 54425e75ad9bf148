"""Build air and water by station, indicator and day, held against the limits of the standards.

Reads:  std.environment_reading (accepted deliveries), fused.link_place_source
Writes: mart.ecology (the days that changed), meta.mart_part
Usage:  python jobs/build_ecology.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.lake import digest
from ronghe.livelihood import ecology, parts

MART = parts.Mart("mart.ecology", "reading_date")
LINKS = "fused.link_place_source"


def run(ctx: JobContext) -> int:
    """Figure out the days whose readings, stations or limits changed."""
    lake, limits = ctx.lake, ctx.catalogue.limits.values()
    readings = ecology.by_day(accepted_rows(lake, "std.environment_reading"))
    gone = ecology.by_day(restated_rows(lake, "std.environment_reading"))
    kinds = {found.place_kind_code for found in limits}
    identity = ["source_code", "place_kind_code", "place_code", "place_name", "place_id"]
    stations = [row for row in lake.rows(LINKS, identity).to_pylist() if row["place_kind_code"] in kinds]
    basis = digest(sorted(stations, key=str), [found.fingerprint() for found in limits])
    due = parts.due_parts(lake, MART, readings, basis, ctx.days, gone)
    rows = ecology.figures(readings, lake.read(LINKS), ecology.limit_frame(ctx.spark, limits))
    return parts.build(lake, MART, rows, due)


if __name__ == "__main__":
    job_main(run)
