"""The nemesis: days of work, disturbed every few seconds by faults that a seed chooses; at the end all must be there.

Usage: python -m tests.faults.nemesis --seed 1 --minutes 15

It prints its seed, every fault as it is made, and how often each kind fired. Then everything heals: what is due runs
undisturbed, and all oracles compare the home with one that had the same deliveries and no faults. The exit code is 1
where they find something; the home is kept then. The same seed chooses the same faults in the same order. How far the
order gets, and which instruction of a job a fault meets, the machine decides.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from ronghe import engine, sessions
from ronghe.contracts import catalogue
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.job import EXIT_FAILURE
from ronghe.lake import Lake
from tests.faults import days
from tests.faults.proxy import Proxy
from tests.oracles import places, soundness
from tests.ports import free_port

KINDS = (
    *("crash", "crash", "crash", "kill the job", "kill the job", "kill the engine", "stop the engine"),
    *("cut the connection", "cut the connection", "refuse connections", "rerun an old job", "rerun an old job"),
    "optimize and vacuum",
)


@dataclass(frozen=True)
class Fault:
    """A fault of the plan: after a pause (1 is the usual one), of a kind, with two chances for its details."""

    kind: str
    pause: float
    one: float
    other: float

    def __str__(self) -> str:
        return f"{self.kind} ({self.one:.2f} {self.other:.2f})"


def plan(seed: int) -> Iterator[Fault]:
    """Yield the faults of a seed, without end."""
    rng = random.Random(f"{seed} faults")
    while True:
        yield Fault(rng.choice(KINDS), rng.uniform(0.25, 1.75), rng.random(), rng.random())


class Nemesis:
    """Makes the faults of a plan until it is told to stop, and counts those that fired."""

    def __init__(self, world: days.World, proxy: Proxy, seed: int, pace: float) -> None:
        self._pace = pace
        self.fired: Counter[str] = Counter()
        self.watch: soundness.Watch = {}
        self._world, self._proxy = world, proxy
        self._plan, self._stop = plan(seed), threading.Event()
        self._crash: Fault | None = None
        self._beside: list[BaseProcess] = []
        self._thread = threading.Thread(target=self._run)
        world.arming = self._arm

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Make no more faults, and wait for what was begun."""
        self._stop.set()
        self._thread.join()
        for process in self._beside:
            process.join(days.HUNG_SECONDS)
        self._watch()

    def _run(self) -> None:
        for fault in self._plan:
            if self._stop.wait(self._pace * fault.pause):
                return
            self._watch()
            if self._make(fault):
                self.fired[fault.kind] += 1
                self._world.say(f"! {fault}")

    def _watch(self) -> None:
        with suppress(OSError):
            self.watch = soundness.watched(self._world.home, self.watch)

    def _make(self, fault: Fault) -> bool:
        match fault.kind:
            case "crash":
                self._crash = fault
                self._world.say(f"  armed: {fault}")
                return False  # it fires when a job comes by
            case "kill the job":
                return self._kill_job(fault)
            case "kill the engine":
                return self._signal_engine(fault, signal.SIGKILL)
            case "stop the engine":
                return self._stop_engine(fault)
            case "cut the connection":
                return self._job_runs(fault) is not None and self._proxy.cut() > 0
            case "refuse connections":
                return self._refuse(fault)
            case "rerun an old job":
                return self._rerun(fault)
            case _:
                return self._maintain(fault)

    def _arm(self, what: str) -> dict[str, str]:
        """Give the next job to start a place to die at."""
        fault, self._crash = self._crash, None
        if fault is None:
            return {}
        points = days.POINTS[what]
        table = points[int(fault.one * len(points))]
        steps = days.STEPS.get(table, ("before", "after"))
        point = f"{table}:{steps[int(fault.other * len(steps))]}"
        self._world.say(f"! crash of {what} at {point}")
        return {VARIABLE: point}

    def _job_runs(self, fault: Fault) -> BaseProcess | None:
        """Wait for a job that has been at work for a moment; none where nemesis is to stop."""
        while not self._stop.wait(0.1):
            process = self._world.current
            if process and process.is_alive():
                self._stop.wait(4 * fault.one)
                if process.is_alive():
                    return process
        return None

    def _kill_job(self, fault: Fault) -> bool:
        process = self._job_runs(fault)
        if process is None:
            return False
        process.kill()
        return True

    def _signal_engine(self, fault: Fault, sign: signal.Signals) -> bool:
        running = engine.state(self._world.home)
        if self._job_runs(fault) is None or running is None:
            return False
        os.kill(running.pid, sign)
        return True

    def _stop_engine(self, fault: Fault) -> bool:
        running = engine.state(self._world.home)
        if running is None or not self._signal_engine(fault, signal.SIGSTOP):
            return False
        self._stop.wait(1 + 6 * fault.other)
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGCONT)
        return True

    def _refuse(self, fault: Fault) -> bool:
        if self._job_runs(fault) is None:
            return False
        self._proxy.refuse()
        self._proxy.cut()
        self._stop.wait(1 + 8 * fault.other)
        self._proxy.accept()
        return True

    def _rerun(self, fault: Fault) -> bool:
        """Run a job of an earlier day, or an ingest, beside the live ones."""
        if len(self._world.deliveries) < 1 or engine.state(self._world.home) is None:
            return False
        verb, feed = days.JOBS[int(fault.one * len(days.JOBS))]
        past = self._world.past(fault.other).isoformat() if verb in days.MARTS else None
        self._beside.append(self._world.start(verb, feed, past))
        return True

    def _maintain(self, fault: Fault) -> bool:
        made = [name for name in days.TABLES if Lake(self._world.home, catalogue()).exists(name)]
        if not made or engine.state(self._world.home) is None:
            return False
        variables = days.environment(self._world.home, self._world.url())
        table = made[int(fault.one * len(made))]
        process = days.FORKS.Process(target=maintain, args=(table, variables, self._world.home.logs))
        process.start()
        self._beside.append(process)
        return True


def maintain(table: str, variables: dict[str, str], logs: Path) -> None:
    """Be the job that compacts and vacuums, for one table."""
    from ronghe.job import JobContext, run_job

    def run(ctx: JobContext) -> int:
        ctx.lake.maintain(table)
        return 1

    os.environ.update(variables)
    with (logs / "maintain.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        run_job(run, "maintain_lake")
    except Exception as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_FAILURE)


def heal(world: days.World) -> list[str]:
    """Run all that is due, undisturbed, and see that a second run finds nothing to do; return what went wrong."""
    faults = []
    world.arming = lambda _: {}
    for verb, feed in days.JOBS:
        if not world.task(verb, feed):
            faults.append(f"{verb} {feed or ''} does not end well undisturbed: see {world.home.logs / verb}.log")
    for verb, feed in days.JOBS:
        log = world.home.logs / f"{verb}.log"
        if not world.task(verb, feed):
            faults.append(f"{verb} {feed or ''} does not end well a second time: see {log}")
        elif (said := log.read_text("utf-8").splitlines()[-1]) != f"{verb}: 0":
            faults.append(f"{verb} {feed or ''} was not done after it was done: {said}")
    return faults


def judge(world: days.World, nemesis: Nemesis, root: Path) -> list[str]:
    """Make the undisturbed home and return what any oracle finds."""
    faults = heal(world)
    world.say("healed; making the undisturbed home")
    reference = days.replay(world, root / "reference")
    world.say("comparing")
    fired = {"any fault": nemesis.fired.total()}
    found = soundness.faults_after(world.home, reference, days.TABLES, nemesis.watch, fired, places.names)
    found += [f"identity: {fault}" for fault in soundness.answer(lambda: places.identity_faults(world.home))]
    with sessions.on_engine(world.home, "nemesis") as spark:
        lake = Lake(world.home, catalogue(), spark)
        found += soundness.answer(lambda: soundness.spark_count_faults(lake, days.TABLES))
    return faults + found


def run(seed: int, minutes: float, pace: float, root: Path, without: str | None) -> list[str]:
    """Live through some minutes of a seed and return the faults found."""
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f} {text}\n")
        sys.stdout.flush()

    days.declare(root / "declared")
    port = free_port()
    os.environ |= {"RONGHE_ENGINE_PORT": str(port), "RONGHE_ENGINE_MEMORY": "1500m"} | dict([days.SHORT_LIVED])
    engine._START_SECONDS = 300  # a machine that is busy with other tests
    home = Home(root / "home").make()
    os.environ[engine.TOKEN_VARIABLE] = engine.token(home)
    # A day takes half a minute of work and more; with the faults there will not be time for all of these.
    count = 2 + round(2 * minutes)
    stock = days.make_stock(root / "stock", seed, count)
    shutil.copytree(stock.truth, home.truth)
    engine.up(home)
    proxy = Proxy(port)
    world = days.World(home, stock, count, seed, lambda: f"sc://localhost:{proxy.port}", proxy.settle, without, say)
    nemesis, ways = Nemesis(world, proxy, seed, pace), Counter[str]()
    say(f"seed {seed}, {minutes} minutes, a fault every {pace} s, guard off: {without or 'none'}; {root}")
    try:
        deadline = time.monotonic() + 60 * minutes
        nemesis.start()
        while time.monotonic() < deadline and len(world.deliveries) < count:
            kinds: list[str] = []
            world.day(kinds)
            ways.update(kinds)
            say(f"day {world.today} has passed: {', '.join(kinds)}")
        nemesis.end()
        nemesis.fired["crash"] = world.crashes
        say(f"{len(world.deliveries)} days, {world.attempts} attempts, deliveries {dict(ways)}")
        say(f"fired {dict(nemesis.fired)}; healing")
        return judge(world, nemesis, root)
    finally:
        nemesis.end()
        engine.down(home)


def main() -> int:
    """Run from the command line; return 1 where faults were found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, required=True, help="chooses faults and deliveries")
    parser.add_argument("--minutes", type=float, default=15, help="how long to disturb; a day that began is ended")
    parser.add_argument("--pace", type=float, default=4, help="usual seconds between faults; more on a slow machine")
    parser.add_argument("--without", choices=["once"], help="switch a guard off, to see the oracles bite")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the engine too
    root = Path(tempfile.mkdtemp(prefix=f"nemesis-{asked.seed}-"))
    found = run(asked.seed, asked.minutes, asked.pace, root, asked.without)
    sys.stdout.writelines(f"FAULT {fault}\n" for fault in found)
    sys.stdout.write(f"seed {asked.seed}: {len(found)} faults found{f', the home is kept: {root}' if found else ''}\n")
    if not found:
        shutil.rmtree(root)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
