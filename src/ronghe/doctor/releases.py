"""The releases: whether what consumers are pointed to is whole, and is what the ledger says is up."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from ronghe.contracts import Extract, catalogue
from ronghe.doctor.findings import Finding, well, wrong
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.release import package
from ronghe.release.audit import file_faults
from ronghe.stopped import DataStopped

_BOOK = "docs/runbooks/damaged-table.md"
_AGAIN = f"See {_BOOK}, 'A release is damaged'."


def findings(home: Home) -> Iterator[Finding]:
    """Look at the release of each extract that has one."""
    lake = Lake(home, catalogue())
    for extract in lake.catalogue.extracts.values():
        folder = home.releases / extract.id
        if not folder.is_dir():
            continue
        check = f"release: {extract.id}"
        try:
            faults = list(_faults(lake, extract, folder))
        except DataStopped:
            faults = ["the ledger of releases cannot be read"]
        except OSError:
            faults = ["this user cannot look into it"]
        yield from (wrong(check, said, _AGAIN) for said in faults)
        if not faults:
            yield well(check, "what is up is whole")


def _faults(lake: Lake, extract: Extract, folder: Path) -> Iterator[str]:
    past = package.releases(lake, extract.id)
    if not past:
        return  # staged, and never up
    expected = str(past[-1]["release_id"])
    try:
        named = json.loads((folder / "current.json").read_text("utf-8"))["release_id"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        yield "current.json is missing or cannot be read"
        return
    if named != expected:
        yield f"current.json names {str(named)[:12]}, and {expected[:12]} is up"
    yield from _package_faults(folder / expected, expected)


def _package_faults(folder: Path, release_id: str) -> Iterator[str]:
    """Yield what is wrong with a package: it is what the hash of its manifest says."""
    try:
        text = (folder / "manifest.json").read_bytes()
    except FileNotFoundError:
        yield f"package {release_id[:12]} has no manifest"
        return
    if hashlib.sha256(text).hexdigest() != release_id:
        yield f"the manifest of {release_id[:12]} was changed"
        return
    yield from (f"{release_id[:12]}: {said}" for said in file_faults(folder, json.loads(text)))
