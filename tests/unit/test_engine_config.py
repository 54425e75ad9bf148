"""`up` starts anew what runs with other settings, and leaves the rest alone."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ronghe import cluster, engine, jars
from ronghe.home import Home
from ronghe.processes import ServiceState, load_state
from tests.ports import free_port

# Listens where it is told to, and does nothing.
DAEMON = """\
#!{python}
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
time.sleep(60)
"""
Change = Callable[[pytest.MonkeyPatch, Path], None]


def says(name: str, value: str) -> Change:
    return lambda patch, _: patch.setenv(name, value)


def another_secret(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "secret").write_text("another", "utf-8")
    (folder / "secret").chmod(0o600)
    patch.setenv("RONGHE_CLUSTER_SECRET_FILE", str(folder / "secret"))


def another_version(patch: pytest.MonkeyPatch, _: Path) -> None:
    for module in (engine, cluster):
        patch.setattr(module, "__version__", "0.0.0")


OF_ALL: dict[str, Change] = {
    "secret": another_secret,
    "version": another_version,
    "Java": says("JAVA_HOME", "/opt/another"),
}
OF_WORKERS: dict[str, Change] = {
    "a worker's memory": says("RONGHE_WORKER_MEMORY", "2g"),
    "a worker's cores": says("RONGHE_WORKER_CORES", "4"),
}
OF_SERVER: dict[str, Change] = {
    "an executor's memory": says("RONGHE_EXECUTOR_MEMORY", "2g"),
    "an executor's code": says("PYTHONPATH", "/opt/declarations"),
    "the master": says("RONGHE_MASTER", "spark://elsewhere:7077"),
    "embedded": says("RONGHE_ENGINE", "embedded"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("RONGHE_ENGINE", "cluster")
    monkeypatch.setenv("RONGHE_MASTER_PORT", str(free_port()))
    monkeypatch.setattr(jars, "checked", lambda *_: ())
    return Home(tmp_path / "home").make()


@pytest.fixture
def up(home: Home, tmp_path: Path) -> Callable[[], dict[str, int]]:
    """Return what starts a cluster's daemons and gives their process ids."""
    program = tmp_path / "spark-class"
    program.write_text(DAEMON.format(python=sys.executable), "utf-8")
    program.chmod(0o700)

    def start() -> dict[str, int]:
        cluster.up(home, program, dict(os.environ))
        found = {name: load_state(home.service / f"cluster.{name}.json") for name in ("master", "worker-1", "worker-2")}
        return {name: state.pid for name, state in found.items() if state}

    return start


@pytest.mark.parametrize("what", [None, *OF_ALL, *OF_WORKERS, *OF_SERVER])
def test_server_is_started_anew_where_anything_it_was_started_with_is_another(
    what: str | None, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, ended = ServiceState(1, 15002, engine._config(home, 15002), 0), list[Home]()
    monkeypatch.setenv("RONGHE_ENGINE_PORT", "15002")
    monkeypatch.setattr(engine, "state", lambda _: running)
    monkeypatch.setattr(engine, "_answers", lambda _: True)
    monkeypatch.setattr(engine, "down", ended.append)
    monkeypatch.setattr(engine, "_start", lambda _, port, config: ServiceState(2, port, config, 0))
    if what:
        (OF_ALL | OF_WORKERS | OF_SERVER)[what](monkeypatch, tmp_path)
    assert engine.up(home).pid == (2 if what else 1)
    assert ended == ([home] if what else [])


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        (says("RONGHE_EXECUTOR_MEMORY", "2g"), set()),
        (OF_WORKERS["a worker's memory"], {"worker-1", "worker-2"}),
        (another_secret, {"master", "worker-1", "worker-2"}),
        (another_version, {"master", "worker-1", "worker-2"}),
    ],
    ids=["the server's", "workers'", "secret", "version"],
)
def test_daemons_of_a_server_that_died_are_started_anew_where_theirs_is_another(
    change: Change,
    anew: set[str],
    home: Home,
    up: Callable[[], dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        before = up()
        assert len(before) == 3
        change(monkeypatch, tmp_path)
        after = up()
        assert {name for name in before if before[name] != after[name]} == anew
    finally:
        cluster.down(home)


def test_daemons_end_where_the_cluster_is_others(
    home: Home, up: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        assert len(up()) == 3
        monkeypatch.setenv("RONGHE_MASTER", "spark://elsewhere:7077")
        assert up() == {}
    finally:
        cluster.down(home)
