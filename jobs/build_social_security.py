"""Build accounts and contributions by division, month and scheme, through the gate.

Reads:  std.social_security_account (accepted deliveries)
Writes: mart.social_security (the months that changed), meta.gate_audit
Usage:  python jobs/build_social_security.py
Returns the number of months built.
"""

from ronghe.ingest.deliveries import accepted_rows, restated_rows
from ronghe.job import JobContext, job_main
from ronghe.livelihood import parts, social_security

MART = parts.GatedMart("mart.social_security", "contribution_month", social_security.MEASURES, social_security.as_table)


def run(ctx: JobContext) -> int:
    """Count the standing contributions of the months that changed."""
    accounts = accepted_rows(ctx.lake, "std.social_security_account")
    gone = restated_rows(ctx.lake, "std.social_security_account")
    due = parts.due_parts(ctx.lake, MART, accounts, "", ctx.days, gone)
    return parts.build_gated(ctx.lake, MART, social_security.contributions(accounts), due)


if __name__ == "__main__":
    job_main(run)
