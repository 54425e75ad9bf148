"""What must hold of a package before anybody may take it; every finding names the file and no value.

A stranger's validation (Frictionless), the files against the manifest, their rows against the tables, and a leak scan
that shares no code with the treatments: it asks of each value whether it looks like one that was treated.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ronghe.contracts import Catalogue, Column, Extract, Table, Treatment
from ronghe.contracts.extract import ExtractTable
from ronghe.contracts.faults import OPEN_GRADE
from ronghe.lake import Snapshot
from ronghe.release.descriptor import released_columns, resource_path
from ronghe.release.files import arrow_schema, duck, file_facts, identifier, literal, read_file

# At most so many findings of one kind are told; one is enough to hold a release back.
_TOLD = 5


def audit(
    extract: Extract,
    catalogue: Catalogue,
    folder: Path,
    manifest: dict[str, Any],
    snapshots: dict[str, Snapshot],
) -> list[str]:
    """Return what is wrong with a staged package; none if it may go up."""
    if faults := list(file_faults(folder, manifest)):
        return faults
    faults = _stranger_faults(folder)
    for item in extract.tables:
        table = catalogue.table(item.table)
        columns = released_columns(item, table)
        faults += _row_faults(extract, folder, table, columns, snapshots[table.id])
        faults += _reference_faults(item, catalogue, snapshots)
        faults += leaks(table, columns, catalogue, snapshots[table.id])
    return faults


def file_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield files that are missing, not named, or not as the manifest says."""
    named = {file["path"]: file for file in manifest["files"]}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    yield from (f"{path} is not in the manifest" for path in sorted(found - set(named)))
    yield from (f"{path} is missing" for path in sorted(set(named) - found))
    for path in sorted(found & set(named)):
        if file_facts(folder / path) != {key: named[path][key] for key in ("bytes", "sha256")}:
            yield f"{path} is not as the manifest says"


def _stranger_faults(folder: Path) -> list[str]:
    """Return what Frictionless finds: every cell of a CSV file, size and hash of a Parquet file."""
    from frictionless import Package, system

    logging.getLogger("frictionless").setLevel(logging.WARNING)
    with system.use_context(trusted=True):
        report = Package(str(folder / "datapackage.json")).validate()
    # Frictionless quotes cells in its notes, so only the place and the kind of an error are told.
    return [f"{task.name}: {error.type}{_place(error)}" for task in report.tasks for error in task.errors[:_TOLD]] + [
        f"the package: {error.type}" for error in report.errors[:_TOLD]
    ]


def _place(error: Any) -> str:
    found = ((name, getattr(error, key, None)) for name, key in (("row", "row_number"), ("field", "field_name")))
    return ",".join(f" {name} {value}" for name, value in found if value is not None)


def _row_faults(
    extract: Extract, folder: Path, table: Table, columns: Sequence[Column], snapshot: Snapshot
) -> Iterator[str]:
    """Yield files whose rows are not the table's, and keys that stand twice."""
    schema = arrow_schema(columns)
    with duck() as connection:
        connection.register("source", snapshot.dataset)
        expected = _content(connection, "source", schema)
        for kind in extract.formats:
            path = resource_path(table.id, kind)
            connection.register("released", read_file(folder / path, kind, schema))
            rows = _content(connection, "released", schema)
            if rows != expected:
                yield f"{path} holds other rows ({rows[0]:,}) than {table.id} ({expected[0]:,})"
        keys = ", ".join(identifier(key) for key in table.primary_key)
        twice = f"SELECT {keys} FROM source GROUP BY ALL HAVING count(*) > 1 LIMIT 1"  # noqa: S608
        if connection.execute(twice).fetchall():
            yield f"{table.id}: the key {keys} stands twice"


def _reference_faults(item: ExtractTable, catalogue: Catalogue, snapshots: dict[str, Snapshot]) -> Iterator[str]:
    """Yield columns with values that are no key of the table they refer to."""
    for name, other in item.references.items():
        [key] = catalogue.table(other).primary_key
        with duck() as connection:
            connection.register("source", snapshots[item.table].dataset)
            connection.register("target", snapshots[other].dataset)
            own, theirs = identifier(name), identifier(key)
            lost = f"SELECT count(*) FROM source WHERE {own} NOT IN (SELECT {theirs} FROM target)"  # noqa: S608
            [(count,)] = connection.execute(lost).fetchall()
        if count:
            yield f"{item.table}.{name}: {count:,} values are no {key} of {other}"


def _content(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> tuple[int, int]:
    """Return the number of rows and a sum over the hashes of the rows: equal for equal rows in any order."""
    values = ", ".join(identifier(field) for field in schema.names)
    query = f"SELECT count(*), coalesce(sum(hash({values})::HUGEINT), 0) FROM {name}"  # noqa: S608
    [(count, total)] = connection.execute(query).fetchall()
    return int(count), int(total)


def leaks(table: Table, columns: Sequence[Column], catalogue: Catalogue, snapshot: Snapshot) -> Iterator[str]:
    """Yield released columns of a grade that is not open, and those with a value its treatment cannot have left.

    The treatment is that of the restricted table the rows crossed from, which is where personal data are declared.
    """
    yield from (f"{table.id}.{c.name} is graded {c.classification}" for c in columns if c.classification != OPEN_GRADE)
    origin = catalogue.table(table.crosses) if table.crosses else table
    with duck() as connection:
        connection.register("source", snapshot.dataset)
        for column in columns:
            treatment = origin.column(column.name).treatment
            right = treated(treatment, column.name, table.column_names)
            untreated = f"SELECT count(*) FROM source WHERE NOT coalesce({right}, FALSE)"  # noqa: S608
            [(count,)] = connection.execute(untreated).fetchall() if right != "TRUE" else [(0,)]
            if count:
                yield f"{table.id}.{column.name}: {count:,} values are not as {treatment.operator!r} leaves them"


def treated(treatment: Treatment, name: str, known: Sequence[str]) -> str:
    """Return a SQL predicate that holds of every value that a treatment can leave behind."""
    here = _treated(treatment, identifier(name))
    if treatment.when is None or treatment.otherwise is None:
        return here
    there = treated(treatment.otherwise, name, known)
    if treatment.when not in known:
        return f"({here} OR {there})"
    flag = identifier(treatment.when)
    return f"(CASE WHEN {flag} THEN {here} WHEN NOT {flag} THEN {there} ELSE {identifier(name)} IS NULL END)"


def _treated(treatment: Treatment, value: str) -> str:
    params = treatment.params
    text = f"CAST({value} AS VARCHAR)"
    match treatment.operator:
        case "keep":
            return "TRUE"
        case "redact":
            shape = f"{text} = ''"
        case "replace":
            shape = f"{text} = {literal(str(params['new_value']))}"
        case "mask":
            hidden = f"least(length({text}), {max(int(params['chars_to_mask']), 0)})"
            side = "right" if params["from_end"] else "left"
            shape = f"{side}({text}, {hidden}) = repeat({literal(str(params['masking_char']))}, {hidden})"
        case "hash":
            shape = f"regexp_full_match({text}, '[0-9a-f]{{{128 if params.get('hash_type') == 'sha512' else 64}}}')"
        case _:
            return "FALSE"
    return f"({value} IS NULL OR {shape})"
