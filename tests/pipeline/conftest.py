"""One small night through Airflow's scheduler, made once and looked at by every test of the folder."""

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


@dataclass(frozen=True)
class Night:
    home: Home
    environment: dict[str, str]
    said: str

    def ronghe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "ronghe"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

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
        "RONGHE_ENGINE_MEMORY": "3g",
    }
    fresh = Night(home, environment, "")
    try:
        for arguments in (("simulate", "--scale", SCALE), ("up",)):
            done = fresh.ronghe(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        done = fresh.ronghe("run")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Night(home, environment, done.stdout)
    finally:
        fresh.ronghe("down")
