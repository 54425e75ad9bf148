"""An engine of its own for the tests of this folder, and jobs run as a person would: in their own process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ronghe import engine
from ronghe.home import Home
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
JobRunner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Start one engine; it writes the lakes of several homes, one after the other."""
    home = Home(tmp_path_factory.mktemp("engine"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
        patch.setenv("RONGHE_ENGINE_MEMORY", "3g")
        engine.up(home)
    yield home
    engine.down(home)


@pytest.fixture(scope="session")
def run_job(server: Home) -> JobRunner:
    """Return a function that runs `jobs/<verb>.py` on a home with the engine of the session."""

    def run(home: Home, verb: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "RONGHE_HOME": str(home.root),
            "RONGHE_ENGINE_URL": engine.url(server),
            engine.TOKEN_VARIABLE: engine.token(server),
            **variables,
        }
        command = [sys.executable, str(ROOT / "jobs" / f"{verb}.py"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    return run
