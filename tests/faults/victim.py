"""An engine to be hurt, jobs that use it in their own processes, and how a guard is switched off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ronghe import engine
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.stores import open_table
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

# A job that writes so many rows to a table of its home.
TABLE = "meta.mart_part"
WRITE = """
from ronghe.job import run_job
def run(ctx):
    frame = ctx.spark.range({rows}).selectExpr(
        "'night' AS table_name", "cast(id AS string) AS part", "sha2(cast(id AS string), 256) AS state")
    print("began", flush=True)
    return int(ctx.lake.{how}("meta.mart_part", frame, "{fingerprint}"))
print(run_job(run, "write"))
"""
# What keeps a write from being done twice: the look at the log before it, and Delta's transaction ids in it.
WITHOUT_IDS = """
from ronghe.lake import Lake
from pyspark.sql.connect.readwriter import DataFrameWriter
options = DataFrameWriter.options
DataFrameWriter.options = lambda self, **given: options(
    self, **{name: value for name, value in given.items() if not name.startswith("txn")})
Lake.is_done = Lake.is_current = lambda *_: False
"""
# What tells a person what to do about an error.
WITHOUT_ADVICE = "from ronghe import remedies\nremedies._REMEDIES = ()\n"
# What finds an operation again whose connection broke off.
WITHOUT_ATTACHING = """
from pyspark.sql.connect.client.core import SparkConnectClient
begin = SparkConnectClient.__init__
def without(self, *arguments, **named):
    begin(self, *arguments, **named)
    self.disable_reattachable_execute()
SparkConnectClient.__init__ = without
"""


def writes(how: str = "append", rows: int = 1000, fingerprint: str = "once") -> str:
    """Return the code of a job that writes."""
    return WRITE.format(how=how, rows=rows, fingerprint=fingerprint)


@dataclass(frozen=True)
class Victim:
    """A home with an engine of its own."""

    home: Home
    environment: dict[str, str]

    @contextmanager
    def environ(self) -> Iterator[None]:
        """Live in the victim's environment for a while."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def up(self) -> None:
        with self.environ():
            engine.up(self.home)

    def down(self) -> None:
        engine.down(self.home)

    @property
    def pid(self) -> int:
        running = engine.state(self.home)
        assert running, "the engine does not run"
        return running.pid

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the server itself, and to the shell that may have started it."""
        for process in engine.group(self.pid):
            process.send_signal(sign)

    def kill(self) -> None:
        """End the server as a machine without memory would."""
        processes = engine.group(self.pid)
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a shell ends by itself when its server does
                process.kill()
        psutil.wait_procs(processes, timeout=20)
        assert engine.state(self.home) is None, "the fault did not fire"

    def begin(self, code: str, home: Home | None = None, **variables: str) -> "subprocess.Popen[str]":
        """Start a job on a home (by default the engine's own)."""
        own = {
            **self.environment,
            "RONGHE_HOME": str((home or self.home).root),
            "RONGHE_ENGINE_URL": engine.url(self.home),
            engine.TOKEN_VARIABLE: engine.token(self.home),
            **variables,
        }
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, home: Home | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a job to its end."""
        job = self.begin(code, home, **variables)
        said, wrong = job.communicate(timeout=600)
        return subprocess.CompletedProcess(job.args, job.returncode, said, wrong)

    def must(self, code: str, home: Home | None = None, **variables: str) -> str:
        """Run a job that must end well; return what it said."""
        done = self.run(code, home, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def victim_at(root: Path, memory: str = "1g", **variables: str) -> Iterator[Victim]:
    """Start an engine with little memory for a home of its own."""
    environment = {"RONGHE_ENGINE_PORT": str(free_port()), "RONGHE_ENGINE_MEMORY": memory, **variables}
    found = Victim(Home(root).make(), environment)
    found.up()
    try:
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """Give the engine that the tests of this folder hurt one after the other."""
    with victim_at(tmp_path_factory.mktemp("victim")) as found:
        yield found


def await_that(holds: Callable[[], object], seconds: float = 300) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the fault did not fire: what was waited for did not come")
        time.sleep(0.02)


def folder(home: Home, table_id: str = TABLE) -> Path:
    return Path(Lake(home, catalogue()).path(table_id))


def rows_and_writes(home: Home, table_id: str = TABLE) -> tuple[int, int]:
    """Return how many rows a table has, and how many commits wrote rows; its log has no hole."""
    table = open_table(str(folder(home, table_id)))
    versions = [int(path.stem) for path in (folder(home, table_id) / "_delta_log").glob("*.json")]
    assert sorted(versions) == list(range(table.version() + 1))
    operations = [commit["operation"] for commit in table.history()]
    return int(table.count()), sum(operation in ("WRITE", "MERGE") for operation in operations)
