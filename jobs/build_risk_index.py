"""Build the risk indices of regions and cities by week: each indicator, and the scores and ranks made of them.

Reads:  the std tables that the declared indices name (accepted deliveries)
Writes: mart.risk_indicator, mart.risk_index (the weeks that changed), meta.mart_part
Usage:  python jobs/build_risk_index.py
Returns the number of weeks built.
"""

from datetime import date

from ronghe.contracts.ddl import schema_ddl
from ronghe.job import JobContext, job_main
from ronghe.lake import digest
from ronghe.livelihood import parts
from ronghe.risk import build, measure

MARTS = (parts.Mart("mart.risk_indicator", "period_end_date"), parts.Mart("mart.risk_index", "period_end_date"))


def run(ctx: JobContext) -> int:
    """Measure the weeks that changed in either mart and put them in place of what was there."""
    lake, indices = ctx.lake, list(ctx.catalogue.indices.values())
    behind = measure.deliveries(lake, indices).persist()
    basis = digest(
        [index.fingerprint() for index in indices], [ctx.catalogue.codeset(i.units).fingerprint() for i in indices]
    )
    due = [parts.due_parts(lake, mart, behind, basis, ctx.days) for mart in MARTS]
    weeks = [date.fromisoformat(week) for week in sorted({week for states in due for week in states})]
    rows: tuple[list[build.Row], list[build.Row]] = ([], [])
    for index in indices if weeks else []:
        cells = measure.measure(lake, index, weeks)
        for found, new in zip(rows, build.rows(index, measure.units(ctx.catalogue, index), cells), strict=True):
            found.extend(new)
    for mart, states, content in zip(MARTS, due, rows, strict=True):
        frame = ctx.spark.createDataFrame(content, schema_ddl(ctx.catalogue.table(mart.table_id)))
        parts.build(lake, mart, frame, states)
    behind.unpersist()
    return len(weeks)


if __name__ == "__main__":
    job_main(run)
