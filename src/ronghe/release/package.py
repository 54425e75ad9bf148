"""A release: staged aside, audited, then put up by one commit; whoever reads sees the last release or the new one.

    releases/<extract>/.staging-*      being written; removed by the next run if this one is killed
    releases/<extract>/<release id>/   a package; never changed
    releases/<extract>/current.json    which package is up; replaced by one rename

The truth is the newest row of `meta.release`; `current.json` repeats it for consumers and is mended from it.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ronghe.contracts import Extract
from ronghe.contracts.ddl import schema_ddl
from ronghe.crash import crash_point
from ronghe.job import DataStopped, JobFailed
from ronghe.lake import Lake, Snapshot, code_version, digest
from ronghe.locks import holding
from ronghe.release.audit import audit, file_faults
from ronghe.release.descriptor import datapackage, readme, released_columns, resource_path
from ronghe.release.files import arrow_schema, file_facts, sorted_groups, write_files

TABLE = "meta.release"
_STAGING = ".staging-"
# A hint beside the packages: the release that is up, and another basis that gives it too.
_EQUAL = ".equal.json"

Row = dict[str, Any]


class ReleaseHeldBack(DataStopped):
    """A package did not pass its audit; the last release stays up."""


@dataclass(frozen=True)
class Staged:
    """A package that is written and not up. `release_id` is the hash of its manifest: it is what is approved."""

    extract: Extract
    folder: Path
    manifest: Row
    release_id: str
    basis: str
    snapshots: dict[str, Snapshot]


def canonical(content: Any) -> str:
    """Return JSON that is the same for equal content (RFC 8785 for the texts and whole numbers used here)."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def releases(lake: Lake, extract_id: str) -> list[Row]:
    """Return the releases of an extract, oldest first."""
    found = [row for row in lake.rows(TABLE).to_pylist() if row["extract_id"] == extract_id]
    return sorted(found, key=lambda row: int(row["release_number"]))


def missing_tables(lake: Lake, extract: Extract) -> list[str]:
    """Return the tables of an extract that were not built yet."""
    return [name for name in extract.table_ids if not lake.exists(name)]


def basis_of(lake: Lake, extract: Extract) -> str:
    """Return a hash of everything a release is made from, found without reading a row."""
    catalogue = lake.catalogue
    tables = [catalogue.table(name) for name in extract.table_ids]
    origins = [catalogue.table(t.crosses) for t in tables if t.crosses]
    words = [*catalogue.codesets.values(), *catalogue.elements.values()]
    declared = [d.fingerprint() for d in (extract, *tables, *origins, *words)]
    states = [(name, lake.state(name)) for name in extract.table_ids]
    return digest(declared, states, code_version("release", "contracts"))


def release_extract(
    lake: Lake, extract: Extract, record: Callable[[Lake, Row], None], judged: str | None = None
) -> str | None:
    """Bring an extract's release up to its tables.

    Args:
        lake: read; its home holds the packages.
        extract: what to release; its tables exist.
        record: adds a row to `meta.release` in one commit: this is the moment the release goes up.
        judged: the basis (`basis_of`) that was found sound, nothing else goes up; by default that of now.

    Returns:
        The id of the release that went up, none where the one that is up is as the tables are.

    Raises:
        ReleaseHeldBack: the package does not pass its audit; names what is wrong. The last release stays up.
        JobFailed: a table was written since it was judged.
    """
    folder = lake.home.releases / extract.id
    folder.mkdir(parents=True, exist_ok=True)
    # Two runs would remove each other's staging.
    with holding(lake.home.service / f"release.{extract.id}.lock"):
        for left in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(left)
        past, basis = releases(lake, extract.id), judged or basis_of(lake, extract)
        if past and _is_made_from(folder, past[-1], basis) and (folder / past[-1]["release_id"]).is_dir():
            _point(folder, past[-1])
            return None
        staged = stage(lake, extract, basis)
        try:
            if basis_of(lake, extract) != basis:
                raise JobFailed(
                    f"tables of {extract.id} were written while it was judged and staged. Run the job again."
                )
            if past and past[-1]["release_id"] == staged.release_id and (folder / staged.release_id).is_dir():
                _point(folder, past[-1])
                _note_equal(folder, past[-1], basis)
                return None
            if faults := audit(extract, lake.catalogue, staged.folder, staged.manifest, staged.snapshots):
                raise ReleaseHeldBack(
                    f"release of {extract.id} held back, the last one stays up: {'; '.join(faults)}. "
                    "See docs/runbooks/release-failed.md."
                )
            put_up(lake, staged, past, record)
        finally:
            shutil.rmtree(staged.folder, ignore_errors=True)
    return staged.release_id


def is_current(lake: Lake, extract: Extract, release: Row) -> bool:
    """Say whether a release is what the extract's tables and declarations would give now."""
    return _is_made_from(lake.home.releases / extract.id, release, basis_of(lake, extract))


def _is_made_from(folder: Path, release: Row, basis: str) -> bool:
    return basis == release["basis"] or [release["release_id"], basis] == _noted(folder)


def _noted(folder: Path) -> list[str] | None:
    try:
        return list(json.loads((folder / _EQUAL).read_text("utf-8")))
    except (OSError, ValueError):
        return None


def _note_equal(folder: Path, release: Row, basis: str) -> None:
    """Keep from what else a release would be made just as it is, so that it is not staged again to find that out."""
    beside = folder / f"{_EQUAL}.tmp"
    beside.write_text(json.dumps([release["release_id"], basis]), "utf-8")
    beside.replace(folder / _EQUAL)


def stage(lake: Lake, extract: Extract, basis: str) -> Staged:
    """Write a package beside the releases and hash it."""
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=lake.home.releases / extract.id))
    folder.chmod(0o755)
    (folder / "data").mkdir()
    snapshots = {name: lake.snapshot(name) for name in extract.table_ids}
    rows = {}
    for item in extract.tables:
        table = lake.catalogue.table(item.table)
        columns = released_columns(item, table)
        paths = {kind: folder / resource_path(table.id, kind) for kind in extract.formats}
        groups = sorted_groups(snapshots[table.id], table, columns, folder / "spill")
        rows[table.id] = write_files(groups, arrow_schema(columns), paths)
        shutil.rmtree(folder / "spill")
        crash_point(f"release.{extract.id}:half")
    crash_point(f"release.{extract.id}:staged")
    facts = {path: file_facts(folder / path) for path in _files(folder)}
    package = datapackage(extract, lake.catalogue, facts)
    (folder / "datapackage.json").write_text(json.dumps(package, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (folder / "README.md").write_text(readme(extract, lake.catalogue, rows), "utf-8")
    manifest = _manifest(lake, extract, folder, rows, snapshots)
    text = canonical(manifest)
    (folder / "manifest.json").write_text(text, "utf-8")
    return Staged(extract, folder, manifest, hashlib.sha256(text.encode()).hexdigest(), basis, snapshots)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _manifest(lake: Lake, extract: Extract, folder: Path, rows: dict[str, int], snapshots: dict[str, Snapshot]) -> Row:
    """Return what a release consists of: its tables' versions and contracts, and every file with its hash."""
    contracts = [lake.catalogue.table(name) for name in extract.table_ids]
    return {
        "extract": extract.id,
        "files": [{"path": path, **file_facts(folder / path)} for path in _files(folder)],
        "format": "ronghe-release/1",
        "tables": [
            {
                "contract_version": table.version,
                "delta_version": snapshots[table.id].version,
                "files": [resource_path(table.id, kind) for kind in extract.formats],
                "rows": rows[table.id],
                "table": table.id,
            }
            for table in contracts
        ],
    }


def put_up(lake: Lake, staged: Staged, past: list[Row], record: Callable[[Lake, Row], None]) -> None:
    """Put an audited package up: its folder gets its name, one row is committed, then consumers are pointed to it."""
    extract, folder = staged.extract, lake.home.releases / staged.extract.id
    final = folder / staged.release_id
    # It may be there: an earlier run was killed before its commit, or an older state of the tables is back.
    if final.exists() and any(file_faults(final, staged.manifest)):
        shutil.rmtree(final)
    if not final.exists():
        staged.folder.rename(final)
    crash_point(f"release.{extract.id}:named")
    row: Row = {
        "extract_id": extract.id,
        "release_number": past[-1]["release_number"] + 1 if past else 1,
        "release_id": staged.release_id,
        "basis": staged.basis,
        "manifest": canonical(staged.manifest),
        "row_count": sum(table["rows"] for table in staged.manifest["tables"]),
        "byte_count": sum(file["bytes"] for file in staged.manifest["files"]),
        "recorded_at": datetime.now(UTC),
    }
    record(lake, row)
    crash_point(f"release.{extract.id}:recorded")
    _point(folder, row)
    crash_point(f"release.{extract.id}:pointed")
    lake.accesses.written[f"release.{extract.id}"] = int(row["release_number"])
    _prune(folder, [*past, row], extract.keep)


def record_release(lake: Lake, row: Row) -> None:
    """Add a release to `meta.release`: one row, one commit, once."""
    frame = lake.spark.createDataFrame([row], schema_ddl(lake.catalogue.table(TABLE)))
    lake.append(TABLE, frame, digest(TABLE, row["extract_id"], row["release_number"], row["release_id"]))


def _point(folder: Path, row: Row) -> None:
    """Make `current.json` name a release; readers see the old file or the new one."""
    content = {
        "extract": row["extract_id"],
        "release_number": int(row["release_number"]),
        "release_id": row["release_id"],
        "package": f"{row['release_id']}/datapackage.json",
    }
    text = json.dumps(content, indent=1) + "\n"
    path = folder / "current.json"
    if path.exists() and path.read_text("utf-8") == text:
        return
    beside = folder / ".current.json.tmp"
    beside.write_text(text, "utf-8")
    crash_point(f"release.{row['extract_id']}:beside")
    beside.replace(path)


def _prune(folder: Path, rows: list[Row], keep: int) -> None:
    """Remove the packages of all but the newest releases; `meta.release` keeps their manifests."""
    kept = {row["release_id"] for row in rows[-keep:]}
    for row in rows[:-keep]:
        if row["release_id"] not in kept:
            shutil.rmtree(folder / row["release_id"], ignore_errors=True)
