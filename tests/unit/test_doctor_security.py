"""`ronghe doctor --security`: a home as `up` makes it is well, and each thing that is not is named with its remedy."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from ronghe import engine, jars
from ronghe.cli import app
from ronghe.doctor import security
from ronghe.home import Home
from ronghe.orchestration import login, service
from ronghe.processes import end_group, save_state
from tests.ports import await_port, free_port

PRODUCTION = {
    "RONGHE_AIRFLOW_AUTH": "fab",
    "RONGHE_AIRFLOW_URL": "https://ronghe.example.org",
    "RONGHE_AIRFLOW_DATABASE": "postgresql+psycopg://ronghe:x@127.0.0.1:1/airflow",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "RONGHE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    monkeypatch.setenv("RONGHE_JARS", str(tmp_path / "jars"))
    home = Home(tmp_path / "home").make()
    service.password(home)
    service.environment(home)
    (home.keys / "guiyang.enterprise.key").touch(0o600)
    (home.keys / "guiyang.enterprise.key").write_bytes(bytes(range(32)))
    return home


def red(home: Home) -> set[str]:
    return {finding.check for finding in security.findings(home) if not finding.ok}


def test_a_home_as_it_is_made_is_well(home: Home) -> None:
    found = list(security.findings(home))
    assert [finding for finding in found if not finding.ok] == []
    assert len(found) > 12


def test_a_look_at_a_home_that_never_ran_makes_no_secret(tmp_path: Path) -> None:
    empty = Home(tmp_path / "empty")
    assert "Airflow: was never started here" in {f"{f.check}: {f.said}" for f in security.findings(empty)}
    assert not empty.root.exists()


def _open_file(home: Home) -> None:
    (home.service / "engine.token").chmod(0o640)


def _open_folder(home: Home) -> None:
    home.service.chmod(0o755)


def _key_in_lake(home: Home) -> None:
    (home.open_lake / "mart").mkdir()
    (home.open_lake / "mart" / "copied.key").write_bytes(b"0" * 32)


def _other_jar(home: Home) -> None:
    jars.folder().mkdir()
    (jars.folder() / jars.locked()[0].path.name).write_bytes(b"another")


def _unknown_jar(home: Home) -> None:
    jars.folder().mkdir()
    (jars.folder() / "stranger-1.0.jar").write_bytes(b"another")


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_open_file, "secret: engine.token"),
        (_open_folder, "folder: service"),
        (_key_in_lake, "secrets: strays"),
        (_other_jar, "jars"),
        (_unknown_jar, "jars"),
    ],
)
def test_what_is_wrong_on_the_disk_is_named(home: Home, spoil: Callable[[Home], None], check: str) -> None:
    engine.token(home)
    spoil(home)
    assert red(home) == {check}


@pytest.mark.parametrize("variable", ["RONGHE_CLUSTER_SECRET_FILE", "RONGHE_OIDC_CLIENT_SECRET_FILE"])
def test_a_secret_that_a_variable_names_elsewhere_is_looked_at(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, started: Callable[..., None]
) -> None:
    given = tmp_path / "given"
    given.touch(0o600)
    given.write_text("not-to-be-told\n")
    monkeypatch.setenv(variable, str(given))
    assert red(home) == set()
    given.chmod(0o440)
    assert red(home) == {f"secret: {given}"}
    given.chmod(0o400)
    started("sources", "127.0.0.1", "--secret=not-to-be-told")
    assert _said(home, "command lines").endswith("shows given")


def test_root_is_told_to_be_somebody_else(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert red(home) == {"user"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIRFLOW__API__EXPOSE_CONFIG", "True"),
        ("AIRFLOW__CORE__LOAD_EXAMPLES", "True"),
        ("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True"),
        ("AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS", "*"),
        ("AIRFLOW__FAB__AUTH_ROLE_PUBLIC", "Viewer"),
        ("AIRFLOW__CORE__FERNET_KEY", ""),
        ("AIRFLOW__API__SECRET_KEY", "short"),
        ("AIRFLOW__API_AUTH__JWT_SECRET", "airflow"),
    ],
)
def test_a_setting_that_lets_others_in_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    settings = {**service.environment(home), variable: value}
    monkeypatch.setattr(service, "environment", lambda _: settings)
    assert red(home) == {f"Airflow: {variable}"}


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("RONGHE_AIRFLOW_AUTH", "simple", "production: login"),
        ("RONGHE_AIRFLOW_URL", "http://ronghe.example.org", "production: TLS"),
        ("RONGHE_AIRFLOW_DATABASE", "sqlite:////tmp/airflow.db", "production: database"),
    ],
)
def test_production_asks_for_more(
    home: Home, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, check: str
) -> None:
    monkeypatch.setattr(security, "_roles", lambda _: ())
    for name, good in PRODUCTION.items():
        monkeypatch.setenv(name, good)
    assert red(home) == set()
    monkeypatch.setenv(variable, value)
    assert red(home) == {check}


def _database(path: Path, rights: dict[str, set[login.Right]], holders: list[str]) -> str:
    """Make FAB's tables as far as they are asked."""
    address = f"sqlite:///{path}"
    names = sorted({*rights, *holders})
    pairs = sorted(set().union(*rights.values()))
    with sa.create_engine(address).begin() as connection:
        for table in (
            "ab_role (id, name)",
            "ab_permission (id, name)",
            "ab_view_menu (id, name)",
            "ab_permission_view (id, permission_id, view_menu_id)",
            "ab_permission_view_role (permission_view_id, role_id)",
            "ab_user_role (user_id, role_id)",
        ):
            connection.exec_driver_sql(f"CREATE TABLE {table}")
        for number, name in enumerate(names):
            connection.exec_driver_sql("INSERT INTO ab_role VALUES (?, ?)", (number, name))
        for number, (action, resource) in enumerate(pairs):
            connection.exec_driver_sql("INSERT INTO ab_permission VALUES (?, ?)", (number, action))
            connection.exec_driver_sql("INSERT INTO ab_view_menu VALUES (?, ?)", (number, resource))
            connection.exec_driver_sql("INSERT INTO ab_permission_view VALUES (?, ?, ?)", (number, number, number))
        for role, own in rights.items():
            for right in own:
                values = (pairs.index(right), names.index(role))
                connection.exec_driver_sql("INSERT INTO ab_permission_view_role VALUES (?, ?)", values)
        for number, role in enumerate(holders):
            connection.exec_driver_sql("INSERT INTO ab_user_role VALUES (?, ?)", (number, names.index(role)))
    return address


AS_DECLARED = {role: set(rights) for role, rights in login.ROLES.items()}


@pytest.mark.parametrize(
    ("rights", "holders", "check"),
    [
        (AS_DECLARED, ["Engineer", "Analyst"], None),
        ({**AS_DECLARED, "Public": {("can_read", "DAGs")}}, [], "role: Public"),
        ({**AS_DECLARED, "Analyst": AS_DECLARED["Auditor"]}, [], "role: Analyst"),
        (AS_DECLARED, ["Admin"], "roles"),
    ],
    ids=["as declared", "public", "more", "admin"],
)
def test_roles_in_the_database_are_compared(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rights: dict[str, set[login.Right]],
    holders: list[str],
    check: str | None,
) -> None:
    monkeypatch.setenv("RONGHE_AIRFLOW_AUTH", "fab")
    monkeypatch.setenv("RONGHE_AIRFLOW_DATABASE", _database(tmp_path / "books.db", rights, holders))
    assert red(home) == ({check} if check else set())


@pytest.fixture
def started(home: Home) -> Iterator[Callable[..., None]]:
    """Give a function that starts a service of the home: a process with arguments that may listen somewhere."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, host: str, *arguments: str) -> None:
        port = free_port()
        code = f"import socket, time; s = socket.create_server(({host!r}, {port})); time.sleep(600)"
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, start_new_session=True)
        processes.append(process)
        await_port(port)
        save_state(home.service / f"{name}.json", process.pid, port, "")

    yield start
    for process in processes:
        end_group(process.pid)


def _said(home: Home, check: str) -> str:
    [found] = [finding for finding in security.findings(home) if finding.check == check]
    return "" if found.ok else found.said


@pytest.mark.parametrize(("host", "ok"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_listener_beyond_loopback_is_named(home: Home, started: Callable[..., None], host: str, ok: bool) -> None:
    started("sources", host)
    assert ("listens at 0.0.0.0" in _said(home, "listeners")) is not ok


def test_a_secret_in_a_command_line_is_named_and_not_told(home: Home, started: Callable[..., None]) -> None:
    started("sources", "127.0.0.1", "--harmless")
    assert _said(home, "command lines") == ""
    started("sources", "127.0.0.1", f"--conf=token={engine.token(home)}")
    said = _said(home, "command lines")
    assert "engine.token" in said
    assert engine.token(home) not in said


class _Engine(grpc.GenericRpcHandler):
    def __init__(self, asks_for_token: bool) -> None:
        self.asks = asks_for_token

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            if self.asks:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize("asks_for_token", [True, False])
def test_an_engine_that_answers_without_a_token_is_named(home: Home, asks_for_token: bool) -> None:
    server = grpc.server(ThreadPoolExecutor(1), handlers=[_Engine(asks_for_token)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        save_state(home.service / "engine.json", os.getpid(), port, "")
        assert ("was answered" in _said(home, "engine: token")) is not asks_for_token
    finally:
        server.stop(None)


def test_the_command_ends_badly_where_something_is_wrong(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_HOME", str(home.root))
    runner = CliRunner()
    assert runner.invoke(app, ["doctor", "--security"]).exit_code == 0
    home.service.chmod(0o755)
    done = runner.invoke(app, ["doctor", "--security"])
    assert done.exit_code == 1
    assert f"chmod 700 {home.service}" in done.stdout
