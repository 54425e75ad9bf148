"""What an engine spills lies in the home, and goes with the process that has spilled it."""

import subprocess
from pathlib import Path

import pytest

from ronghe import cluster, engine, spill
from ronghe.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).make()


def put(folder: Path) -> Path:
    """Spill a block as Spark does."""
    block = folder / "blockmgr-1" / "0c" / "shuffle_0"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"rows")
    return block


def test_daemon_and_server_are_led_into_the_home_whatever_the_environment_says(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPARK_LOCAL_DIRS", "LOCAL_DIRS"):
        monkeypatch.setenv(name, "/tmp")
    server = engine.environment(home)
    worker = cluster.daemon_environment(home, cluster.worker(home, "worker-1", 7078), server)
    for name in ("SPARK_LOCAL_DIRS", "LOCAL_DIRS"):
        assert server[name] == str(home.engine / "spill")
        assert worker[name] == str(home.engine / "spill" / "worker-1")


def test_start_removes_what_the_dead_have_left_and_nothing_of_the_living(home: Home) -> None:
    of_server = put(home.spill)
    with spill.held(home.spill / "worker-1") as lock:
        daemon = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),))
    try:
        of_daemon = put(home.spill / "worker-1")
        with engine.lease(home):
            assert not of_server.exists()
            assert of_daemon.exists()
        with pytest.raises(spill.SpillHeld), spill.held(home.spill / "worker-1"):
            pass
        assert of_daemon.exists()
    finally:
        daemon.kill()
        daemon.wait()
    with spill.held(home.spill / "worker-1"):
        assert not of_daemon.exists()
    put(home.spill / "worker-1")
    with engine.lease(home):
        assert list(home.spill.iterdir()) == []


def test_folders_are_closed_to_others(home: Home) -> None:
    with engine.lease(home), spill.held(home.spill / "worker-1"):
        for folder in (home.spill, home.spill / "worker-1"):
            assert folder.stat().st_mode & 0o077 == 0


def test_daemon_in_the_foreground_is_refused_beside_another(home: Home) -> None:
    own = cluster.worker(home, "worker", cluster.WORKER_PORT)
    with spill.held(home.spill / "worker"), pytest.raises(cluster.ClusterError, match="Another worker works in"):
        cluster.become(home, own, Path("/nowhere"), {})
