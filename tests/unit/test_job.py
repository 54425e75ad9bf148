"""Jobs: days, context, exit codes, and errors that quote no row."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from ronghe import engine, job, sessions
from ronghe.contracts import ContractError
from ronghe.home import Home
from ronghe.job import DataStopped, Days, JobContext, JobFailed, job_main, run_job

ROW = "FCA0000001,张三,32010219000101001X"


class SparkSays(Exception):
    def getCondition(self) -> str:
        return "CAST_INVALID_INPUT"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    @contextmanager
    def session(*_: object) -> Iterator[object]:
        yield object()

    monkeypatch.setattr(sessions, "on_engine", session)
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    return Home(tmp_path)


def raising(error: Exception) -> Callable[[JobContext], int]:
    def run(ctx: JobContext) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-11-01..2026-11-07", date(2026, 11, 1), date(2026, 11, 7)),
        ("2026-11-01", date(2026, 11, 1), date(2026, 11, 1)),
        ("2026-11-01..", date(2026, 11, 1), date(2026, 11, 1)),
        ("2026-11-01..2026-11-01", date(2026, 11, 1), date(2026, 11, 1)),
    ],
)
def test_days_are_read(text: str, first: date, last: date) -> None:
    assert Days.parse(text) == Days(first, last)


@pytest.mark.parametrize("text", ["", "..", "..2026-11-01", "today", "2026-11-31", "2026-11-07..2026-11-01", "1..2..3"])
def test_days_are_refused_when_they_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|backwards|month|day"):
        Days.parse(text)


def test_days_hold_both_ends_and_nothing_else() -> None:
    days = Days.parse("2026-10-31..2026-11-02")
    assert days.list() == (date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2))
    assert all(day in days for day in days.list())
    assert date(2026, 10, 30) not in days
    assert date(2026, 11, 3) not in days
    assert "2026-11-01" not in days


def test_job_gets_what_it_was_started_with(home: Home) -> None:
    seen: list[JobContext] = []

    def run(ctx: JobContext) -> int:
        seen.append(ctx)
        return 7

    assert run_job(run, "land", feed_id="shenzhen.swipe", days="2026-11-01") == 7
    [ctx] = seen
    assert (ctx.home, ctx.feed.id, ctx.days) == (home, "shenzhen.swipe", Days.parse("2026-11-01"))
    assert ctx.lake.spark is ctx.spark


def test_job_says_what_to_do_when_it_has_no_feed_or_an_unknown_one() -> None:
    def run(ctx: JobContext) -> int:
        return len(ctx.feed.columns)

    with pytest.raises(ContractError, match="--feed"):
        run_job(run, "land")
    with pytest.raises(ContractError, match=r"'no\.such'.*shenzhen\.swipe"):
        run_job(run, "land", feed_id="no.such")


@pytest.mark.parametrize("error", [ValueError(f"bad row: {ROW}"), SparkSays(ROW), KeyError(ROW), OSError(13, ROW)])
def test_error_quotes_no_row_outside_the_restricted_half(error: Exception, home: Home) -> None:
    with pytest.raises(JobFailed) as said:
        run_job(raising(error), "land_deliveries")
    text = str(said.value)
    assert ROW not in text
    assert said.value.__cause__ is None
    assert said.value.__suppress_context__
    assert text.startswith("land_deliveries failed: ")
    log = home.engine / "errors.log"
    assert str(log) in text
    assert home.root / "restricted" in log.parents
    assert ROW in log.read_text("utf-8")


def test_error_names_its_condition_and_place() -> None:
    with pytest.raises(JobFailed, match=r"CAST_INVALID_INPUT at job\.py:\d+\."):
        run_job(raising(SparkSays(ROW)), "land_deliveries")
    with pytest.raises(JobFailed, match=r"KeyError at job\.py:\d+\."):
        run_job(raising(KeyError(ROW)), "land_deliveries")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(28, "No space left on device", "/x"), "disk-full.md"),
        (SparkSays("java.io.IOException: No space left on device"), "disk-full.md"),
        (SparkSays("java.lang.OutOfMemoryError: Java heap space"), "raise RONGHE_ENGINE_MEMORY"),
        (SparkSays("Python worker exited unexpectedly (crashed)"), "for want of memory"),
        (OSError(27, "File too large"), "ulimit -f"),
    ],
)
def test_error_of_a_known_cause_says_what_to_do(error: Exception, advice: str) -> None:
    with pytest.raises(JobFailed) as said:
        run_job(raising(error), "land")
    assert advice in str(said.value)


def test_person_hears_of_the_disk_when_the_log_cannot_be_written_either(home: Home) -> None:
    (home.engine / "errors.log").mkdir(parents=True)
    with pytest.raises(JobFailed, match=r"disk-full\.md"):
        run_job(raising(OSError(28, "No space left on device")), "land")


@pytest.mark.parametrize("kind", [ContractError, DataStopped, JobFailed, engine.EngineError])
def test_own_error_passes_as_it_is(kind: type[Exception], home: Home) -> None:
    with pytest.raises(kind, match=r"^say this$"):
        run_job(raising(kind("say this")), "land")
    assert not (home.engine / "errors.log").exists()


def test_wrong_days_are_said_in_clear() -> None:
    with pytest.raises(ContractError, match="2026-11-31"):
        run_job(raising(AssertionError("runs")), "land", days="2026-11-31")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContractError("why"), job.EXIT_DATA),
        (DataStopped("why"), job.EXIT_DATA),
        (engine.EngineError("why"), job.EXIT_TEMPORARY),
        (JobFailed("why"), job.EXIT_FAILURE),
        (ValueError(ROW), job.EXIT_FAILURE),
    ],
)
def test_exit_code_says_what_may_help(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/land_deliveries.py"])
    with pytest.raises(SystemExit) as left:
        job_main(raising(error))
    assert left.value.code == code
    said = capsys.readouterr().err
    assert "why" in said or "land_deliveries failed" in said
    assert ROW not in said


def test_main_prints_the_count(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/land_deliveries.py", "--feed", "shenzhen.swipe", "--days", "2026-11-01"])
    job_main(lambda ctx: len(ctx.days.list()))
    assert capsys.readouterr().out == "land_deliveries: 1\n"


def test_home_is_closed_to_others(home: Home) -> None:
    run_job(lambda ctx: 0, "land")
    closed = (home.root / "restricted", home.service, home.keys)
    assert {path.stat().st_mode & 0o777 for path in closed} == {0o700}


def second_run(name: str = "fuse_places", feed: str | None = None) -> int:
    """Run a job while `fuse_places` runs."""
    return run_job(lambda _: run_job(lambda _: 7, name, feed_id=feed), "fuse_places")


def test_a_second_run_of_a_job_waits_and_says_so_where_it_waited_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_ALONE_SECONDS", 0.3)
    with pytest.raises(JobFailed, match=r"Another run has held fuse_places for 0.3 s. Wait for it or end it"):
        second_run()
    assert second_run("fuse_assets") == 7
    assert run_job(lambda _: 7, "fuse_places") == 7, "the lock outlived its run"


def test_jobs_on_one_feed_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_ALONE_SECONDS", 0.3)
    with pytest.raises(JobFailed, match=r"held shenzhen.swipe"):
        run_job(
            lambda _: run_job(lambda _: 7, "accept_deliveries", feed_id="shenzhen.swipe"),
            "land_deliveries",
            feed_id="shenzhen.swipe",
        )


def test_who_waits_for_one_of_several_feeds_keeps_nobody_from_the_others(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_ALONE_SECONDS", 0)
    home.make()
    with job.alone(home, "a.two"):
        with pytest.raises(JobFailed, match=r"has held a\.two"), job.alone(home, "a.one", "a.two"):
            pass
        with job.alone(home, "a.one"):
            pass
    with (
        job.alone(home, "a.one", "a.two"),
        pytest.raises(JobFailed, match=r"has held a\.one"),
        job.alone(home, "a.one"),
    ):
        pass


def test_a_full_disk_puts_no_row_on_the_screen(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of errors cannot be written: the job fails as ever, without the text of either error."""
    (home.make().engine / "errors.log").mkdir()
    with pytest.raises(JobFailed) as raised:
        run_job(raising(ValueError(ROW)), "fuse_places")
    assert ROW not in "".join(traceback.format_exception(raised.value))
