"""Who may log in to Airflow, and what each role may do there.

`RONGHE_AIRFLOW_AUTH=simple` (one machine): one user with a password made here. `fab` (production): Flask-AppBuilder's
login with the four roles below, by an OpenID Connect issuer where one is named, else by passwords in Airflow's
database. Nobody who is not logged in may do anything. What is declared here, Airflow is made to follow at each start
of its API server (`plugins/ronghe_airflow/roles.py`).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ronghe.contracts import ContractError
from ronghe.contracts.catalogue import builtin_folder
from ronghe.processes import given_secret

AUTH_VARIABLE, SIMPLE, FAB = "RONGHE_AIRFLOW_AUTH", "simple", "fab"
SECRET_VARIABLE = "RONGHE_OIDC_CLIENT_SECRET_FILE"  # noqa: S105 - a name
# The account `ronghe up` and `ronghe run` use over loopback; with FAB it is an engineer.
OPERATOR = "admin"
# DAGs in which a person approves: who answers needs the right to edit that DAG, in Airflow's own model of rights.
APPROVED_DAGS = ("release_extracts",)
_LIFETIME_MINUTES = 480
_READ, _EDIT, _CREATE, _MENU = "can_read", "can_edit", "can_create", "menu_access"

Right = tuple[str, str]


def _rights(action: str, *resources: str) -> frozenset[Right]:
    return frozenset((action, resource) for resource in resources)


# What ran and how it went: no code, no logs, no values, no settings.
_LOOK = _rights(
    _READ,
    *("Website", "My Profile", "DAGs", "DAG Runs", "DAG Versions", "DAG Warnings", "DAG Dependencies"),
    *("Task Instances", "Assets", "Asset Aliases", "Backfills", "Cluster Activity", "Pools"),
) | _rights(_MENU, "DAGs", "Assets", "Browse")
# Why it went so: the code that ran, its logs, what tasks handed on.
_LOOK_CLOSELY = _rights(_READ, "DAG Code", "Task Logs", "XComs", "ImportError", "Jobs", "HITL Detail")

# Airflow's actions and resources by role. Nobody may read Airflow's settings, change a connection or a variable (they
# belong to a secrets backend), or delete what ran.
ROLES: Mapping[str, frozenset[Right]] = {
    "Engineer": _LOOK
    | _LOOK_CLOSELY
    | _rights(_READ, "Connections", "Variables", "Triggers")
    | _rights(_MENU, "Admin", "Pools", "Connections", "Variables", "XComs")
    | _rights(_CREATE, "DAG Runs", "Backfills", "Assets", "Pools")
    | _rights(_EDIT, "DAGs", "DAG Runs", "Task Instances", "Backfills", "Pools"),
    "Analyst": _LOOK,
    "Approver": _LOOK
    | _rights(_READ, "HITL Detail")
    | _rights(_EDIT, "HITL Detail", *(f"DAG:{dag_id}" for dag_id in APPROVED_DAGS))
    | _rights(_MENU, "HITL Detail"),
    "Auditor": _LOOK | _LOOK_CLOSELY | _rights(_READ, "Audit Logs") | _rights(_MENU, "Audit Logs", "HITL Detail"),
}
OPERATOR_ROLE = "Engineer"


@dataclass(frozen=True)
class Issuer:
    """An OpenID Connect issuer, and which values of its role claim stand for which of our roles."""

    address: str
    client_id: str
    secret_file: Path
    claim: str
    roles: Mapping[str, str]

    @property
    def metadata_url(self) -> str:
        """Where the issuer says what it offers (OpenID Connect Discovery 1.0, section 4)."""
        return f"{self.address}/.well-known/openid-configuration"

    def secret(self) -> str:
        """Return the client's secret.

        Raises:
            ContractError: the file is missing, or others may read it.
        """
        return given_secret(self.secret_file)

    def role_keys(self, claims: Mapping[str, Any]) -> list[str]:
        """Return the values of the role claim, `a.b` being a claim inside a claim; none where it is not there."""
        found: Any = claims
        for part in self.claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found
        return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def kind() -> str:
    """Return which login Airflow has.

    Raises:
        ContractError: the environment names another one.
    """
    named = os.environ.get(AUTH_VARIABLE, SIMPLE)
    if named not in (SIMPLE, FAB):
        raise ContractError(f"{AUTH_VARIABLE} is {named!r}: {SIMPLE} and {FAB} are known.")
    return named


def issuer() -> Issuer | None:
    """Return the issuer the environment names, or none: then passwords are in Airflow's database.

    Raises:
        ContractError: what belongs to an issuer is missing or wrong.
    """
    address = os.environ.get("RONGHE_OIDC_ISSUER", "").rstrip("/")
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1"):
        raise ContractError("RONGHE_OIDC_ISSUER must be an https:// address: what it says is believed")
    needed = {name: os.environ.get(name) for name in ("RONGHE_OIDC_CLIENT_ID", SECRET_VARIABLE)}
    if missing := sorted(name for name, value in needed.items() if not value):
        raise ContractError(f"RONGHE_OIDC_ISSUER asks for {' and '.join(missing)} too")
    return Issuer(
        address,
        str(needed["RONGHE_OIDC_CLIENT_ID"]),
        Path(str(needed[SECRET_VARIABLE])),
        os.environ.get("RONGHE_OIDC_ROLE_CLAIM", "groups"),
        _role_mapping(os.environ.get("RONGHE_OIDC_ROLES")),
    )


def _role_mapping(text: str | None) -> Mapping[str, str]:
    """Read `{"value of the claim": "Role"}`; by default `ronghe-engineer` stands for Engineer, and so on."""
    if not text:
        return {f"ronghe-{role.lower()}": role for role in ROLES}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not set(found.values()) <= set(ROLES):
        raise ContractError(
            f'RONGHE_OIDC_ROLES must be JSON like {{"value of the claim": "Role"}}; roles are {", ".join(ROLES)}'
        )
    return found


def environment(passwords: Path, address: str) -> dict[str, str]:
    """Return Airflow's settings of its login.

    Args:
        passwords: the file with the operator's password.
        address: what people open; cookies are for TLS only where it says https.
    """
    if kind() == SIMPLE:
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{OPERATOR}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }
    issuer()  # wrong settings are told here, not in a log of Airflow's
    config = builtin_folder() / "plugins" / "ronghe_airflow" / "webserver_config.py"
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__FAB__CONFIG_FILE": str(config),
        "AIRFLOW__FAB__AUTH_ROLE_PUBLIC": "",
        "AIRFLOW__FAB__UPDATE_FAB_PERMS": "True",
        # No account is remembered from request to request: a role that was taken away would last half a minute more.
        "AIRFLOW__FAB__CACHE_TTL": "0",
        "AIRFLOW__FAB__COOKIE_SECURE": str(address.startswith("https://")),
        "AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES": str(_LIFETIME_MINUTES),
        "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME": str(_LIFETIME_MINUTES * 60),
    }
