"""The fixtures of a night by jobs (`tests/nights.py`)."""

from tests.nights import reference, run_job, server

__all__ = ["reference", "run_job", "server"]
