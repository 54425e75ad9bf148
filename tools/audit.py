"""Ask what is known against the locked Python packages, and hold it against the dated exceptions.

Usage: python tools/audit.py [pip-audit's options]
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
EXCEPTIONS = Path(__file__).parent / "audit-exceptions.yaml"


class AuditError(RuntimeError):
    """The audit could not be made; the message says why."""


@dataclass(frozen=True)
class Exempt:
    """A vulnerability of a package that is let pass until a day, and why."""

    id: str
    package: str
    reason: str
    expires: date


def exceptions(path: Path = EXCEPTIONS) -> tuple[Exempt, ...]:
    """Read the dated exceptions."""
    return tuple(Exempt(**entry) for entry in yaml.safe_load(path.read_text("utf-8")) or ())


def faults(report: Mapping[str, Any], exempt: Sequence[Exempt], today: date) -> list[str]:
    """Return what must be mended, one sentence each.

    Args:
        report: pip-audit's JSON.
        exempt: the exceptions.
        today: the day they are held against.

    Raises:
        AuditError: packages were not looked up, so that nothing found would say nothing.
    """
    packages = report["dependencies"]
    skipped = [found["name"] for found in packages if "skip_reason" in found]
    if skipped or not packages:
        raise AuditError(
            f"{len(skipped)} of {len(packages)} packages could not be looked up: nothing was "
            "audited. The index serves no advisories here; run `make audit` where an advisory service is in reach."
        )
    known = {
        (found["name"], name): vulnerability
        for found in packages
        for vulnerability in found["vulns"]
        for name in (vulnerability["id"], *vulnerability["aliases"])
    }
    said = [f"{e.id} of {e.package}: its exception expired on {e.expires}" for e in exempt if e.expires < today]
    said += [
        f"{e.id} of {e.package} is known no more: take its exception out"
        for e in exempt
        if (e.package, e.id) not in known
    ]
    lived_with = {id(known[key]) for e in exempt if (key := (e.package, e.id)) in known}
    for found in packages:
        for vulnerability in found["vulns"]:
            if id(vulnerability) not in lived_with:
                mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
                said.append(f"{vulnerability['id']} of {found['name']} {found['version']}: mended in {mended}")
    return said


def ask(*options: str) -> Mapping[str, Any]:
    """Run pip-audit on the locks.

    Raises:
        AuditError: it ended without an answer.
    """
    command = [str(Path(sys.executable).parent / "pip-audit")]
    command += [f"--requirement={ROOT / name}" for name in LOCKS]
    command += ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise AuditError(f"pip-audit could not ask its advisory service, nothing was audited: {why[:300]}") from None


if __name__ == "__main__":
    try:
        found = faults(ask(*sys.argv[1:]), exceptions(), datetime.now(UTC).date())
    except AuditError as error:
        sys.exit(str(error))
    sys.exit("\n".join(found) or 0)
