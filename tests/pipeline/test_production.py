"""The whole night in production's shape: a Spark cluster, an S3 store, Airflow on PostgreSQL; the same tables."""

import os
import shutil
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from ronghe.contracts import catalogue
from ronghe.home import Home
from tests import oracles, servers
from tests.nights import reference, run_job, server
from tests.oracles.night import night_faults
from tests.pipeline.conftest import Night
from tests.ports import free_port

__all__ = ["reference", "run_job", "server"]

pytestmark = [pytest.mark.pipeline, pytest.mark.long]


@pytest.fixture(scope="module")
def production(reference: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    home = Home(tmp_path_factory.mktemp("production")).make()
    # The same deliveries, sources to ask and random keys as the embedded night, so that tokens are comparable.
    for part in ("landing", "keys", "truth"):
        shutil.copytree(getattr(reference, part), getattr(home, part), dirs_exist_ok=True)
    shutil.copy2(reference.service / "connections.yaml", home.service)
    with servers.object_store(tmp_path_factory.mktemp("store")) as store, servers.postgres() as database:
        environment = {
            **os.environ,
            **store,
            "RONGHE_HOME": str(home.root),
            "RONGHE_ENGINE_PORT": str(free_port()),
            "RONGHE_MASTER_PORT": str(free_port()),
            "RONGHE_AIRFLOW_PORT": str(free_port()),
            "RONGHE_AIRFLOW_DATABASE": database,
            "RONGHE_ENGINE_MEMORY": "2g",
        }
        night = Night(home, environment)
        try:
            night.must("up", "--engine", "cluster")
            yield Night(home, environment, complete=night.must("run"))
        finally:
            night.ronghe("down")


def test_tables_equal_the_embedded_nights(production: Night, reference: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = catalogue().tables
    expected = {table_id: oracles.table_contents(reference, table_id) for table_id in tables}
    for name, value in production.environment.items():
        monkeypatch.setenv(name, value)
    differing = [t for t in tables if oracles.table_contents(production.home, t) != expected[t]]
    assert differing == []
    assert night_faults(production.home) == []
    assert not list(production.home.root.rglob("_delta_log")), "a table was written beside the store"


def test_airflow_kept_its_books_in_postgresql(production: Night) -> None:
    assert not (production.home.service / "airflow" / "airflow.db").exists()
    with sa.create_engine(production.environment["RONGHE_AIRFLOW_DATABASE"]).connect() as connection:
        states = connection.execute(sa.text("SELECT state, count(*) FROM task_instance GROUP BY state")).all()
    assert {str(state) for state, _ in states} <= {"success", "skipped"}


def test_passwords_of_database_and_store_are_in_no_log(production: Night) -> None:
    told = [
        str(path)
        for path in production.home.root.rglob("*")
        if path.is_file() and servers.PASSWORD.encode() in path.read_bytes()
    ]
    assert told == []
    assert servers.PASSWORD not in production.complete


def test_down_ends_the_cluster_too(production: Night) -> None:
    assert production.processes()
    production.must("down")
    assert production.processes() == []
