"""Jobs: arguments, context, and errors that tell no secrets.

A job is a file in `jobs/` with `run(ctx) -> int`: it reads, transforms and writes, and returns how many things (rows,
deliveries, parts) it worked on; zero means that there was nothing to do.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ronghe import engine, lineage, sessions
from ronghe.contracts import Catalogue, ContractError, Feed, catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.locks import holding
from ronghe.monitoring.metrics import write_job_metrics
from ronghe.remedies import remedy, server_said
from ronghe.stopped import DataStopped as DataStopped

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Exit codes after sysexits.h: what a retry cannot mend, and what it may.
EXIT_DATA = 65
EXIT_TEMPORARY = 75
EXIT_FAILURE = 1
# How long a run waits for another one of the same job or feed.
_ALONE_SECONDS = 600


class JobFailed(RuntimeError):
    """A job failed for a reason a retry may mend; the message holds no row content."""


# Their text quotes no row.
_OURS = (ContractError, DataStopped, JobFailed)


class Faults:
    """What went wrong with one thing while the others went on.

    Args:
        hear: told each fault that is about something named, in words that quote no row, as soon as it is there.
    """

    def __init__(self, hear: Callable[[str, str], object] | None = None) -> None:
        self._hear = hear
        self._found = list[Exception]()

    @contextmanager
    def collected(self, subject: str = "") -> Iterator[None]:
        """Keep what goes wrong for later."""
        try:
            yield
        except Exception as error:
            self._found.append(error)
            if self._hear and subject:
                said = str(error) if isinstance(error, _OURS) else f"it failed with {type(error).__name__}"
                self._hear(subject, said)

    def tell(self) -> None:
        """Raise what was collected: first what is not our own, whose text nobody may repeat; a retry tells the rest."""
        for error in self._found:
            if not isinstance(error, _OURS):
                raise error
        if not self._found:
            return
        kind = JobFailed if all(isinstance(error, JobFailed) for error in self._found) else DataStopped
        raise kind("\n".join(str(error) for error in self._found))


@dataclass(frozen=True)
class Days:
    """A range of business days, both ends included."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> "Days":
        """Read `2026-11-01..2026-11-07` or one day.

        Raises:
            ContractError: no date, or the range runs backwards.
        """
        first, _, last = text.partition("..")
        try:
            days = cls(date.fromisoformat(first), date.fromisoformat(last or first))
        except ValueError:
            raise ContractError(f"{text!r} is no day (2026-11-01) and no range (2026-11-01..2026-11-07)") from None
        if days.last < days.first:
            raise ContractError(f"the range {text} runs backwards")
        return days

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def list(self) -> tuple[date, ...]:
        """Return every day of the range."""
        return tuple(self.first + timedelta(n) for n in range((self.last - self.first).days + 1))


@dataclass(frozen=True)
class JobContext:
    """What a job may use. `days` is the range a person asked for, none for whatever is due."""

    home: Home
    catalogue: Catalogue
    spark: "SparkSession"
    lake: Lake
    feed_id: str | None = None
    days: Days | None = None

    @property
    def feed(self) -> Feed:
        """The feed the job works on.

        Raises:
            ContractError: the job was started without one, or there is none of that id.
        """
        if self.feed_id is None:
            raise ContractError("this job works on one feed: name it with --feed <source>.<feed>")
        return self.catalogue.feed(self.feed_id)


def run_job(
    run: Callable[[JobContext], int],
    name: str,
    *,
    feed_id: str | None = None,
    days: str | None = None,
    address: str | None = None,
) -> int:
    """Run one job in a session of its own and return what it returned.

    Raises:
        ContractError, DataStopped: a retry cannot mend it.
        JobFailed, EngineError: a retry may mend it.
    """
    home = Home.find().make()
    found = catalogue()
    asked = Days.parse(days) if days else None
    outlook = Lake(home, found)
    with (
        alone(home, feed_id or name),
        _measured(home, name, feed_id),
        lineage.recorded(home, outlook, name, feed_id),
        without_row_content(home, name),
        sessions.on_engine(home, name, address) as spark,
    ):
        lake = Lake(home, found, spark, outlook.accesses)
        return run(JobContext(home, found, spark, lake, feed_id, asked))


@contextmanager
def alone(home: Home, *names: str) -> Iterator[None]:
    """Hold the locks of feeds, or of a job: what a rerun found due and what the live run writes meanwhile must agree.

    All or none are held, so that who waits for one keeps nobody from the others. The system frees them with the
    process, however that ends.

    Raises:
        JobFailed: another run held one of them for too long.
    """
    folder, deadline = home.service / "locks", time.monotonic() + _ALONE_SECONDS
    folder.mkdir(exist_ok=True)
    while True:
        with ExitStack() as held:
            busy = _take(folder, names, held)
            if busy is None:
                yield
                return
        if time.monotonic() > deadline:
            raise JobFailed(
                f"Another run has held {busy} for {_ALONE_SECONDS} s. Wait for it or end it, then try again."
            )
        time.sleep(0.2)


def _take(folder: Path, names: Iterable[str], held: ExitStack) -> str | None:
    """Take locks until one is another run's; return its name, none where all were taken."""
    for name in names:
        try:
            held.enter_context(holding(folder / f"{name}.lock", wait=False))
        except BlockingIOError:
            return name
    return None


@contextmanager
def _measured(home: Home, name: str, feed_id: str | None) -> Iterator[None]:
    """Write how long the job took and whether it ended well; a disk that is full stops no job over its figures."""
    began, ok = time.monotonic(), False
    try:
        yield
        ok = True
    finally:
        with suppress(OSError):
            write_job_metrics(home, name, feed_id, time.monotonic() - began, time.time(), ok)


@contextmanager
def without_row_content(home: Home, name: str) -> Iterator[None]:
    """Let our own errors pass; keep the text of all others, which may quote rows, in the restricted half."""
    from pyspark.logger import PySparkLogger

    # PySpark itself writes the message of an error to stderr, where a task's log takes it up. The logger of its client
    # is off, until somebody sets up logging after its import, as Airflow does in each task's process.
    for told_by in ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark.sql.connect.logging"):
        PySparkLogger.getLogger(told_by).disabled = True
    try:
        yield
    except (*_OURS, engine.EngineError):
        raise
    except Exception as error:
        log = home.engine / "errors.log"
        # A full disk has no room for it either; the person must hear of the disk, not of the log.
        with suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n{traceback.format_exc()}\n{server_said(error)}\n")
        condition = getattr(error, "getCondition", lambda: None)()
        raise JobFailed(
            f"{name} failed: {condition or type(error).__name__} at {_place(error)}. {remedy(error)}"
            f"The whole message may quote rows; it is in {log}."
        ) from None


def _place(error: BaseException) -> str:
    """Return the last place in our own code that the error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).parent)
    ours = [f for f in frames if f.filename.startswith(package) or Path(f.filename).parent.name == "jobs"] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def job_main(run: Callable[[JobContext], int]) -> None:
    """Run a job from the command line (`python jobs/<verb>.py`) and exit with a code that says what may help."""
    module = sys.modules[run.__module__]
    parser = argparse.ArgumentParser(description=module.__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--feed", help="feed the job works on, <source>.<feed>")
    parser.add_argument("--days", help="business days, 2026-11-01..2026-11-07; none: whatever is due")
    arguments = parser.parse_args()
    name = Path(sys.argv[0]).stem
    try:
        count = run_job(run, name, feed_id=arguments.feed, days=arguments.days)
    except (ContractError, DataStopped) as error:
        sys.exit(_said(error, EXIT_DATA))
    except engine.EngineError as error:
        sys.exit(_said(error, EXIT_TEMPORARY))
    except JobFailed as error:
        sys.exit(_said(error, EXIT_FAILURE))
    sys.stdout.write(f"{name}: {count}\n")


def _said(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code
