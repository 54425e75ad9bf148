"""Build incidents and repairs on pipe networks by division, kind of network and day.

Reads:  std.pipe_incident (accepted deliveries), fused.asset, fused.division
Writes: mart.pipe_network (the days that changed), meta.mart_part
Usage:  python jobs/build_pipe_network.py --days 2026-11-01..2026-11-07
Returns the number of days built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.lake import digest
from ronghe.livelihood import parts, pipe_network

MART, INCIDENTS = parts.Mart("mart.pipe_network", "event_date"), "std.pipe_incident"


def run(ctx: JobContext) -> int:
    """Count the incidents of the days that changed."""
    lake = ctx.lake
    clocks = {feed.source_code: feed.timezone for feed in ctx.catalogue.feeds.values() if feed.target == INCIDENTS}
    states = pipe_network.dated(accepted_rows(lake, INCIDENTS), clocks)
    gone = pipe_network.dated(restated_rows(lake, INCIDENTS), clocks)
    lengths = pipe_network.network(lake.read("fused.asset")).localCheckpoint()
    basis = digest(*(sorted(rows, key=str) for rows in (lengths.collect(), lake.rows("fused.division").to_pylist())))
    days = parts.touched(states, pipe_network.INCIDENT, MART.part_column)
    due = parts.due_parts(lake, MART, days, basis, ctx.days, gone)
    return parts.build(lake, MART, pipe_network.as_table(states, lengths, lake.read("fused.division")), due)


if __name__ == "__main__":
    job_main(run)
