"""docker-compose.yaml says what the code reads, starts what the code can be, and opens one door."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ronghe.cli.services import SERVERS
from ronghe.contracts.catalogue import builtin_folder
from ronghe.orchestration.servers import SERVERS as OF_AIRFLOW

ROOT = builtin_folder()
COMPOSE = ROOT / "docker-compose.yaml"
# What a person must say, and the compose file gives no default for.
REQUIRED = {
    "RONGHE_AIRFLOW_URL": "https://ronghe.example.org",
    "RONGHE_OIDC_ISSUER": "https://login.example.org",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "POSTGRES_PASSWORD": "password",
}


def services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(COMPOSE.read_text("utf-8"))["services"])


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if service["image"].startswith("ronghe:")}


def variables_of_the_code() -> set[str]:
    """Return every variable the code reads, by its name in the source."""
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r'"((?:RONGHE|AWS)_[A-Z_]+)"', text))
    assert 'f"RONGHE_{zone.upper()}_LAKE"' in text
    return named | {"RONGHE_RESTRICTED_LAKE", "RONGHE_OPEN_LAKE"}


def test_every_setting_is_one_the_code_reads() -> None:
    # The keys of the store are read by its clients themselves.
    known = variables_of_the_code() | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    unknown = {(name, key) for name, service in ours().items() for key in service["environment"] if key not in known}
    assert unknown == set()


def test_every_server_of_the_code_has_a_container_and_none_is_made_up() -> None:
    commands = [service["command"] for service in ours().values()]
    assert sorted(commands) == sorted(["serve", server] for server in SERVERS)


def test_the_door_is_the_only_way_in() -> None:
    assert [name for name, service in services().items() if service.get("ports")] == ["door"]
    behind = {name for name, service in ours().items() if service.get("network_mode") == "service:door"}
    assert behind == set(SERVERS) - {"master", "worker"}
    networks = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]
    assert networks["inside"]["internal"] is True
    others = {name: service["networks"] for name, service in services().items() if name not in {*behind, "door"}}
    assert all(found == ["inside"] for found in others.values()), others


def test_containers_of_ours_may_change_nothing_but_their_data() -> None:
    for name, service in ours().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert "\nUSER ronghe\n" in dockerfile
    assert "umask 027" in dockerfile


def test_what_workers_spill_lies_on_a_disk() -> None:
    """In memory it would take what it was to save."""
    worker = services()["worker"]
    assert worker["volumes"] == [worker["environment"]["RONGHE_HOME"]]
    assert worker["tmpfs"] == ["/tmp"]


def test_nobody_gets_in_without_productions_login() -> None:
    for name in set(OF_AIRFLOW):
        environment = ours()[name]["environment"]
        assert environment["RONGHE_AIRFLOW_AUTH"] == "fab", name
        assert environment["RONGHE_OIDC_ISSUER"].startswith("${RONGHE_OIDC_ISSUER:?"), name
        assert "oidc_client_secret" in ours()[name]["secrets"], name
    door = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    assert {"respond /execution/* 404", "respond /auth/token* 404"} <= {line.strip() for line in door.splitlines()}


def test_there_is_one_engine_and_the_secrets_stand_nowhere_in_the_file() -> None:
    assert services()["engine"].get("deploy") is None
    text = COMPOSE.read_text("utf-8")
    for name in ("AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(..)", text)) == {":?"}, f"{name} has a default"


def test_image_holds_what_the_package_needs() -> None:
    lines = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    assert {"src", "schemas", "expectations", "plugins", "jobs", "dags", "requirements.lock"} <= copied
    [uv] = re.findall(r"\buv==(\S+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert f"\nuv=={uv} " in (ROOT / "requirements.lock").read_text("utf-8")
    assert copied <= allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no compose client (Debian: docker-compose)")
def test_the_compose_client_accepts_the_file(tmp_path: Path) -> None:
    def config(**said: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker-compose", "-f", str(COMPOSE), "config"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **said},
            capture_output=True,
            text=True,
            check=False,
        )

    accepted = config(**REQUIRED)
    assert accepted.returncode == 0, accepted.stderr
    assert set(yaml.safe_load(accepted.stdout)["services"]) == set(services())
    for name in REQUIRED:
        refused = config(**{key: value for key, value in REQUIRED.items() if key != name})
        assert refused.returncode != 0
        assert name in refused.stderr
