"""A small world for the nemesis: days of deliveries that arrive one after the other, and the jobs that take them in."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

from ronghe import engine, job
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.ledger import LEDGER, last_events
from ronghe.simulate import simulate

# Feeds of three shapes (CSV in GB18030, JSON lines, XML in GBK), what is fused from them, two marts, one extract.
FEEDS = ("shenzhen.swipe", "xinjiang.road_count", "nanjing.social_security")
MARTS = ("build_passenger_flow", "build_road_traffic")
Job = tuple[str, str | None]
INGESTS: tuple[Job, ...] = tuple(("ingest_deliveries", feed) for feed in FEEDS)
BUILDS: tuple[Job, ...] = tuple((verb, None) for verb in ("fuse_places", *MARTS, "release_extracts"))
JOBS = (*INGESTS, *BUILDS)
TABLES = (
    *("raw.shenzhen__swipe", "raw.xinjiang__road_count", "raw.nanjing__social_security"),
    *("std.swipe", "std.road_count", "std.social_security_account"),
    *("meta.delivery", "meta.duplicate", "meta.quarantine"),
    *("fused.place", "fused.link_place_source", "mart.passenger_flow", "mart.road_traffic"),
)
# Where a job of each kind may be killed: before and after each of its writes, at the steps of an intake and a release.
POINTS: dict[str, tuple[str, ...]] = {
    "shenzhen.swipe": (
        "ingest",
        "raw.shenzhen__swipe",
        "meta.quarantine",
        "meta.duplicate",
        "std.swipe",
        "meta.delivery",
    ),
    "xinjiang.road_count": ("ingest", "raw.xinjiang__road_count", "meta.duplicate", "std.road_count", "meta.delivery"),
    "nanjing.social_security": (
        "ingest",
        "raw.nanjing__social_security",
        "std.social_security_account",
        "meta.quality",
    ),
    "fuse_places": ("fused.link_place_source", "fused.place"),
    "build_passenger_flow": ("mart.passenger_flow", "meta.gate_audit"),
    "build_road_traffic": ("mart.road_traffic", "meta.mart_part"),
    "release_extracts": ("meta.release", "release.movement"),
}
STEPS = {"ingest": ("staged", "shared", "recorded"), "release.movement": ("staged", "named", "recorded")}
EXTRACT = """\
id: movement
title: Movement
purpose: livelihood_statistics
audience: the nemesis
licence: {name: CC-BY-4.0, title: Creative Commons Attribution 4.0, path: "https://creativecommons.org/licenses/by/4.0/"}
contact: {title: Data office, email: data-office@example.org}
formats: [csv, parquet]
tables:
  - {table: mart.passenger_flow}
  - {table: mart.road_traffic}
"""
LAST_DAY = date(2026, 11, 22)
RETRIES = 2
# An engine that lives for some minutes would spend many of them compiling well what it soon runs no more.
SHORT_LIVED = ("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
HUNG_SECONDS = 420
DELIVERED = ("plain", "twice", "renamed", "late copy", "truncated copy", "half-written", "restated")


@dataclass
class World:
    """A home with its engine, what was delivered to it day by day, and the job that runs now."""

    home: Home
    stock: Home
    days: int
    seed: int
    url: Callable[[], str]
    ready: Callable[[], None]
    without: str | None
    say: Callable[[str], None]
    deliveries: list[list[tuple[Path, bytes]]] = field(default_factory=list)
    arming: Callable[[str], dict[str, str]] = lambda _: {}
    attempts: int = 0
    crashes: int = 0
    current: BaseProcess | None = None
    _writers: list[threading.Thread] = field(default_factory=list)
    _owed: dict[Path, bytes] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The day that is delivered now."""
        return LAST_DAY - timedelta(days=self.days - len(self.deliveries))

    def past(self, share: float) -> date:
        """Return one of the days delivered before."""
        return self.today - timedelta(days=int(share * len(self.deliveries)))

    def deliver(self, kinds: list[str]) -> None:
        """Let the files of the next day arrive, each in its own way; `kinds` takes note of the ways."""
        rng = random.Random(f"{self.seed} deliveries {len(self.deliveries)}")
        self.deliveries.append([])
        for feed in FEEDS:
            source, name = feed.split(".")
            self._restate(Path(source) / name)
            for file in sorted((self.stock.landing / source / name / self.today.isoformat()).glob("*")):
                kind = rng.choice(DELIVERED)
                kinds.append(kind)
                self._deliver(file, kind, rng.uniform(0.1, 0.9))

    def _deliver(self, file: Path, kind: str, share: float) -> None:
        path = file.relative_to(self.stock.landing)
        content = file.read_bytes()
        cut = content[: int(len(content) * share)]
        if kind == "half-written":
            self._write_slowly(path, content, cut)
            return
        if kind == "restated":
            lines = content.splitlines(keepends=True)
            self._put(path, b"".join(lines[: 1 + int(len(lines) * share)]))
            self._owed[path] = content
            return
        self._put(path, content)
        # The copies stand behind the original in the order in which deliveries are taken.
        match kind:
            case "twice":
                self._put(path, content)
            case "renamed":
                self._put(path.with_name(f"{path.stem}_again{path.suffix}"), content)
            case "late copy":
                later = (self.today + timedelta(days=1)).isoformat()
                self._put(path.parent.with_name(later) / f"{path.stem}_late{path.suffix}", content)
            case "truncated copy":
                self._put(path.with_name(f"{path.stem}_cut{path.suffix}"), cut)

    def _restate(self, feed: Path) -> None:
        """Send files whole that were sent with lines missing, under their names.

        A source does it once it has seen what was taken in. Until all that it has sent is, the order in which
        deliveries are taken is open, and with it which one has restated which.
        """
        names = ["delivery_id", "event_code", "recorded_at", "path"]
        last = last_events(Lake(self.home, catalogue()).rows(LEDGER, names).to_pylist()).values()
        decided = {Path(row["path"]) for row in last if row["event_code"] not in ("landed", "reopened")}
        sent = {path for day in self.deliveries for path, _ in day if path.is_relative_to(feed)}
        for path in sorted(sent & self._owed.keys()) if sent <= decided else ():
            self._put(path, self._owed.pop(path))

    def _put(self, path: Path, content: bytes) -> None:
        target = self.home.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f"{target.name}.tmp").write_bytes(content)
        target.with_name(f"{target.name}.tmp").replace(target)
        self.deliveries[-1].append((path, content))

    def _write_slowly(self, path: Path, content: bytes, cut: bytes) -> None:
        """Write half of a file under the name of one that is not finished, and the rest some seconds later."""
        target = self.home.landing / path
        partial = target.with_name(f"{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(cut)
        self.deliveries[-1].append((path, content))

        def finish() -> None:
            time.sleep(3)
            partial.write_bytes(content)
            partial.replace(target)

        self._writers.append(threading.Thread(target=finish))
        self._writers[-1].start()

    def day(self, kinds: list[str]) -> None:
        """Let a day arrive and run its jobs."""
        self.deliver(kinds)
        for verb, feed in JOBS:
            self.task(verb, feed)
        for writer in self._writers:
            writer.join()
        self._writers.clear()

    def task(self, verb: str, feed: str | None) -> bool:
        """Run a job as Airflow would: tried again twice unless a retry cannot mend it; say whether it ended well."""
        for attempt in range(RETRIES + 1):
            code = self._attempt(verb, feed)
            if code == 0:
                return True
            self.say(f"  {verb} {feed or ''} ended with {code}, attempt {attempt + 1}")
            if code == job.EXIT_DATA:
                return False
            time.sleep(1)
        return False

    def _attempt(self, verb: str, feed: str | None) -> int | None:
        """Start the engine if it died, run a job, and return its exit code."""
        self.attempts += 1
        try:
            engine.revive_if_lost(self.home)
        except engine.EngineError as error:
            self.say(f"  {error}")
            return job.EXIT_TEMPORARY
        self.ready()
        armed = self.arming(feed or verb)
        self.current = process = self.start(verb, feed, armed=armed)
        process.join(HUNG_SECONDS)
        if process.is_alive():
            self.say(f"  {verb} {feed or ''} hung for {HUNG_SECONDS} s and was killed")
            process.kill()
            process.join()
        self.current = None
        self.crashes += bool(armed) and process.exitcode == -signal.SIGKILL
        return process.exitcode

    def start(
        self, verb: str, feed: str | None, days: str | None = None, armed: dict[str, str] | None = None
    ) -> BaseProcess:
        """Start a job in a process of its own."""
        variables = {**environment(self.home, self.url()), **(armed or {})}
        arguments = [*(("--feed", feed) if feed else ()), *(("--days", days) if days else ())]
        process = FORKS.Process(target=run_in_child, args=(verb, arguments, variables, self.home.logs, self.without))
        process.start()
        return process


def environment(home: Home, url: str) -> dict[str, str]:
    """Return the variables that lead a job to a home and its engine."""
    return {"RONGHE_HOME": str(home.root), "RONGHE_ENGINE_URL": url}


# Jobs are forked from one process that has imported what they import: most of a small job's time goes there.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.preload"])


def run_in_child(verb: str, arguments: list[str], variables: dict[str, str], logs: Path, without: str | None) -> None:
    """Be `python jobs/<verb>.py`, with what it says added to a log."""
    os.environ.update(variables)
    with (logs / f"{verb}.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if without:
        import_module("tests.faults.guards_off").switch_off(without)
    sys.argv = [f"jobs/{verb}.py", *arguments]
    job.job_main(import_module(f"jobs.{verb}").run)


def make_stock(root: Path, seed: int, days: int) -> Home:
    """Simulate what will be delivered."""
    stock = Home(root).make()
    simulate(stock.landing, stock.truth, scale=0.002, days=days, last_day=LAST_DAY, seed=seed)
    return stock


def declare(folder: Path) -> None:
    """Declare the extract, beside ours; before the first declaration is read."""
    extracts = folder / "schemas" / "extracts"
    extracts.mkdir(parents=True)
    (extracts / "movement.yaml").write_text(EXTRACT, "utf-8")
    os.environ["RONGHE_SCHEMAS"] = os.pathsep.join(("builtin", str(folder)))


def replay(world: World, root: Path) -> Home:
    """Make the undisturbed home: the same deliveries in the same order, the same keys, every ingest once a day.

    What is built from them is built once, at the end: it follows from what was delivered, not from when it was built.
    The ids of places alone tell when they were first seen (`tests/oracles/places.py`).
    """
    reference = Home(root).make()
    shutil.copytree(world.home.keys, reference.keys, dirs_exist_ok=True)
    with _variables(environment(reference, engine.url(world.home))):
        for day in world.deliveries:
            for path, content in day:
                target = reference.landing / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            _run_all(INGESTS)
        _run_all(BUILDS)
    return reference


def _run_all(jobs: Iterable[Job]) -> None:
    for verb, feed in jobs:
        with suppress(job.DataStopped):  # a verdict, which the ledger has
            job.run_job(import_module(f"jobs.{verb}").run, verb, feed_id=feed)


@contextmanager
def _variables(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
