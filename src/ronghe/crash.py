"""Named crash points: where a test may kill the process, to show that a rerun gives the same tables."""

import os
import signal

VARIABLE = "RONGHE_CRASH"


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if the environment names the point; otherwise do nothing."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
