"""Airflow's processes are killed in the middle of a run: they are started again, and the run after it ends the same."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from ronghe.home import Home
from ronghe.orchestration import service
from ronghe.orchestration.client import Airflow
from tests import oracles
from tests.faults.chain import AIR, ORGANISATIONS, deliver, jobs
from tests.faults.victim import Victim, await_that
from tests.pipeline.conftest import Night
from tests.ports import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]

PARTS = ("scheduler", "triggerer", "dag-processor", "api-server")
DAG = "ingest_guiyang"
TABLES = ("raw.guiyang__enterprise", "std.organisation", "std.environment_reading", "meta.quarantine", "meta.delivery")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Give a home with its services; what its sources deliver on the days is kept aside (`later`)."""
    home = Home(tmp_path_factory.mktemp("airflow") / "home").make()
    deliver(home, tmp_path_factory.mktemp("truth"), len(PARTS))
    home.landing.rename(home.root / "later")
    home.make()
    environment = {
        **os.environ,
        "RONGHE_HOME": str(home.root),
        "RONGHE_ENGINE_PORT": str(free_port()),
        "RONGHE_AIRFLOW_PORT": str(free_port()),
        "RONGHE_ENGINE_MEMORY": "1g",
    }
    found = Night(home, environment)
    try:
        found.must("up")
        yield found
    finally:
        found.ronghe("down")


def come(home: Home, number: int) -> None:
    """Let the deliveries of one day come."""
    for feed in (ORGANISATIONS, AIR):
        folder = home.root / "later" / feed.replace(".", "/")
        day = sorted(folder.iterdir())[number]
        shutil.copytree(day, home.landing / feed.replace(".", "/") / day.name)


def kill(home: Home, part: str) -> None:
    """Kill a process of Airflow's with what it has started itself."""
    running = service.state(home)
    assert running
    names = (part, part.replace("-", "_"))
    found = [
        child
        for child in psutil.Process(running.pid).children()
        if any(name in " ".join(child.cmdline()) for name in names)
    ]
    assert len(found) == 1, f"{part} was not found"
    found[0].kill()
    psutil.wait_procs(found, timeout=10)


def run_dag(home: Home) -> set[str]:
    """Run the DAG to its end; return what failed."""
    with Airflow.connect(home) as airflow:
        airflow.await_dags({DAG})
        return airflow.follow([(DAG, airflow.trigger(DAG))], lambda _: None)


def test_night_ends_the_same_whichever_process_was_killed(night: Night, victim: Victim, tmp_path: Path) -> None:
    home = night.home
    for number, part in enumerate(PARTS):
        come(home, number)
        with Airflow.connect(home) as airflow:
            airflow.await_dags({DAG})
            run = airflow.trigger(DAG)
            await_that(lambda: any(task.state == "running" for task in airflow.tasks(DAG, run)))  # noqa: B023
        kill(home, part)
        night.must("up")
        running = service.state(home)
        assert running
        await_that(partial(service.is_whole, running), 60)  # a busy machine may answer one question too late
        assert run_dag(home) == set(), f"after {part} was killed"
        with Airflow.connect(home) as airflow:
            assert airflow.run_state(DAG, run) in ("success", "failed"), "a run is left behind"
    left = [line for line in night.processes() if "ronghe.orchestration.servers" in line]
    assert len(left) == 1, left
    victim.up()
    calm = Home(tmp_path / "calm").make()
    for part in ("landing", "keys"):
        shutil.copytree(getattr(home, part), getattr(calm, part), dirs_exist_ok=True)
    # Day by day, as they came.
    shutil.rmtree(calm.landing)
    (calm.root / "later").symlink_to(home.root / "later")
    for number in range(len(PARTS)):
        come(calm, number)
        victim.must(jobs(*(f"ingest_deliveries={feed}" for feed in (ORGANISATIONS, AIR))), calm)
    differing = [t for t in TABLES if oracles.table_contents(home, t) != oracles.table_contents(calm, t)]
    assert differing == []


def test_port_alone_does_not_tell_that_airflow_is_half_dead(night: Night) -> None:
    """The guard switched off: a look at the port finds nothing wrong, and no run would ever start."""
    night.must("up")
    running = service.state(night.home)
    assert running
    assert service.is_whole(running)
    kill(night.home, "scheduler")
    assert service.listening("127.0.0.1", running.port)
    assert not service.is_whole(running)
