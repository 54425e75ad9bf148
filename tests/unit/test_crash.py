"""A crash point kills where it is told to, and nowhere else."""

import os
import subprocess
import sys

import pytest

from ronghe.crash import VARIABLE

PASSING = "from ronghe.crash import crash_point\nfor n in range(3): print(n); crash_point('a.b:after')"


@pytest.mark.parametrize(
    ("wanted", "code", "said"),
    [
        (None, 0, "0 1 2"),
        ("a.b:before", 0, "0 1 2"),
        ("a.b:after", -9, "0"),
        ("a.b:after:2", -9, "0 1"),
        ("a.b:after:4", 0, "0 1 2"),
    ],
)
def test_process_is_killed_at_the_point_that_is_named(wanted: str | None, code: int, said: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | ({VARIABLE: wanted} if wanted else {})
    done = subprocess.run(
        [sys.executable, "-u", "-c", PASSING], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (code, said.split())
