"""A secret is missing, cut off, open to others or changed, or who keeps it is away.

Nothing is written, and the error tells no secret.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ronghe import cluster, engine
from ronghe.contracts import ContractError, catalogue
from ronghe.doctor import machine
from ronghe.home import Home
from ronghe.ingest import connections
from ronghe.ingest.transports import SourceUnavailable, fetch
from ronghe.job import DataStopped
from ronghe.privacy import keys
from tests.backends import run_beside
from tests.ports import free_port

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
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


@pytest.mark.smoke
def test_clusters_secret_that_is_missing_or_open_is_refused_and_not_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    monkeypatch.setenv(cluster.SECRET_VARIABLE, str(given))
    with pytest.raises(ContractError, match=f"{given} cannot be read: put the secret there"):
        cluster.properties_file(home)
    given.touch(0o600)
    with pytest.raises(ContractError, match=f"{given} is empty"):
        cluster.properties_file(home)
    given.write_text(f"{CANARY}\n")
    given.chmod(0o440)
    with pytest.raises(ContractError, match=f"chmod 600 {given}") as error:
        cluster.properties_file(home)
    assert CANARY not in str(error.value)
    assert not (home.service / "cluster.conf").exists()
    given.chmod(0o400)
    assert f"spark.authenticate.secret {CANARY}\n" in cluster.properties_file(home).read_text()
    # Teeth: without the look the open file is taken.
    given.chmod(0o444)
    monkeypatch.setattr(cluster, "given_secret", lambda path: path.read_text().strip())
    assert cluster.properties_file(home)


AWAY = """
from airflow.secrets import BaseSecretsBackend

class Vault(BaseSecretsBackend):
    def get_connection(self, conn_id, team_name=None):
        raise OSError("https://reader:{canary}@vault does not answer")
"""
# The second time as Airflow looks a connection up, for whom a backend that fails has nothing.
LOAD = """
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.release import database
from ronghe_airflow import secrets
from ronghe_airflow.defaults import RETRY_POLICY

def as_airflow(name):
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None

for asked in (secrets._asked, as_airflow):
    secrets._asked = asked
    for connection in (None, "city_db"):
        extract = catalogue().extract("livelihood").model_copy(update={"connection": connection})
        try:
            with secrets.provided(secrets.of_extracts([extract])):
                print("said: loaded into", database.address(Home.find(), extract))
        except Exception as error:
            action = RETRY_POLICY.evaluate(error, try_number=1, max_tries=3).action.name
            print("said:", action, type(error).__name__, error, error.__cause__, error.__suppress_context__)
"""


@pytest.mark.smoke
def test_backend_that_is_away_fails_the_task_before_it_begins(home: Home) -> None:
    (home.root / "away.py").write_text(AWAY.format(canary=CANARY))
    own = {
        "AIRFLOW__SECRETS__BACKEND": "away.Vault",
        # A place that is asked later must not be taken for the one that is away.
        "AIRFLOW_CONN_CITY_DB": "postgres://old",
        "PYTHONPATH": os.pathsep.join([str(home.root), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]),
    }
    done = run_beside(home.service, LOAD, **own)
    assert CANARY not in done.stdout + done.stderr
    said = [line.removeprefix("said: ") for line in done.stdout.splitlines() if line.startswith("said: ")]
    for name, line in zip(("release_livelihood", "city_db"), said[:2], strict=True):
        assert line.startswith(f"DEFAULT JobFailed connection {name!r} was not looked up: Vault does not answer")
        assert line.endswith("(OSError). Nothing was done. See docs/runbooks/secret-wrong.md. None True")
    # Teeth: as Airflow looks it up, another database is taken for the extract's.
    assert [line.partition("://")[0] for line in said[2:]] == ["loaded into sqlite", "loaded into postgresql+psycopg"]


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
