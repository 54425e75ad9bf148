"""Airflow's rights made equal to what `ronghe.orchestration.login` declares, and claims of an issuer turned into roles.

Loaded by FAB's login only (`webserver_config.py`), in the API server.
"""

from typing import Any

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride

from ronghe.home import Home
from ronghe.orchestration import login, service


class RongheSecurityManager(FabAirflowSecurityManagerOverride):  # type: ignore[misc]
    """FAB's security manager with our roles: what was added to one by hand is gone after the next start."""

    def sync_roles(self) -> None:
        """Make the roles, with exactly their rights; take all rights from everybody who is not logged in."""
        super().sync_roles()
        for name, rights in {"Public": frozenset(), **login.ROLES}.items():
            role = self.find_role(name) or self.add_role(name)
            role.permissions = [self.create_permission(*right) for right in sorted(rights)]
        self.session.commit()
        self._ensure_operator()

    def _ensure_operator(self) -> None:
        """Make the account of `ronghe up` and `ronghe run`, or give it the home's password and its one role again."""
        password = service.password(Home.find())
        role = self.find_role(login.OPERATOR_ROLE)
        user = self.find_user(login.OPERATOR)
        if user is None:
            names = ("Ronghe", "Operator", f"{login.OPERATOR}@localhost")
            self.add_user(login.OPERATOR, *names, [role], password=password)
        else:
            user.roles, user.password = [role], self._hash_password(password)
            self.update_user(user)

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - FAB's
        """Return who logs in, from the claims of the ID token, whose signature and nonce were checked."""
        issuer = login.issuer()
        claims = resp.get("userinfo") or {}
        if issuer is None or not claims.get("sub"):
            return {}
        return {
            # Never an account with a password here: those have no such prefix.
            "username": f"oidc:{claims['sub']}",
            "email": claims.get("email") or f"{claims['sub']}@oidc.invalid",
            "first_name": claims.get("given_name", ""),
            "last_name": claims.get("family_name", ""),
            "role_keys": issuer.role_keys(claims),
        }
