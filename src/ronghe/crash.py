"""Named crash points: where a test may kill the process, to show that a rerun gives the same tables.

`RONGHE_CRASH=<name>` kills at the first passing of a point, `RONGHE_CRASH=<name>:<n>` at the n-th.
"""

import os
import signal
from collections import Counter

VARIABLE = "RONGHE_CRASH"
_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if the environment names the point; otherwise do nothing."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, count = wanted.rpartition(":")
    if not count.isdigit():
        point, count = wanted, "1"
    if point == name:
        _passed[name] += 1
        if _passed[name] == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
