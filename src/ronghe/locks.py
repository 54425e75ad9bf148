"""Locks between processes of one machine: files that are held as long as a process that has them open lives."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def holding(path: Path, *, wait: bool = True) -> Iterator[IO[str]]:
    """Hold a lock file, made where there is none, and give it: a child that inherits it holds on to it.

    Raises:
        BlockingIOError: somebody else holds it, and nobody is to wait.
    """
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
