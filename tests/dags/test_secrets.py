"""Connections from Airflow's secrets backend: a job reads them as variables, for as long as it runs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.backends import run_beside

pytestmark = pytest.mark.dags

ROOT = Path(__file__).parents[2]
SECRET = "canary-p@ss/word"
QUOTED = "canary-p%40ss%2Fword"
LOOK = (
    """
import logging, os
from ronghe_airflow import secrets
with secrets.provided({"RONGHE_CONNECTION_BOOKS": "books", "RONGHE_CONNECTION_UNKNOWN": "unknown"}):
    print(os.environ["RONGHE_CONNECTION_BOOKS"], "RONGHE_CONNECTION_UNKNOWN" in os.environ)
print("RONGHE_CONNECTION_BOOKS" in os.environ)
from airflow.sdk._shared.secrets_masker import redact
print(redact(f"it said {'"""
    + SECRET
    + """'} and {'"""
    + QUOTED
    + """'}"))
"""
)


def look(tmp_path: Path, connection: object, code: str = LOOK, **variables: str) -> list[str]:
    backend = tmp_path / "connections.json"
    backend.touch(mode=0o600)
    backend.write_text(json.dumps({"books": connection}), "utf-8")
    own = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(backend)}),
    }
    done = run_beside(tmp_path, code, **{**own, **variables})
    return [line for line in done.stdout.splitlines() if line.strip()][-3:]


CONNECTIONS = {
    "fields": {"conn_type": "postgres", "host": "db", "port": 5432, "login": "r", "password": SECRET, "schema": "d"},
    "an address": f"postgres://r:{QUOTED}@db:5432/d",
    "an address as it stands": {
        "conn_type": "generic",
        "extra": {"url": f"postgresql+psycopg://r:{QUOTED}@db:5432/d"},
    },
}


@pytest.mark.parametrize("written", CONNECTIONS)
def test_a_connection_of_the_backend_is_what_the_job_reads_and_is_masked(tmp_path: Path, written: str) -> None:
    said = look(tmp_path, CONNECTIONS[written])
    assert said == [f"postgresql+psycopg://r:{QUOTED}@db:5432/d False", "False", "it said *** and ***"]


def test_without_the_mask_the_password_would_be_told(tmp_path: Path) -> None:
    unmasked = LOOK.replace("import secrets\n", "import secrets\nsecrets.mask_secret = lambda _: None\n", 1)
    said = look(tmp_path, CONNECTIONS["an address as it stands"], unmasked)
    assert SECRET in said[-1]


def test_a_variable_that_is_set_comes_first(tmp_path: Path) -> None:
    code = LOOK.replace('print("RONGHE_CONNECTION_BOOKS" in os.environ)', "print('left')")
    said = look(tmp_path, CONNECTIONS["fields"], code, RONGHE_CONNECTION_BOOKS="sqlite:///own")
    assert said[:2] == ["sqlite:///own False", "left"]


def feed(connection: str | None) -> Any:
    return SimpleNamespace(transport=SimpleNamespace(connection=connection) if connection else None)


def test_variables_are_those_that_jobs_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from ronghe_airflow import secrets

    assert secrets.of_feed(feed("shop_api")) == {"RONGHE_CONNECTION_SHOP_API": "shop_api"}
    assert secrets.of_feed(feed(None)) == secrets.of_feed(None) == {}
    extracts: list[Any] = [SimpleNamespace(id="a", connection="dw"), SimpleNamespace(id="b", connection=None)]
    assert secrets.of_extracts(extracts) == {"RONGHE_CONNECTION_DW": "dw", "RONGHE_RELEASE_URL_B": "release_b"}
