"""An undisturbed night is right by every oracle and leaks nothing; with one treatment switched off the scan says so."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ronghe.contracts.catalogue import builtin_folder
from ronghe.home import Home
from tests.leaks import find_leaks, identifiers
from tests.nights import JobRunner
from tests.oracles.night import ORACLES

pytestmark = pytest.mark.engine

CONTRACT = "schemas/tables/fused/organisation.odcs.yaml"


def _switched_off(column: str, folder: Path) -> Path:
    """Declare `fused.organisation` anew with one column's treatment set to keep."""
    lines = (builtin_folder() / CONTRACT).read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if f"- {{name: {column}," in line)
    at = next(n for n in range(start, len(lines)) if "property: treatment" in lines[n])
    # Its grade would not let it leave as it is, nor a version that does not announce what falls: there are three slips.
    lines = ["version: 2.0.0" if line.startswith("version:") else line for line in lines]
    lines[start] = re.sub("classification: L[234]", "classification: L1", lines[start])
    lines[at] = "         customProperties: [{property: element, value: ELEMENT}, {property: treatment, value: keep}]}"
    element = {"legal_representative_name": "person_name", "contact_phone": "contact_phone"}.get(column, column)
    (folder / CONTRACT).parent.mkdir(parents=True)
    (folder / CONTRACT).write_text("\n".join(lines).replace("ELEMENT", element), "utf-8")
    return folder


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_night_is_right(oracle: Callable[[Home], list[str]], reference: Home) -> None:
    assert oracle(reference) == []


def test_undisturbed_night_leaks_nothing(reference: Home) -> None:
    assert len(identifiers(reference)) > 200
    assert find_leaks(reference, identifiers(reference)) == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("legal_representative_name", "canary_name"),
        ("contact_phone", "phone"),
        ("uscc", "sole_trader_uscc"),
        ("organisation_name", "sole_trader_name"),
    ],
)
def test_scan_finds_what_a_missing_treatment_lets_out(
    column: str, kind: str, run_job: JobRunner, reference: Home, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(reference.root, home.root)
    folder = _switched_off(column, tmp_path / "own")
    done = run_job(home, "desensitise_fused", RONGHE_SCHEMAS=os.pathsep.join(("builtin", str(folder))))
    assert done.returncode == 0, done.stderr
    found = find_leaks(home, identifiers(home))
    assert any(line.startswith(f"{kind} in open/lake/safe/organisation/") for line in found), found
