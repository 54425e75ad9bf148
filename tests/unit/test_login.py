"""The issuer's settings and claims: what is read, what is refused."""

from pathlib import Path

import pytest

from ronghe.contracts import ContractError
from ronghe.orchestration import login


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> login.Issuer:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("not-to-be-told\n")
    monkeypatch.setenv("RONGHE_OIDC_ISSUER", "https://login.example.org/")
    monkeypatch.setenv("RONGHE_OIDC_CLIENT_ID", "ronghe")
    monkeypatch.setenv("RONGHE_OIDC_CLIENT_SECRET_FILE", str(secret))
    found = login.issuer()
    assert found is not None
    return found


def test_an_issuer_is_read_from_the_environment(issuer: login.Issuer) -> None:
    assert issuer.metadata_url == "https://login.example.org/.well-known/openid-configuration"
    assert issuer.secret() == "not-to-be-told"
    assert issuer.roles["ronghe-auditor"] == "Auditor"
    assert set(issuer.roles.values()) == set(login.ROLES)


@pytest.mark.parametrize(
    ("claim", "claims", "keys"),
    [
        ("groups", {"groups": ["a", "b"]}, ["a", "b"]),
        ("role", {"role": "a"}, ["a"]),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, ["a"]),
        ("groups", {}, []),
        ("groups", {"groups": {"a": 1}}, []),
        ("groups", {"groups": [1, None, "a"]}, ["a"]),
        ("groups.x", {"groups": ["a"]}, []),
    ],
)
def test_values_of_the_role_claim(
    issuer: login.Issuer, monkeypatch: pytest.MonkeyPatch, claim: str, claims: dict[str, object], keys: list[str]
) -> None:
    monkeypatch.setenv("RONGHE_OIDC_ROLE_CLAIM", claim)
    found = login.issuer()
    assert found is not None
    assert found.role_keys(claims) == keys


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RONGHE_OIDC_ISSUER", "http://login.example.org", "must be an https"),
        ("RONGHE_OIDC_CLIENT_ID", "", "RONGHE_OIDC_CLIENT_ID"),
        ("RONGHE_OIDC_ROLES", '{"staff": "Admin"}', "roles are Engineer, Analyst, Approver, Auditor"),
        ("RONGHE_OIDC_ROLES", "staff", "must be JSON"),
    ],
)
def test_wrong_settings_are_refused(
    issuer: login.Issuer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ContractError, match=said):
        login.issuer()


def test_a_secret_that_others_may_read_is_refused_and_not_told(issuer: login.Issuer) -> None:
    issuer.secret_file.chmod(0o644)
    with pytest.raises(ContractError, match="chmod 600") as refused:
        issuer.secret()
    assert "not-to-be-told" not in str(refused.value)


def test_an_unknown_login_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(login.AUTH_VARIABLE, "none")
    with pytest.raises(ContractError, match="simple and fab are known"):
        login.kind()
