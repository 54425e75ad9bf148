"""An engine of its own for the tests of a folder, and jobs run as a person would: in their own process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from ronghe import engine
from ronghe.contracts import catalogue
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.simulate import serve, simulate
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
JobRunner = Callable[..., subprocess.CompletedProcess[str]]

SIGKILL = -9
FEED = "shenzhen.swipe"

# The jobs of a night in the order of its DAGs, and the writes after which a task is killed. Every shape of a write is
# among them: appends, parts of tables, whole tables, merges, several tables of one job, and files beside a table.
INGEST = (
    ("land_deliveries", ("raw.shenzhen__swipe", "meta.delivery")),
    ("standardise_deliveries", ("meta.quarantine", "meta.duplicate", "std.swipe")),
    ("accept_deliveries", ("meta.quality", "meta.delivery")),
)
NIGHT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("fuse_divisions", ("fused.division",)),
    (
        "fuse_organisations",
        ("fused.link_organisation_record", "meta.link_review", "fused.link_organisation_source", "fused.organisation"),
    ),
    ("fuse_places", ("fused.link_place_source", "fused.place")),
    ("fuse_assets", ()),
    ("fuse_service_items", ()),
    ("fuse_service_requests", ()),
    ("fuse_events", ("fused.event",)),
    ("fuse_vulnerabilities", ()),
    ("record_inputs", ()),
    ("desensitise_fused", ("safe.asset", "safe.service_request")),
    ("build_passenger_flow", ("mart.passenger_flow", "meta.gate_audit")),
    ("build_social_security", ()),
    ("build_education", ()),
    ("build_service_request", ()),
    ("build_road_traffic", ("mart.road_traffic", "meta.mart_part")),
    ("build_transit_supply", ()),
    ("build_pipe_network", ()),
    ("build_ecology", ()),
    ("build_risk_index", ("mart.risk_indicator", "mart.risk_index")),
    ("judge_marts", ("meta.quality",)),
    ("release_extracts", ("meta.release",)),
)
SEED = 7


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Start one engine; it writes the lakes of several homes, one after the other."""
    home, settings = Home(tmp_path_factory.mktemp("engine")), tmp_path_factory.mktemp("settings")
    # A plan runs once over a few rows: compiling it takes longer. Other tests' engines compile, as ours does.
    interpreted = "spark.sql.codegen.wholeStage false\nspark.sql.codegen.factoryMode NO_CODEGEN\n"
    (settings / "spark-defaults.conf").write_text(interpreted, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(settings))
        patch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
        patch.setenv("RONGHE_ENGINE_MEMORY", "3g")
        engine.up(home)
    yield home
    engine.down(home)


def runner(server: Home) -> JobRunner:
    """Return a function that runs `jobs/<verb>.py` on a home with the engine of another home."""

    def run(home: Home, verb: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "RONGHE_HOME": str(home.root),
            "RONGHE_ENGINE_URL": engine.url(server),
            engine.TOKEN_VARIABLE: engine.token(server),
            **variables,
        }
        script = verb if verb == "-m" else str(ROOT / "jobs" / f"{verb}.py")
        command = [sys.executable, script, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=1800
        )

    return run


@pytest.fixture(scope="session")
def run_job(server: Home) -> JobRunner:
    """Run jobs with the engine of the session."""
    return runner(server)


def night_by_jobs(run_job: JobRunner, home: Home, *, killed: bool) -> int:
    """Run every job of a night on a home, killed at some of its steps first where asked; return how often it was."""
    kills = 0
    others = [f"ingest_deliveries={feed}" for feed in catalogue().feeds if feed != FEED]
    with ThreadPoolExecutor(2) as pool:  # two at a time, as sources' DAGs run beside one another
        list(pool.map(partial(run_jobs, run_job, home), (others[::2], others[1::2])))
    waiting: list[str] = []
    steps = [*((job, tables, FEED) for job, tables in INGEST), *((job, tables, None) for job, tables in NIGHT)]
    for job, tables, feed in steps:
        # After each of the steps everywhere; where deliveries are claimed, before it too.
        moments = ("before", "after") if feed else ("after",)
        points = [f"{table}:{moment}" for table in tables for moment in moments] if killed else []
        if points:
            run_jobs(run_job, home, waiting)
            waiting.clear()
        for point in points:
            done = run_job(home, job, *(("--feed", feed) if feed else ()), **{VARIABLE: point})
            assert done.returncode == SIGKILL, f"{job} was not killed at {point}: {done.stderr}"
            kills += 1
        waiting.append(f"{job}={feed}" if feed else job)
    run_jobs(run_job, home, waiting)
    return kills


def run_jobs(run_job: JobRunner, home: Home, jobs: Sequence[str]) -> None:
    """Run jobs one after the other in one process."""
    if jobs:
        done = run_job(home, "-m", *("tests.engine.run_jobs", *jobs))
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def reference(run_job: JobRunner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a home after an undisturbed night of some 20,000 records; tests that change it work on a copy.

    Its sources are still there to be asked.
    """
    home = Home(tmp_path_factory.mktemp("reference")).make()
    simulate(home.landing, home.truth, scale=0.004, days=14, seed=SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RONGHE_SOURCES_PORT", str(free_port()))
        serve.up(home)
    assert night_by_jobs(run_job, home, killed=False) == 0
    yield home
    serve.down(home)
