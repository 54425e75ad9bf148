"""Secrets run through jobs that end well and jobs that fail: none is told, and one that is told is found."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ronghe import sessions
from ronghe.cli import services
from ronghe.home import Home
from ronghe.ingest import connections
from ronghe.ingest.transports import fetch
from ronghe.job import JobContext, JobFailed, run_job
from ronghe.orchestration import service
from tests import canary
from tests.ports import free_port

PASSWORD = "canary-7f3a-p%40ss"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with all its secrets, whose sources are not there; jobs get no session, they need none here."""
    home = Home(tmp_path / "home").make()
    monkeypatch.setenv("RONGHE_HOME", str(home.root))
    service.password(home)
    service.environment(home)
    key = home.keys / "feed.key"
    key.touch(0o600)
    key.write_bytes(bytes(range(100, 132)))
    address = f"http://reader:{PASSWORD}@127.0.0.1:{free_port()}/api"
    connections.declare(home, dict.fromkeys(asked_connections(), address))

    @contextlib.contextmanager
    def no_session(*_: object) -> Iterator[None]:
        yield None

    monkeypatch.setattr(sessions, "on_engine", no_session)
    monkeypatch.setattr("ronghe.ingest.http_pages.ATTEMPTS", 1)
    return home


def asked_feeds() -> list[str]:
    from ronghe.contracts import load_feeds

    return sorted(feed.id for feed in load_feeds().values() if feed.transport)


def asked_connections() -> set[str]:
    from ronghe.contracts import load_feeds

    return {feed.transport.connection for feed in load_feeds().values() if feed.transport}


def asks_its_source(ctx: JobContext) -> int:
    return fetch(ctx.feed, ctx.home)


def quotes_what_it_read(ctx: JobContext) -> int:
    raise ValueError("a row of the source")


def ends_well(ctx: JobContext) -> int:
    return 1


def logs_its_address(ctx: JobContext) -> int:
    address = connections.connection_url(ctx.feed.transport.connection if ctx.feed.transport else "", ctx.home)
    (ctx.home.logs / "job.log").write_text(f"asking {address}\n")
    return 1


def raises_its_address(ctx: JobContext) -> int:
    raise ValueError(connections.connection_url(ctx.feed.transport.connection if ctx.feed.transport else "", ctx.home))


def prints_its_key(ctx: JobContext) -> int:
    sys.stdout.write((ctx.home.keys / "feed.key").read_bytes().hex())
    return 1


def told(
    home: Home,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    run: Callable[[JobContext], int],
    feed_id: str,
) -> list[str]:
    """Run a job with its log at the finest level; return where a secret was told."""
    caplog.set_level(logging.DEBUG)
    said = ""
    try:
        run_job(run, run.__name__, feed_id=feed_id)
    except Exception as error:
        chain = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
        said = " ".join(map(repr, chain))
    out, err = capfd.readouterr()
    (home.logs / "all.txt").write_text("\n".join((out, err, caplog.text, said)))
    return canary.told(home, canary.secrets_of(home))


@pytest.mark.parametrize("feed_id", asked_feeds())
@pytest.mark.parametrize("run", [asks_its_source, quotes_what_it_read, ends_well])
def test_no_secret_is_told(
    home: Home,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    run: Callable[[JobContext], int],
    feed_id: str,
) -> None:
    secrets = canary.secrets_of(home)
    assert len(secrets) >= 6
    assert told(home, capfd, caplog, run, feed_id) == []
    # What was hunted through is there: lineage, metrics, what was said.
    assert list(home.lineage.rglob("*.*"))
    assert list(home.metrics.rglob("*.prom"))
    if run is asks_its_source:
        assert feed_id in (home.logs / "all.txt").read_text()


@pytest.mark.parametrize(
    ("run", "where"),
    [
        (logs_its_address, "in service/logs/job.log"),
        (raises_its_address, "in restricted/engine/errors.log"),
        (prints_its_key, "feed.key in service/logs/all.txt"),
    ],
)
def test_a_job_that_leaks_is_found(
    home: Home,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    run: Callable[[JobContext], int],
    where: str,
) -> None:
    assert any(where in found for found in told(home, capfd, caplog, run, asked_feeds()[0]))


def test_a_failure_says_nothing_of_what_it_quotes(home: Home) -> None:
    with pytest.raises(JobFailed) as failed:
        run_job(raises_its_address, "raises_its_address", feed_id=asked_feeds()[0])
    assert PASSWORD not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def test_files_that_others_may_read_are_found(home: Home) -> None:
    assert canary.open_to_others(home) == []
    (home.service / "connections.yaml").chmod(0o640)
    (home.service / "note").touch()
    (home.service / "note").chmod(0o644)
    assert canary.open_to_others(home) == ["service/connections.yaml 640", "service/note 644"]


def test_servers_take_rights_and_give_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o077)
    try:
        services._close_to_others()
        assert os.umask(0o022) == 0o077
        services._close_to_others()
        assert os.umask(0o022) == 0o027
    finally:
        os.umask(before)
