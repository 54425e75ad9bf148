"""The engine: one lease per lake, a token, a quick no."""

import os
import signal
import stat
import subprocess
import sys
import time

import psutil
import pytest

from ronghe import engine, sessions
from ronghe.home import Home
from tests.ports import free_port

pytestmark = pytest.mark.engine


def test_second_engine_is_refused_while_one_holds_the_lake(server: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # A second service folder over the same lake, as another checkout pointed at it would have.
    twin = Home(server.root.parent / "twin")
    twin.root.mkdir()
    (twin.root / "restricted").symlink_to(server.root / "restricted")
    monkeypatch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
    with pytest.raises(engine.EngineError, match="Another engine writes the lake"):
        engine.up(twin)
    with pytest.raises(engine.EngineError, match="Another engine"), sessions.in_process(twin):
        pass


def test_lease_is_free_again_when_the_engine_was_killed(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)  # type: ignore[arg-type]
    monkeypatch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
    monkeypatch.setenv("RONGHE_ENGINE_MEMORY", "1g")
    killed = engine.up(home)
    assert engine.up(home) == killed
    os.kill(killed.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(killed.pid)] if psutil.pid_exists(killed.pid) else [], timeout=10)
    assert engine.state(home) is None
    again = engine.up(home)
    assert again.pid != killed.pid
    assert engine.down(home)
    assert engine.state(home) is None


def test_busy_port_is_one_clear_sentence(
    server: Home, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = engine.state(server)
    assert running
    monkeypatch.setenv("RONGHE_ENGINE_PORT", str(running.port))
    with pytest.raises(engine.EngineError, match=r"Port \d+ is in use.*RONGHE_ENGINE_PORT"):
        engine.up(Home(tmp_path))  # type: ignore[arg-type]


def test_session_is_refused_at_once_when_nothing_listens(tmp_path: os.PathLike[str]) -> None:
    began = time.monotonic()
    with (
        pytest.raises(engine.EngineError, match="does not answer"),
        sessions.on_engine(Home(tmp_path), "probe", f"sc://localhost:{free_port()}"),  # type: ignore[arg-type]
    ):
        pass
    assert time.monotonic() - began < 5, "the client itself would try for ten minutes"


@pytest.mark.parametrize(("token", "said"), [("wrong", "UNAUTHENTICATED"), (None, "answer")])
def test_only_the_right_token_is_let_in(server: Home, token: str | None, said: str) -> None:
    # In a process of its own: a Connect client turns the whole process into one.
    asked = (
        "from ronghe import engine, sessions; from ronghe.home import Home\n"
        "with sessions.on_engine(Home.find(), 'probe') as spark: print(spark.sql(\"SELECT 'answer'\").collect())\n"
        "import os; print('left behind' if engine.token(Home.find()) in os.environ.values() else 'kept')"
    )
    environment = {**os.environ, "RONGHE_HOME": str(server.root), **({engine.TOKEN_VARIABLE: token} if token else {})}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) == (token is None)
    assert ("kept" in done.stdout) == (token is None)


def test_secrets_are_readable_by_the_owner_only_and_the_server_by_loopback(server: Home) -> None:
    assert stat.S_IMODE((server.service / "engine.token").stat().st_mode) == 0o600
    assert stat.S_IMODE((server.service / "engine.json").stat().st_mode) == 0o600
    running = engine.state(server)
    assert running
    assert engine.token(server) not in " ".join(psutil.Process(running.pid).cmdline())
    listening = [c.laddr.ip for c in psutil.Process(running.pid).net_connections() if c.status == "LISTEN"]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


# A task's process has the client, then sets up logging.
IN_AIRFLOW = (
    "import logging.config, pyspark.sql.connect.functions\n"
    "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False})\n"
)


@pytest.mark.parametrize("before", ["", IN_AIRFLOW], ids=["", "in_airflow"])
@pytest.mark.parametrize("guarded", [True, pytest.param(False, id="teeth")])
def test_an_error_that_quotes_a_row_says_nothing_in_the_jobs_output(server: Home, guarded: bool, before: str) -> None:
    """PySpark writes the message of an error that has a place in a query to stderr, whoever catches the error."""
    asked = before + (
        "from contextlib import suppress; from ronghe import job, sessions; from ronghe.home import Home\n"
        f"home = Home.find(); guard = job.without_row_content if {guarded} else lambda *_: suppress(Exception)\n"
        "with suppress(job.JobFailed), guard(home, 'probe'), sessions.on_engine(home, 'probe') as spark:\n"
        "    spark.sql(\"SELECT CAST('13812345678号' AS INT)\").collect()\n"
    )
    environment = {**os.environ, "RONGHE_HOME": str(server.root)}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("13812345678" in done.stdout + done.stderr) is not guarded
