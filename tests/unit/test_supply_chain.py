"""What is installed is known, and what is known against it is mended or let pass with a reason and a day."""

import json
import re
from datetime import date
from importlib.metadata import version
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ronghe import jars
from tools import audit, sbom

TODAY = date(2026, 11, 26)
KNOWN = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["3.4.0"]}


def report(*vulnerabilities: dict[str, Any]) -> dict[str, Any]:
    clean = {"name": "other", "version": "1", "vulns": []}
    return {"dependencies": [{"name": "apache-airflow", "version": "3.3.2", "vulns": list(vulnerabilities)}, clean]}


def exempt(**changed: Any) -> audit.Exempt:
    fields = {"id": "CVE-2026-1", "package": "apache-airflow", "reason": "no untrusted authors", "expires": TODAY}
    return audit.Exempt(**{**fields, **changed})


def test_what_is_clean_or_let_pass_is_no_fault() -> None:
    assert audit.faults(report(), [], TODAY) == []
    assert audit.faults(report(KNOWN), [exempt()], TODAY) == []
    assert audit.faults(report(KNOWN), [exempt(id="PYSEC-2026-1")], TODAY) == []


@pytest.mark.parametrize(
    ("found", "let_pass", "said"),
    [
        ([KNOWN], [], "PYSEC-2026-1 of apache-airflow 3.3.2: mended in 3.4.0"),
        ([KNOWN], [exempt(expires=date(2026, 11, 25))], "CVE-2026-1 of apache-airflow: its exception expired"),
        ([], [exempt()], "CVE-2026-1 of apache-airflow is known no more"),
        ([KNOWN], [exempt(package="other")], "CVE-2026-1 of other is known no more"),
    ],
    ids=["unknown", "expired", "unused", "of another package"],
)
def test_what_is_not_let_pass_is_a_fault(found: list[Any], let_pass: list[audit.Exempt], said: str) -> None:
    assert audit.faults(report(*found), let_pass, TODAY)[0].startswith(said)


@pytest.mark.parametrize("packages", [[], [{"name": "pip", "skip_reason": "not found"}]])
def test_an_audit_that_looked_nothing_up_is_no_green_one(packages: list[Any]) -> None:
    with pytest.raises(audit.AuditError, match="nothing was "):
        audit.faults({"dependencies": packages}, [], TODAY)


def test_exceptions_have_a_reason_a_day_and_a_locked_package() -> None:
    locked = "".join((audit.ROOT / name).read_text("utf-8") for name in audit.LOCKS)
    for found in audit.exceptions():
        assert len(found.reason) > 60
        assert isinstance(found.expires, date)
        assert f"\n{found.package}==" in locked


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return sbom.bill()


def faults_of_the_schema(bill: dict[str, Any]) -> str:
    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) or "")


def test_bill_of_materials_is_valid_cyclonedx(bill: dict[str, Any]) -> None:
    # The validator takes minutes for all of it (the schema asks that items be unique): every 20th of each kind will do.
    some = {**bill, "components": bill["components"][::20], "dependencies": bill["dependencies"][::20]}
    assert len(some["components"]) > 20
    assert faults_of_the_schema(some) == ""
    assert faults_of_the_schema({**some, "components": [{"type": "no such type", "name": "x"}]})


def test_bill_of_materials_names_every_package_and_every_jar(bill: dict[str, Any]) -> None:
    found = {(c.get("group", ""), c["name"], c.get("version")): c for c in bill["components"]}
    for name in ("apache-airflow", "apache-airflow-providers-fab", "deltalake", "pyspark"):
        assert ("", name, version(name)) in found
    assert not {"pytest", "mypy", "s3proxy"} & {name for _, name, _ in found}
    for jar in jars.locked("engine", "s3"):
        component = found[jar.group, jar.artifact, jar.version]
        assert component["hashes"] == [{"alg": "SHA-256", "content": jar.sha256}]
        assert component["licenses"]
    assert any(name == "spark-connect_2.13" for _, name, _ in found)
    assert "://" not in json.dumps([c for c in bill["components"] if c.get("purl", "").startswith("pkg:maven")])


@pytest.mark.parametrize("name", audit.LOCKS)
def test_lock_holds_hashes_and_no_address(name: str) -> None:
    text = (audit.ROOT / name).read_text("utf-8")
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


def test_no_tool_of_development_is_shipped_and_both_locks_agree() -> None:
    shipped, beside = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (audit.ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in audit.LOCKS
    )
    assert not {"hypothesis", "mypy", "pytest", "ruff"} & set(shipped)
    both = shipped.keys() & beside.keys()
    assert {name: beside[name] for name in both} == {name: shipped[name] for name in both}


def test_tools_are_where_the_makefile_says() -> None:
    makefile = (audit.ROOT / "Makefile").read_text("utf-8")
    assert "tools/audit.py" in makefile
    assert "tools/sbom.py build/sbom.cdx.json" in makefile
    assert (audit.ROOT / ".gitignore").read_text("utf-8").splitlines().count("/build/") == 1
