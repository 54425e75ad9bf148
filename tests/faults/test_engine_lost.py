"""The engine dies, or hangs, while a job uses it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ronghe import engine
from ronghe.home import Home
from tests.ports import free_port

pytestmark = pytest.mark.faults

# A job that tells when it has begun, then keeps the engine busy for hours.
JOB = """
from ronghe.job import run_job
def run(ctx):
    {before}
    print("began", flush=True)
    return ctx.spark.range(10**13).selectExpr("sum(id % 7)").first()[0]
run_job(run, "long_job")
"""
AS_THE_CLIENT_COMES = (
    "from pyspark.sql.connect.client.retries import DefaultPolicy; "
    "ctx.spark.client.set_retry_policies([DefaultPolicy()])"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("lost"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RONGHE_HOME", str(home.root))
        patch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
        patch.setenv("RONGHE_ENGINE_MEMORY", "1g")
        engine.up(home)
        yield home
        engine.down(home)


def begin(before: str = "pass") -> "subprocess.Popen[str]":
    """Start the job and return when it has begun."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB.format(before=before)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert job.stdout
    assert job.stdout.readline() == "began\n", job.communicate()[1]
    return job


def kill_engine(home: Home) -> None:
    running = engine.state(home)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(running.pid)] if psutil.pid_exists(running.pid) else [], timeout=10)
    assert engine.state(home) is None, "the fault did not fire"


@pytest.mark.smoke
def test_job_ends_soon_and_says_what_to_do_when_the_engine_was_killed(home: Home) -> None:
    job = begin()
    kill_engine(home)
    began = time.monotonic()
    _, said = job.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert job.returncode == 1
    assert "was lost while long_job ran. Start it with `ronghe up`, then run long_job again" in said
    assert "range" not in said.replace("ranges", ""), "the plan was told"


def test_without_our_patience_it_would_still_wait(home: Home) -> None:
    engine.up(home)
    job = begin(AS_THE_CLIENT_COMES)
    kill_engine(home)
    with pytest.raises(subprocess.TimeoutExpired):
        job.communicate(timeout=30)
    job.kill()
    job.communicate()


@pytest.mark.smoke
def test_task_starts_an_engine_that_died_but_none_that_was_ended(home: Home) -> None:
    first = engine.up(home)
    assert not engine.revive_if_lost(home)
    kill_engine(home)
    assert engine.revive_if_lost(home)
    second = engine.state(home)
    assert second
    assert second.pid != first.pid
    engine.down(home)
    assert not engine.revive_if_lost(home)
    assert engine.state(home) is None


@pytest.mark.smoke
def test_nothing_of_a_killed_job_is_left_in_a_table_unless_it_was_committed(home: Home, tmp_path: Path) -> None:
    """The engine dies while it writes; the table is as before, and the write done again is there once."""
    engine.up(home)
    table = tmp_path / "table"
    rows = "ctx.spark.range(10**{power}).selectExpr('id', 'sha2(cast(id as string), 256) AS text')"
    write = (
        "from ronghe.job import run_job\n"
        "def run(ctx):\n"
        f"    frame = {rows}\n"
        "    print('began', flush=True)\n"
        f"    frame.write.format('delta').mode('append').option('txnAppId', 'x').option('txnVersion', '1')"
        f".save({str(table)!r})\n"
        "    return 0\n"
        "run_job(run, 'write')"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", write.format(power=9)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(table.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill_engine(home)
    job.communicate(timeout=60)
    assert list(table.glob("*.parquet")), "the fault did not fire: nothing was being written"
    assert not list((table / "_delta_log").glob("*.json")), "a half-written table was committed"
    engine.up(home)
    from deltalake import DeltaTable

    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", write.format(power=3)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert DeltaTable(table).count() == 1000
