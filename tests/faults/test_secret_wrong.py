"""A key or token is missing, cut off, open to others or changed: nothing is written, and the error tells no secret."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ronghe import engine
from ronghe.contracts import ContractError, catalogue
from ronghe.doctor import machine
from ronghe.home import Home
from ronghe.ingest import connections
from ronghe.ingest.transports import SourceUnavailable, fetch
from ronghe.job import DataStopped
from ronghe.privacy import keys
from tests.ports import free_port

pytestmark = pytest.mark.faults

CANARY = "s3cret-of-the-test"
Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:20]), "has 20 bytes instead of 32"),
    "empty": (lambda path: path.write_bytes(b""), "has 0 bytes instead of 32"),
    "open": (lambda path: path.chmod(0o644), "may be read by others: run `chmod 600"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    for name in ("ENGINE", "AIRFLOW", "SOURCES"):
        monkeypatch.setenv(f"RONGHE_{name}_PORT", str(free_port()))
    return Home(tmp_path).make()


@pytest.mark.smoke
@pytest.mark.parametrize("name", DAMAGES)
def test_key_that_is_not_as_it_was_made_is_refused_and_named(name: str, home: Home) -> None:
    store = keys.KeyStore(home.keys)
    whole = store.ensure(["day"])["day"]
    damage, said = DAMAGES[name]
    damage(home.keys / "day.key")
    with pytest.raises(DataStopped, match=said) as error:
        store.ensure(["day"])
    assert whole.hex() not in str(error.value)
    assert [(f.check, f.ok) for f in machine.findings(home) if "key: " in f.check] == [("key: day", False)]


@pytest.mark.smoke
def test_teeth_without_the_look_a_cut_off_key_makes_other_tokens(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keys.KeyStore(home.keys)
    whole = store.ensure(["day"])
    DAMAGES["cut off"][0](home.keys / "day.key")
    monkeypatch.setattr(keys, "key_fault", lambda path: None)
    assert store.ensure(["day"]) != whole


@pytest.mark.smoke
@pytest.mark.parametrize("url", [None, f"postgresql+psycopg://user:{CANARY}@127.0.0.1:1/x", CANARY])
def test_sources_database_without_a_right_address_lands_nothing(
    url: str | None, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = next(f for f in catalogue().feeds.values() if f.transport and f.transport.table)
    assert feed.transport
    variable = f"RONGHE_CONNECTION_{feed.transport.connection.upper()}"
    monkeypatch.delenv(variable, raising=False)
    if url:
        monkeypatch.setenv(variable, url)
    with pytest.raises((ContractError, SourceUnavailable), match=f"connection {feed.transport.connection!r}") as error:
        fetch(feed, home)
    assert CANARY not in str(error.value)
    assert not [path for path in home.landing.rglob("*") if path.is_file()]
    assert not connections.declared(home)


JOB = """
from ronghe import job
{before}
job.run_job(lambda ctx: ctx.spark.range(3).count(), "a_job")
"""


@pytest.fixture
def running(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("RONGHE_ENGINE_MEMORY", "1g")
    engine.up(home)
    yield home
    engine.down(home)


def run(code: str, token: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, engine.TOKEN_VARIABLE: token},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_engine_whose_token_changed_is_said_and_no_token_is_told(running: Home) -> None:
    right, wrong = engine.token(running), secrets.token_hex(32)
    done = run(JOB.format(before=""), wrong)
    assert done.returncode == 1
    assert "The engine refuses the token: see docs/runbooks/secret-wrong.md" in done.stderr
    assert right not in done.stdout + done.stderr
    assert wrong not in done.stdout + done.stderr
    # Teeth: without our words nobody is told what to mend.
    done = run(JOB.format(before="job.remedy = lambda error: ''"), wrong)
    assert "refuses the token" not in done.stderr
    assert run(JOB.format(before=""), right).returncode == 0
