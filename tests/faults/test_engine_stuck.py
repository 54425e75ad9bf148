"""The engine hangs: the task's timeout ends it, and what it had asked for is ended before anybody works again."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from ronghe import engine
from tests.faults.victim import Victim, await_that, folder, victim_at

pytestmark = pytest.mark.faults

# It would write one row after hours of work. Airflow's own timeout ends it before.
LONG = """
from airflow.sdk.execution_time.timeout import timeout
from ronghe.job import run_job
def run(ctx):
    print("began", flush=True)
    frame = ctx.spark.range(10**13).selectExpr(
        "'night' AS table_name", "cast(sum(id % 7) AS string) AS part", "'late' AS state")
    return int(ctx.lake.append("meta.mart_part", frame, "late"))
with timeout({seconds}):
    run_job(run, "long_job")
"""
NEXT = """
from ronghe import sessions
from ronghe.job import run_job
{before}
print(run_job(lambda ctx: {work}, "next_job"))
"""
WORKS = "ctx.spark.range(3).count()"
UNGUARDED = "sessions.end_abandoned = lambda *_: 0"
# What was asked for before has taken every core: this is answered without one.
IDLES = "int(ctx.spark.sql('VALUES (3)').first()[0])"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """Give an engine that itself ends nothing: what is ended was ended by a job."""
    with ExitStack() as held:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "ABANDONED_SECONDS", 3600)
            found = held.enter_context(victim_at(tmp_path_factory.mktemp("patient")))
        yield found


def is_busy(victim: Victim) -> bool:
    """Say whether the server computes: an idle one takes next to no time of its cores."""

    def seconds() -> float:
        times = psutil.Process(victim.pid).cpu_times()
        return float(times.user + times.system)

    before = seconds()
    time.sleep(6)
    return seconds() - before > 0.6


def committed(victim: Victim) -> list[str]:
    return sorted(path.name for path in (folder(victim.home) / "_delta_log").glob("*.json"))


def time_out_on_a_stuck_engine(victim: Victim) -> None:
    """Begin a job, stop the engine under it, and let go of the engine when the job's timeout has ended it."""
    job = victim.begin(LONG.format(seconds=60))
    await_that(lambda: committed(victim) or job.poll() is not None)
    await_that(lambda: is_busy(victim))
    victim.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        _, said = job.communicate(timeout=240)
        assert "AirflowTaskTimeout" in said
        assert time.monotonic() - began < 180
    finally:
        victim.signal(signal.SIGCONT)


def test_timeout_ends_the_task_and_nothing_of_it_is_written_later(patient: Victim) -> None:
    for _ in range(3):
        time_out_on_a_stuck_engine(patient)
        # Its last words may have given the work up, and the engine hears them when it goes on: then nothing is left.
        if is_busy(patient):
            break
    else:
        pytest.fail("there is nothing to be ended: the fault did not fire")
    assert patient.must(NEXT.format(before=UNGUARDED, work=IDLES)) == "3\n"
    assert is_busy(patient), "it would have ended without the guard too"
    assert patient.must(NEXT.format(before="", work=WORKS)) == "3\n"
    await_that(lambda: not is_busy(patient), 60)
    assert len(committed(patient)) == 1, "the task that was timed out has written"
    assert list((patient.home.service / "sessions").iterdir()) == []


def test_engine_itself_ends_what_a_killed_job_had_asked_for(victim: Victim) -> None:
    victim.up()
    job = victim.begin(LONG.format(seconds=3600))
    await_that(lambda: committed(victim) or job.poll() is not None)
    await_that(lambda: is_busy(victim))
    job.kill()
    job.communicate()
    await_that(lambda: not is_busy(victim), engine.NOTICED_SECONDS + engine.ABANDONED_SECONDS + 60)
    assert len(committed(victim)) == 1


@pytest.mark.parametrize("guard", [True, False], ids=["", "teeth"])
def test_engine_that_is_stuck_is_started_anew(victim: Victim, monkeypatch: pytest.MonkeyPatch, guard: bool) -> None:
    victim.up()
    first = victim.pid
    if not guard:
        monkeypatch.setattr(engine, "answers", lambda *_: True)
    with victim.environ():
        victim.signal(signal.SIGSTOP)
        try:
            assert engine.revive_if_lost(victim.home) == guard
        finally:
            if not guard:
                victim.signal(signal.SIGCONT)
    assert (victim.pid != first) == guard
    assert victim.must(NEXT.format(before="", work=WORKS)) == "3\n"
