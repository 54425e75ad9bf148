"""What a container that migrates leaves to Airflow's servers: a database, and the pool without which no task runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from ronghe.engine import POOL, POOL_SLOTS

pytestmark = pytest.mark.dags


def ronghe(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "RONGHE"))}
    return subprocess.run(
        [sys.executable, "-m", "ronghe.cli", *arguments],
        env={**variables, "RONGHE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_migrate_makes_the_pool_and_airflows_own_commands_reach_its_database(tmp_path: Path) -> None:
    done = ronghe(tmp_path, "serve", "migrate")
    assert done.returncode == 0, done.stderr[-2000:]
    books = sa.create_engine(f"sqlite:///{tmp_path / 'service' / 'airflow' / 'airflow.db'}")
    with books.connect() as connection:
        found = connection.execute(sa.text("SELECT pool, slots FROM slot_pool")).all()
    assert (POOL, POOL_SLOTS) in [tuple(row) for row in found]
    told = ronghe(tmp_path, "airflow", "pools", "get", POOL, "--output", "plain")
    assert POOL in told.stdout.splitlines()[-1], told.stderr[-2000:]
