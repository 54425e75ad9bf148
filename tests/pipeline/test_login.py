"""Production's login: four roles that an issuer's claims give, what each may do, and nothing for anybody else."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ronghe.home import Home
from ronghe.orchestration import login, service
from ronghe.processes import end_group
from tests import issuer as issuers
from tests.ports import free_port

pytestmark = [pytest.mark.pipeline, pytest.mark.long]

APPROVAL = "/dags/{dag}/dagRuns/r/taskInstances/t/-1/hitlDetails"
# What a person wants to do, and who may. Airflow answers 403 before it looks whether a run or task is there.
CALLS: dict[str, tuple[str, str, dict[str, object] | None, set[str]]] = {
    "see DAGs": ("GET", "/dags", None, set(login.ROLES)),
    "see runs": ("GET", "/dags/~/dagRuns", None, set(login.ROLES)),
    "see assets": ("GET", "/assets", None, set(login.ROLES)),
    "see code": ("GET", "/dagSources/fuse", None, {"Engineer", "Auditor"}),
    "see logs": ("GET", "/dags/fuse/dagRuns/r/taskInstances/t/logs/1", None, {"Engineer", "Auditor"}),
    "see values": ("GET", "/dags/fuse/dagRuns/r/taskInstances/t/xcomEntries", None, {"Engineer", "Auditor"}),
    "see the audit log": ("GET", "/eventLogs", None, {"Auditor"}),
    "see connections": ("GET", "/connections", None, {"Engineer"}),
    "see variables": ("GET", "/variables", None, {"Engineer"}),
    "change a variable": ("POST", "/variables", {"key": "k", "value": "v"}, set()),
    "change a connection": ("POST", "/connections", {"connection_id": "c", "conn_type": "http"}, set()),
    "see the settings": ("GET", "/config", None, set()),
    "trigger": ("POST", "/dags/fuse/dagRuns", {"logical_date": None}, {"Engineer"}),
    "clear": ("POST", "/dags/fuse/clearTaskInstances", {"dry_run": True, "dag_run_id": "r"}, {"Engineer"}),
    "pause": ("PATCH", "/dags/fuse", {"is_paused": True}, {"Engineer"}),
    "set a pool": ("POST", "/pools", {"name": "p", "slots": 1}, {"Engineer"}),
    "delete a run": ("DELETE", "/dags/fuse/dagRuns/r", None, set()),
    "delete a DAG": ("DELETE", "/dags/fuse", None, set()),
    "see what waits": ("GET", "/dags/~/dagRuns/~/hitlDetails", None, {"Engineer", "Approver", "Auditor"}),
    "approve": ("PATCH", APPROVAL.format(dag="release_extracts"), {"chosen_options": ["Approve"]}, {"Approver"}),
    "approve elsewhere": ("PATCH", APPROVAL.format(dag="fuse"), {"chosen_options": ["Approve"]}, set()),
}


@dataclass
class Door:
    """An API server with production's login, its home, its issuer and what it said."""

    home: Home
    address: str
    issuer: issuers.Issuer
    log: Path

    def log_in(self, subject: str, groups: list[str]) -> httpx.Client:
        """Go through the issuer's login as a browser does; return a client with what it got."""
        self.issuer.claims = {"sub": subject, "email": f"{subject}@example.org", "groups": groups}
        with httpx.Client(base_url=self.address, timeout=60, follow_redirects=True) as browser:
            browser.get("/auth/login/oidc")
            token = browser.cookies.get("_token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=f"{self.address}/api/v2", timeout=60, headers=headers)

    def call(self, client: httpx.Client, what: str) -> int:
        method, path, body, _ = CALLS[what]
        return client.request(method, path, json=body).status_code


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("login")
    secret = folder / "client_secret"
    secret.write_text(issuers.SECRET)
    secret.chmod(0o600)
    home, port = Home(folder / "home"), free_port()
    with issuers.running() as issuer:
        environment = {
            **os.environ,
            "RONGHE_HOME": str(home.root),
            "RONGHE_AIRFLOW_AUTH": "fab",
            "RONGHE_AIRFLOW_PORT": str(port),
            "RONGHE_OIDC_ISSUER": issuer.address,
            "RONGHE_OIDC_CLIENT_ID": issuers.CLIENT,
            "RONGHE_OIDC_CLIENT_SECRET_FILE": str(secret),
        }
        ronghe = [sys.executable, "-m", "ronghe.cli", "serve"]
        log = folder / "api-server.log"
        with log.open("wb") as said:
            subprocess.run([*ronghe, "migrate"], env=environment, check=True, stdout=said, stderr=said)
            # The DAGs, once; no scheduler is needed to ask who may do what.
            airflow = f"{Path(sys.executable).parent}/airflow"
            processor = "from ronghe.orchestration import service; from ronghe.home import Home; import os;"
            processor += f"e = service.environment(Home.find()); os.execve({airflow!r}, "
            processor += "['airflow', 'dag-processor', '--num-runs', '1'], e)"
            subprocess.run([sys.executable, "-c", processor], env=environment, check=True, stdout=said, stderr=said)
            server = subprocess.Popen(
                [*ronghe, "api-server"], env=environment, stdout=said, stderr=said, start_new_session=True
            )
        try:
            address = f"http://localhost:{port}"
            _await(f"{address}/api/v2/version", server)
            yield Door(home, address, issuer, log)
        finally:
            end_group(server.pid)


def _await(address: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, "the API server ended"
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise TimeoutError("the API server did not come up")


@pytest.fixture(scope="module")
def clients(door: Door) -> Iterator[dict[str, httpx.Client]]:
    found = {role: door.log_in(role.lower(), [f"ronghe-{role.lower()}", "staff"]) for role in login.ROLES}
    yield found
    for client in found.values():
        client.close()


@pytest.mark.parametrize("what", CALLS)
def test_each_role_may_do_what_is_declared(door: Door, clients: dict[str, httpx.Client], what: str) -> None:
    answers = {role: door.call(client, what) for role, client in clients.items()}
    allowed = {role for role, code in answers.items() if code not in (401, 403)}
    assert allowed == CALLS[what][3], answers
    assert all(code < 500 for code in answers.values()), answers


@pytest.mark.parametrize("what", CALLS)
def test_nobody_who_is_not_logged_in_may_do_anything(door: Door, what: str) -> None:
    with httpx.Client(base_url=f"{door.address}/api/v2", timeout=60) as anonymous:
        assert door.call(anonymous, what) == 401


def test_every_path_of_the_api_asks_who_it_is(door: Door) -> None:
    described = httpx.get(f"{door.address}/openapi.json", timeout=60).json()["paths"]
    open_paths = {"/api/v2/version", "/api/v2/monitor/health"}
    answers = {}
    for path, methods in described.items():
        if path.startswith("/api/v2/") and "get" in methods:
            answers[path] = httpx.get(door.address + path.replace("{", "").replace("}", ""), timeout=60).status_code
    assert len(answers) > 60
    # Logging in and out is for everybody.
    let_in = {path for path, code in answers.items() if code != 401 and not path.startswith("/api/v2/auth/")}
    assert let_in == open_paths


@pytest.mark.parametrize("groups", [[], ["staff", "Admin", "engineer"]], ids=["none", "others"])
def test_an_account_without_one_of_our_roles_may_do_nothing(door: Door, groups: list[str]) -> None:
    with door.log_in(f"stranger-{len(groups)}", groups) as stranger:
        answers = {what: door.call(stranger, what) for what in CALLS}
    assert set(answers.values()) <= {401, 403}, answers


def test_a_role_that_the_issuer_takes_away_is_gone_at_the_next_login(door: Door) -> None:
    with door.log_in("mover", ["ronghe-engineer"]) as engineer:
        assert door.call(engineer, "see code") == 200
    with door.log_in("mover", ["ronghe-analyst"]) as analyst:
        assert door.call(analyst, "see DAGs") == 200
        assert door.call(analyst, "see code") == 403


def test_an_id_token_that_another_key_signed_lets_nobody_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    forger = issuers.Issuer(door.issuer.address)
    forger.nonces = door.issuer.nonces
    forger.claims = {"sub": "forger", "groups": ["ronghe-engineer"]}
    monkeypatch.setattr(door.issuer, "id_token", forger.id_token)
    with door.log_in("forger", ["ronghe-engineer"]) as client:
        assert door.call(client, "see DAGs") == 401


def test_the_operator_is_an_engineer_with_the_homes_password(door: Door) -> None:
    body = {"username": service.USER, "password": service.password(door.home)}
    answer = httpx.post(f"{door.address}/auth/token", json=body, timeout=60)
    assert answer.status_code == 201
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    with httpx.Client(base_url=f"{door.address}/api/v2", timeout=60, headers=headers) as operator:
        assert door.call(operator, "set a pool") in (201, 409)
        assert door.call(operator, "see the audit log") == 403
    wrong = httpx.post(f"{door.address}/auth/token", json={**body, "password": "guess"}, timeout=60)
    assert wrong.status_code == 401


def test_secrets_of_the_login_are_in_no_log(door: Door) -> None:
    told = door.log.read_text("utf-8", errors="replace")
    assert "api-server" in told or "Started" in told or "request finished" in told
    assert issuers.SECRET not in told
    assert service.password(door.home) not in told
