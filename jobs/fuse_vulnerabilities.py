"""Fuse catalogues of exploited vulnerabilities and exploit predictions into one row per CVE number.

Reads:  the tables the linkage `vulnerability` names (accepted deliveries)
Writes: fused.vulnerability
Usage:  python jobs/fuse_vulnerabilities.py
Returns 1, or 0 where nothing new was accepted.
"""

from ronghe.fuse import vulnerabilities
from ronghe.fuse.records import gather
from ronghe.ingest.deliveries import accepted_ids
from ronghe.job import JobContext, job_main

TARGET = "fused.vulnerability"


def run(ctx: JobContext) -> int:
    """Merge each CVE number's records by trust and recency."""
    lake, linkage = ctx.lake, ctx.catalogue.linkage("vulnerability")
    accepted = accepted_ids(lake, (item.table for item in linkage.inputs))
    done = lake.fingerprint(TARGET, accepted, declarations=[linkage])
    if lake.is_current(TARGET, done):
        return 0
    return int(lake.merge(TARGET, vulnerabilities.merge(gather(lake, linkage)), done))


if __name__ == "__main__":
    job_main(run)
