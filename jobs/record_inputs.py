"""Record which sources are in before the night builds on them, and tell a person which are late.

Reads:  meta.delivery, meta.night_input
Writes: meta.night_input, the metrics
Usage:  python jobs/record_inputs.py
Returns the number of feeds whose state was not recorded yet.
"""

from ronghe.job import JobContext, job_main
from ronghe.monitoring.freshness import record_inputs
from ronghe.monitoring.metrics import write_metrics
from ronghe.monitoring.notify import Event, notify


def run(ctx: JobContext) -> int:
    """Write what is new; a state is told once, however often the night runs."""
    new = record_inputs(ctx.lake)
    for state in new:
        if state.is_late:
            notify(Event("late_source", state.feed_id, state.said(), "late-source"))
    write_metrics(ctx.home, ctx.lake)
    return len(new)


if __name__ == "__main__":
    job_main(run)
