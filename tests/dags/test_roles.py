"""What FAB's own rules make of the declared roles; `tests/pipeline/test_login.py` asks the same of a running server."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ronghe.orchestration import login

pytestmark = pytest.mark.dags

ALL, NOBODY = set(login.ROLES), set[str]()
# Method, part of a DAG that is asked for, DAG; and who may.
DEEDS: dict[str, tuple[str, str | None, str, set[str]]] = {
    "see a DAG": ("GET", None, "fuse", ALL),
    "see runs": ("GET", "RUN", "fuse", ALL),
    "see tasks": ("GET", "TASK_INSTANCE", "fuse", ALL),
    "see code": ("GET", "CODE", "fuse", {"Engineer", "Auditor"}),
    "see logs": ("GET", "TASK_LOGS", "fuse", {"Engineer", "Auditor"}),
    "see values": ("GET", "XCOM", "fuse", {"Engineer", "Auditor"}),
    "see the audit log": ("GET", "AUDIT_LOG", "fuse", {"Auditor"}),
    "trigger": ("POST", "RUN", "fuse", {"Engineer"}),
    "clear": ("PUT", "TASK_INSTANCE", "fuse", {"Engineer"}),
    "pause": ("PUT", None, "fuse", {"Engineer"}),
    "delete a run": ("DELETE", "RUN", "fuse", NOBODY),
    "delete a DAG": ("DELETE", None, "fuse", NOBODY),
    "change a value": ("PUT", "XCOM", "fuse", NOBODY),
    "see what waits": ("GET", "HITL_DETAIL", "release_extracts", {"Engineer", "Approver", "Auditor"}),
    "approve": ("PUT", "HITL_DETAIL", "release_extracts", {"Approver"}),
    "approve elsewhere": ("PUT", "HITL_DETAIL", "fuse", NOBODY),
}


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

        return FabAuthManager()


def who_may(manager: Any, method: str, entity: str | None, dag_id: str) -> set[str]:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

    part = DagAccessEntity[entity] if entity else None
    users = {role: SimpleNamespace(perms=set(rights)) for role, rights in login.ROLES.items()}
    details = DagDetails(id=dag_id)
    return {
        role
        for role, user in users.items()
        if manager.is_authorized_dag(method=method, user=user, access_entity=part, details=details)
    }


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_is_for_its_roles(manager: Any, deed: str) -> None:
    method, entity, dag_id, allowed = DEEDS[deed]
    assert who_may(manager, method, entity, dag_id) == allowed


def test_settings_connections_and_variables(manager: Any) -> None:
    users = {role: SimpleNamespace(perms=set(rights)) for role, rights in login.ROLES.items()}
    asked = {
        "configuration": manager.is_authorized_configuration,
        "connection": manager.is_authorized_connection,
        "variable": manager.is_authorized_variable,
    }
    may = {
        (name, method): {role for role, user in users.items() if ask(method=method, user=user)}
        for name, ask in asked.items()
        for method in ("GET", "POST", "PUT", "DELETE")
    }
    granted = {key: roles for key, roles in may.items() if roles}
    assert granted == {("connection", "GET"): {"Engineer"}, ("variable", "GET"): {"Engineer"}}


def test_a_role_too_generous_is_seen(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {**login.ROLES, "Analyst": login.ROLES["Analyst"] | {("can_read", "DAG Code")}}
    monkeypatch.setattr(login, "ROLES", wide)
    assert who_may(manager, "GET", "CODE", "fuse") == {"Engineer", "Auditor", "Analyst"}


def test_dags_with_approvals_are_there() -> None:
    folder = Path(__file__).parents[2] / "dags"
    assert all((folder / f"{dag_id}.py").exists() for dag_id in login.APPROVED_DAGS)
