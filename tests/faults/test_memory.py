"""Memory runs out, in the engine or in one of its Python workers."""

from collections.abc import Iterator

import pytest

from ronghe import engine
from tests.faults.victim import WITHOUT_ADVICE, Victim, await_that, victim_at, writes

pytestmark = pytest.mark.faults

# The engine keeps every number of the range in one row.
GREEDY = """
from ronghe.job import run_job
def run(ctx):
    ctx.spark.range(10**9).selectExpr("collect_list(id) AS ids").selectExpr("size(ids)").collect()
run_job(run, "greedy_job")
"""
WORKER = """
from ronghe.job import run_job
def work(batches):
    import os, resource, signal
    for batch in batches:
        {fault}
        yield batch
def run(ctx):
    return ctx.spark.range(1000).mapInArrow(work, "id long").count()
print(run_job(run, "worker_job"))
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
NO_MEMORY = "resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29)); bytearray(2**31)"
ADVICE = "A Python worker was ended, most often for want of memory"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """Give an engine with next to no memory."""
    with victim_at(tmp_path_factory.mktemp("small"), "512m") as found:
        yield found


def test_engine_without_memory_ends_is_started_anew_and_works(small: Victim) -> None:
    first = small.pid
    lost = small.run(GREEDY)
    assert lost.returncode == 1
    assert "was lost while greedy_job ran" in lost.stderr
    assert "Its memory ran out: raise RONGHE_ENGINE_MEMORY" in lost.stderr
    await_that(lambda: engine.state(small.home) is None, 30)
    with small.environ():
        assert engine.revive_if_lost(small.home)
    assert small.pid != first
    assert small.must(writes(), small.home).endswith("1\n")


@pytest.mark.parametrize("fault", [KILLED, NO_MEMORY], ids=["killed", "no memory"])
def test_worker_that_ends_fails_its_job_alone(victim: Victim, fault: str) -> None:
    victim.up()
    before = victim.pid
    with victim.begin(writes("merge", 300_000)) as other:
        failed = victim.run(WORKER.format(fault=fault))
        _, wrong = other.communicate(timeout=300)
    assert failed.returncode == 1
    assert "worker_job failed: " in failed.stderr
    assert ADVICE in failed.stderr
    assert other.returncode == 0, wrong
    assert victim.pid == before
    assert victim.must(WORKER.format(fault="pass")) == "1000\n"


def test_error_of_a_worker_says_nothing_to_do_without_the_advice(victim: Victim) -> None:
    victim.up()
    failed = victim.run(WITHOUT_ADVICE + WORKER.format(fault=KILLED))
    assert "worker_job failed: " in failed.stderr
    assert "memory" not in failed.stderr
