"""The fixtures of a night by jobs (`tests/nights.py`): an engine, a runner of jobs, an undisturbed night to compare."""

from tests.nights import reference, run_job, server

__all__ = ["reference", "run_job", "server"]
