"""Run jobs one after the other in one process, so that libraries are imported once.

Usage: python -m tests.engine.run_jobs ingest_deliveries=shenzhen.swipe fuse_places
"""

import sys
from importlib import import_module

from ronghe.job import run_job

if __name__ == "__main__":
    for argument in sys.argv[1:]:
        verb, _, feed = argument.partition("=")
        run_job(import_module(f"jobs.{verb}").run, verb, feed_id=feed or None)
