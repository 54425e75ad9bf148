"""Take fused rows about organisations, places and divisions across to the open half, under their treatments.

Reads:  the fused tables that safe tables cross from, meta.text_treatment
Writes: every safe table, meta.text_treatment
Usage:  python jobs/desensitise_fused.py
Returns the number of safe tables written.
"""

from ronghe.job import JobContext, job_main
from ronghe.privacy.text.columns import RememberedTexts
from ronghe.privacy.treatments import desensitise


def run(ctx: JobContext) -> int:
    """Write each safe table whose fused table or treatments changed."""
    lake, written = ctx.lake, 0
    for target in (table for table in ctx.catalogue.tables.values() if table.crosses):
        origin = ctx.catalogue.table(str(target.crosses))
        if lake.exists(origin.id):
            lake.evolve(origin.id, only_look=True)  # under a contract that its table refuses nothing may leave
        policies = [
            ctx.catalogue.policy(p) for c in target.columns for p in sorted(origin.column(c.name).treatment.policies)
        ]
        fingerprint = lake.fingerprint(target.id, None, [origin.id], [origin, *policies])
        if not lake.is_current(target.id, fingerprint):
            safe = desensitise(lake.read(origin.id), origin, target, RememberedTexts(lake))
            written += lake.merge(target.id, safe, fingerprint)
    return written


if __name__ == "__main__":
    job_main(run)
