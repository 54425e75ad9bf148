"""Airflow's servers on one machine: one process that upgrades the database, starts the four, and starts each that dies.

`airflow standalone` is for development: it insists on the simple login, and its scheduler and triggerer serve logs on
every address of the machine. Here they serve none: the API server reads them from the disk.
"""

import signal
import subprocess
import sys
import time
from types import FrameType

# What each process of Airflow's is started with.
SERVERS: dict[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_AGAIN_SECONDS = 5.0


def run(program: str) -> None:
    """Run the servers until this process is asked to end; then end them."""
    subprocess.run([program, "db", "migrate"], check=True)
    signal.signal(signal.SIGTERM, _end)
    running = {name: _start(program, name) for name in SERVERS}
    try:
        while True:
            time.sleep(_AGAIN_SECONDS)
            for name, process in running.items():
                if process.poll() is not None:
                    sys.stdout.write(f"{name} ended with {process.returncode}; it is started again\n")
                    sys.stdout.flush()
                    running[name] = _start(program, name)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(program: str, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([program, name, *SERVERS[name]])


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    run(sys.argv[1])
