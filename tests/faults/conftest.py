"""The fixtures of a night by jobs (`tests/nights.py`), and an engine to be hurt."""

from tests.faults.chain import undisturbed
from tests.faults.victim import victim
from tests.nights import reference, run_job, server

__all__ = ["reference", "run_job", "server", "undisturbed", "victim"]
