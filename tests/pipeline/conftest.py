"""A small night through Airflow's scheduler, made once and looked at by every test of the folder.

It is no easy night: it is cut off in the middle, taken up again while one source is late, and once more when that
source has come.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ronghe.home import Home
from tests.ports import free_port

SCALE = "0.03"
# What does not come in time, and what is waited for before the services are ended.
LATE = "xinjiang/road_count/2026-11-22"
TASKS_BEFORE_THE_END = 6


@dataclass(frozen=True)
class Night:
    home: Home
    environment: dict[str, str]
    cut_off: str = ""
    without_late: str = ""
    complete: str = ""

    def ronghe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "ronghe"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            # A night on a machine that does other work too; alone it takes a quarter of this.
            timeout=3600,
        )

    def must(self, *arguments: str) -> str:
        """Run a command that must end well, and return what it said."""
        done = self.ronghe(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def processes(self) -> list[str]:
        """Return the command lines of processes that work for this home, but not those of tests."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("RONGHE_HOME") == str(self.home.root):
                    found.append(" ".join(process.cmdline())[:120])
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    home = Home(tmp_path_factory.mktemp("night"))
    environment = {
        **os.environ,
        "RONGHE_HOME": str(home.root),
        "RONGHE_ENGINE_PORT": str(free_port()),
        "RONGHE_AIRFLOW_PORT": str(free_port()),
        "RONGHE_SOURCES_PORT": str(free_port()),
        "RONGHE_ENGINE_MEMORY": "3g",
    }
    fresh = Night(home, environment)
    try:
        fresh.must("simulate", "--scale", SCALE)
        aside = home.root / "late"
        (home.landing / LATE).rename(aside)
        fresh.must("up")
        cut_off = _run_and_end(fresh)
        fresh.must("up")
        without_late = fresh.must("run")
        aside.rename(home.landing / LATE)
        yield Night(home, environment, cut_off, without_late, fresh.must("run"))
    finally:
        fresh.ronghe("down")


def _run_and_end(night: Night) -> str:
    """Start a night, end the services when some tasks are done, and return what the night said."""
    command = [str(Path(sys.executable).parent / "ronghe"), "run"]
    with subprocess.Popen(
        command, env=night.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        said = []
        for line in running.stdout:
            said.append(line)
            if sum(text.startswith("  + ") for text in said) >= TASKS_BEFORE_THE_END:
                break
        night.must("down")
        said += running.stdout.readlines()
    return "".join(said)
