"""Where the processes of an engine put what does not fit into memory: rows, so it lies in the home and goes with them.

The server writes into `engine/spill` itself, each daemon of a cluster into a folder of its own there, on which it holds
a lock that the operating system frees however it ends. So whoever starts removes what the dead have left, and nothing
of the living.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from ronghe.locks import holding

_HELD = ".held"


class SpillHeld(RuntimeError):
    """Somebody works in the folder."""


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that lead a process to its folder: Spark's own, and Hadoop's for what S3A has yet to upload.

    The executors of a worker go where the worker is led: of the server's settings it takes none.
    """
    return {"SPARK_LOCAL_DIRS": str(folder), "LOCAL_DIRS": str(folder)}


@contextmanager
def held(folder: Path) -> Iterator[IO[str]]:
    """Take a folder, closed to others and emptied; children that inherit the file hold it until they end.

    Raises:
        SpillHeld: somebody works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(holding(folder / _HELD, wait=False))
        except BlockingIOError:
            raise SpillHeld(folder) from None
        for path in folder.iterdir():
            if path.name != _HELD:
                _remove(path)
        yield lock


def clear(root: Path) -> None:
    """Remove what a server that is gone has left, and daemons that are; what it holds are rows of no use to anybody."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    for path in root.iterdir():
        if not path.is_dir():
            _remove(path)
            continue
        with suppress(SpillHeld), held(path):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
