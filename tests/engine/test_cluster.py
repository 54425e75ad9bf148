"""A Spark cluster and an S3 store in place of one process and folders: the same jobs, the same tables."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ronghe import engine, stores
from ronghe.contracts import catalogue
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.processes import end_group, secret_file
from ronghe.simulate import simulate
from tests import oracles, servers
from tests.faults.victim import await_that
from tests.nights import FEED, SEED, SIGKILL, JobRunner, night_by_jobs, runner
from tests.ports import await_port, free_port

pytestmark = pytest.mark.engine

# Where other tests of the store, with other keys, wrote nothing.
OWN_LAKE = {"RONGHE_RESTRICTED_LAKE": "s3a://restricted/night", "RONGHE_OPEN_LAKE": "s3a://open/night"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with servers.object_store(tmp_path_factory.mktemp("store")) as variables:
        yield variables


@pytest.fixture(scope="module")
def cluster(store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A cluster with its Connect server; tables go to the store where a job's environment names it."""
    home = Home(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.items():
            patch.setenv(name, value)
        patch.setenv("RONGHE_ENGINE", "cluster")
        patch.setenv("RONGHE_ENGINE_PORT", str(free_port()))
        patch.setenv("RONGHE_MASTER_PORT", str(free_port()))
        patch.setenv("RONGHE_ENGINE_MEMORY", "2g")
        assert set(stores.make_buckets(home.lake_root(zone) for zone in ("restricted", "open"))) == {
            "restricted",
            "open",
        }
        engine.up(home)
    yield home
    engine.down(home)


def like(embedded: Home, root: Path) -> Home:
    """Make a home with another one's deliveries and random keys, so that tokens are comparable."""
    home = Home(root).make()
    for part in ("landing", "keys", "truth"):
        shutil.copytree(getattr(embedded, part), getattr(home, part), dirs_exist_ok=True)
    return home


def test_feed_taken_in_on_a_cluster_into_a_store_is_the_embedded_ones(
    cluster: Home, store: dict[str, str], run_job: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = Home(tmp_path / "embedded").make()
    simulate(embedded.landing, embedded.truth, scale=0.004, days=14, seed=SEED)
    taken_in = run_job(embedded, "ingest_deliveries", "--feed", FEED)
    assert taken_in.returncode == 0, taken_in.stderr
    tables = ("raw.shenzhen__swipe", "std.swipe")
    expected = {table_id: oracles.table_contents(embedded, table_id) for table_id in tables}
    home = like(embedded, tmp_path / "home")
    kept = Path(store["STORE_FOLDER"]) / "restricted" / "lake" / "_staging"
    killed = runner(cluster)(home, "land_deliveries", "--feed", FEED, **store, **{VARIABLE: "ingest:shared"})
    assert killed.returncode == SIGKILL, killed.stderr
    assert [path for path in kept.rglob("*") if path.is_file()], "nothing was staged"
    done = runner(cluster)(home, "ingest_deliveries", "--feed", FEED, **store)
    assert done.returncode == 0, done.stderr
    again = runner(cluster)(home, "ingest_deliveries", "--feed", FEED, **store)
    assert again.stdout == "ingest_deliveries: 0\n", again.stderr
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    for table_id in tables:
        assert expected[table_id]
        assert oracles.table_contents(home, table_id) == expected[table_id], f"{table_id} differs"
    assert not list(home.root.rglob("_delta_log")), "a table was written beside the store"
    assert not [path for path in kept.rglob("*") if path.is_file()], "staged records were left in the store"


@pytest.mark.long
@pytest.mark.timeout(3600)  # a night, on a machine that may have more to do
def test_night_on_a_cluster_and_a_store_equals_the_embedded_one(
    cluster: Home, store: dict[str, str], reference: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = catalogue().tables
    expected = {table_id: oracles.table_contents(reference, table_id) for table_id in tables}
    home = like(reference, tmp_path / "home")
    shutil.copy2(reference.service / "connections.yaml", home.service)  # its sources are there to be asked
    for name, value in {**store, **OWN_LAKE}.items():
        monkeypatch.setenv(name, value)
    assert night_by_jobs(runner(cluster), home, killed=False) == 0
    assert [t for t in tables if oracles.table_contents(home, t) != expected[t]] == []


def test_work_is_done_by_two_workers_on_loopback_that_let_nobody_in(cluster: Home) -> None:
    daemons = [p for p in psutil.process_iter(["cmdline"]) if str(cluster.root) in " ".join(p.info["cmdline"] or ())]
    commands = [" ".join(daemon.info["cmdline"]) for daemon in daemons]
    assert sum("deploy.worker.Worker" in command for command in commands) == 2
    secret = (cluster.service / "cluster.secret").read_text("utf-8")
    assert not any(secret in command for command in commands)
    assert (cluster.service / "cluster.conf").stat().st_mode & 0o077 == 0
    listening = {c.laddr.ip for d in daemons for c in d.net_connections() if c.status == "LISTEN"}
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_executors_spill_into_the_home_and_nobody_else_looks_in(cluster: Home) -> None:
    def executors() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        ours = [p for p in found if "CoarseGrainedExecutorBackend" in " ".join(p.info["cmdline"] or ())]
        return [p for p in ours if p.environ().get("LOCAL_DIRS", "").startswith(str(cluster.root))]

    await_that(lambda: len(executors()) == 2, seconds=60)
    await_that(lambda: len(list(cluster.spill.glob("worker-?/*/*/blockmgr-*"))) == 2, seconds=60)
    for executor in executors():
        # Hadoop's, for what S3A has yet to upload; Spark's own, which the worker made for it.
        folders = {executor.environ()[name] for name in ("LOCAL_DIRS", "SPARK_EXECUTOR_DIRS")}
        assert {Path(folder).relative_to(cluster.spill).parts[0] for folder in folders} in ({"worker-1"}, {"worker-2"})
    for folder in (cluster.spill, *cluster.spill.glob("worker-?")):
        assert folder.stat().st_mode & 0o077 == 0


def test_servers_in_the_foreground_find_one_another(tmp_path: Path) -> None:
    """As containers would: each server a process and a home of its own, with the cluster's secret put there."""
    ports = {name: str(free_port()) for name in ("RONGHE_MASTER_PORT", "RONGHE_ENGINE_PORT")}
    variables = {**os.environ, **ports, "RONGHE_ENGINE": "cluster", "RONGHE_ENGINE_MEMORY": "1g"}
    running = []
    try:
        for server in ("master", "worker", "engine"):
            home = Home(tmp_path / server).make()
            secret_file(home.service / "cluster.secret", "known-to-all")
            own = {"RONGHE_HOME": str(home.root)}
            if server != "master":
                own["RONGHE_MASTER"] = f"spark://127.0.0.1:{ports['RONGHE_MASTER_PORT']}"
            command = [sys.executable, "-m", "ronghe.cli", "serve", server]
            running.append(subprocess.Popen(command, env={**variables, **own}, start_new_session=True))
        await_port(int(ports["RONGHE_ENGINE_PORT"]), seconds=90)
        asked = (
            "from ronghe import sessions; from ronghe.home import Home\n"
            f"with sessions.on_engine(Home.find(), 'probe', 'sc://localhost:{ports['RONGHE_ENGINE_PORT']}') as spark:\n"
            "    print(spark.range(1000).repartition(2).selectExpr('sum(id)').first()[0])"
        )
        # `own` is now the engine's.
        done = subprocess.run(
            [sys.executable, "-c", asked], env={**variables, **own}, capture_output=True, text=True, check=False
        )
        assert done.stdout == "499500\n", done.stderr
        seen = subprocess.run(
            [sys.executable, "-m", "ronghe.cli", "doctor"],
            env={**variables, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "runs in the foreground" in seen.stdout, seen.stdout
        second = subprocess.run(
            [sys.executable, "-m", "ronghe.cli", "serve", "engine"],
            env={**variables, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Another engine writes the lake" in second.stderr
    finally:
        for process in reversed(running):
            end_group(process.pid)
