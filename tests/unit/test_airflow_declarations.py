"""A night is run only by an Airflow that reads the declarations in force here."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ronghe.cli import app
from ronghe.home import Home
from ronghe.orchestration import service
from ronghe.processes import ServiceState, save_state
from tests.ports import free_port

Started = Callable[..., ServiceState]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Give a function that starts a process with variables, as `ronghe up` starts Airflow in a shell that has them."""
    for name in ("RONGHE_SCHEMAS", "RONGHE_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    processes = []

    def start(**variables: str) -> ServiceState:
        command = [sys.executable, "-c", "print(flush=True); input()"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdin=pipe, stdout=pipe)
        processes.append(process)
        assert process.stdout
        process.stdout.readline()  # it is the new program now, with the variables it was given
        return ServiceState(process.pid, 8080, "", 0.0)

    yield start
    for process in processes:
        process.communicate(b"\n")


def test_one_with_the_same_declarations_is_asked(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    service.refuse_other_declarations(started())
    service.refuse_other_declarations(started(RONGHE_SCHEMAS="builtin"))
    monkeypatch.setenv("RONGHE_SCHEMAS", "builtin:/mine")
    service.refuse_other_declarations(started(RONGHE_SCHEMAS="builtin:/mine", RONGHE_ENGINE="cluster"))


def test_one_with_other_folders_is_refused(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = started()
    monkeypatch.setenv("RONGHE_SCHEMAS", "builtin:/mine")
    with pytest.raises(service.AirflowError, match=r"RONGHE_SCHEMAS='builtin', .*'builtin:/mine'.*`ronghe up`"):
        service.refuse_other_declarations(airflow)


def test_one_with_other_sources_is_refused(started: Started) -> None:
    with pytest.raises(service.AirflowError, match="RONGHE_SOURCES='shanghai'"):
        service.refuse_other_declarations(started(RONGHE_SOURCES="shanghai"))


@pytest.mark.parametrize(
    ("days", "said"),
    [("2026-13-01", "is no day"), ("yesterday", "is no day"), ("2026-11-19..2026-11-18", "runs backwards")],
)
def test_run_asks_no_airflow_for_days_that_are_none(
    days: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["run", "--days", days])
    assert done.exit_code == 1
    assert said in done.output


def test_run_says_so_and_starts_nothing(started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path).make()
    save_state(home.service / "airflow.json", started().pid, free_port(), "")
    monkeypatch.setenv("RONGHE_HOME", str(home.root))
    monkeypatch.setenv("RONGHE_SOURCES", "shanghai")
    done = CliRunner().invoke(app, ["run"])
    assert done.exit_code == 1
    assert "RONGHE_SOURCES='', and here it is 'shanghai'" in done.output
