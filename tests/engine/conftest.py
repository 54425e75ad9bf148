"""An engine of its own for the tests of this folder, and jobs run as a person would: in their own process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ronghe import engine
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.simulate import simulate
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
JobRunner = Callable[..., subprocess.CompletedProcess[str]]

SIGKILL = -9
FEED = "shenzhen.swipe"
OTHERS = ("guiyang.enterprise", "nanjing.social_security")

# Each job with the tables it writes, in the order it writes them.
INGEST = (
    ("land_deliveries", ("raw.shenzhen__swipe", "meta.delivery")),
    ("standardise_deliveries", ("meta.quarantine", "meta.duplicate", "std.swipe")),
    ("accept_deliveries", ("meta.delivery",)),
)
NIGHT = (
    ("fuse_divisions", ("fused.division",)),
    ("fuse_organisations", ("fused.link_organisation_source", "fused.organisation")),
    ("fuse_places", ("fused.link_place_source", "fused.place")),
    ("desensitise_fused", ("safe.division", "safe.organisation", "safe.place")),
    ("build_passenger_flow", ("mart.passenger_flow", "meta.gate_audit")),
    ("build_social_security", ("mart.social_security", "meta.gate_audit")),
)


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


def night_by_jobs(run_job: JobRunner, home: Home, *, killed: bool) -> int:
    """Run every job of a night on a home, killed at each step first where asked; return how often it was killed."""
    kills = 0
    ingest = [(job, tables, FEED) for job, tables in INGEST]
    ingest += [(job, (), feed) for feed in OTHERS for job, _ in INGEST]
    for job, tables, feed in [*ingest, *((job, tables, None) for job, tables in NIGHT)]:
        arguments = ("--feed", feed) if feed else ()
        # After each step everywhere; where deliveries are claimed, before it too.
        moments = ("before", "after") if feed else ("after",)
        points = [f"{table}:{moment}" for table in tables for moment in moments] if killed else []
        for point in points:
            done = run_job(home, job, *arguments, **{VARIABLE: point})
            assert done.returncode == SIGKILL, f"{job} was not killed at {point}: {done.stderr}"
            kills += 1
        done = run_job(home, job, *arguments)
        assert done.returncode == 0, f"{job}: {done.stderr}"
    return kills


@pytest.fixture(scope="session")
def reference(run_job: JobRunner, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return a home after an undisturbed night of about 2,000 records; tests that change it work on a copy."""
    home = Home(tmp_path_factory.mktemp("reference")).make()
    simulate(home.landing, home.truth, scale=0.004, days=10)
    assert night_by_jobs(run_job, home, killed=False) == 0
    return home
