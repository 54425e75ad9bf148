"""Data Package v2 (https://datapackage.org) from contracts: what a stranger needs to read a package without asking."""

from pathlib import PurePosixPath
from typing import Any

from ronghe.contracts import Catalogue, Column, Extract, Table
from ronghe.contracts.extract import ExtractTable, Format

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection); its sign for "text" goes before it.
FORMULA_SIGNS = "=+-@\t\r\n＝＋－＠"
FORMULA_PREFIX = "'"
# One text is prefixed more: the prefix itself, so that taking one off gives the value back in every case.
PREFIXED = FORMULA_SIGNS + FORMULA_PREFIX

_PROFILE = "https://datapackage.org/profiles/2.0"
_TYPES = {"timestamp": "datetime"}
_MEDIA = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
# A longer list of codes belongs into a table of its own.
_LONGEST_ENUM = 40


def resource_path(table_id: str, kind: Format) -> str:
    """Return where a table lies in a package; it is the resource's name too."""
    return f"data/{table_id}.{kind}"


def released_columns(item: ExtractTable, table: Table) -> tuple[Column, ...]:
    """Return the columns of a table that an extract holds, in the extract's order."""
    return tuple(table.column(name) for name in item.columns or table.column_names)


def datapackage(extract: Extract, catalogue: Catalogue, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the descriptor of a package.

    Args:
        extract: what the package holds.
        catalogue: contracts and code sets.
        files: `bytes` and `sha256` of each data file, by its path in the package.
    """
    return {
        "$schema": f"{_PROFILE}/datapackage.json",
        "name": extract.id,
        "title": extract.title,
        "description": f"For: {extract.audience}. Purpose: {extract.purpose}.",
        "licenses": [extract.licence.model_dump()],
        "contributors": [{"roles": ["contact"], **extract.contact.model_dump(exclude_none=True)}],
        "resources": [_resource(item, kind, catalogue, files) for kind in extract.formats for item in extract.tables],
    }


def _resource(
    item: ExtractTable, kind: Format, catalogue: Catalogue, files: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return one file's part of the descriptor."""
    table = catalogue.table(item.table)
    path = resource_path(table.id, kind)
    text: dict[str, Any] = {}
    if kind == "csv":
        text = {
            "encoding": "utf-8",
            "dialect": {
                "header": True,
                "delimiter": ",",
                "quoteChar": '"',
                "doubleQuote": True,
                "lineTerminator": "\n",
            },
            # Not part of the standard, so under a name of our own: how to get the values of text columns back.
            "ronghe:formulaSafe": {
                "columns": [c.name for c in released_columns(item, table) if c.logical_type == "string"],
                "prefix": FORMULA_PREFIX,
                "rule": "A text that begins with = + - @ (also full-width), tab, return, line feed or ' has one ' "
                "before it. Take one leading ' off to get the value.",
            },
        }
    return {
        "name": PurePosixPath(path).name,
        # Frictionless reads Parquet through floats and finds whole numbers wrong; as a file it checks size and hash.
        "type": "table" if kind == "csv" else "file",
        "path": path,
        "title": table.title,
        "description": f"{table.description} One row: {table.grain}. {table.limitations}",
        "format": kind,
        "mediatype": _MEDIA[kind],
        "bytes": files[path]["bytes"],
        "hash": f"sha256:{files[path]['sha256']}",
        "sources": [{"title": table.id, "version": table.version}],
        **text,
        "schema": _schema(item, kind, catalogue),
    }


def _schema(item: ExtractTable, kind: Format, catalogue: Catalogue) -> dict[str, Any]:
    table = catalogue.table(item.table)
    columns = released_columns(item, table)
    required = {column.name for column in columns if column.required}
    key = list(table.primary_key)
    # A primary key says that nothing in it is missing; a key with cells that may be empty is a unique key.
    keys: dict[str, Any] = {"primaryKey": key} if set(key) <= required else {"uniqueKeys": [key]}
    references = [
        {
            "fields": [name],
            "reference": {
                "resource": PurePosixPath(resource_path(other, kind)).name,
                "fields": list(catalogue.table(other).primary_key),
            },
        }
        for name, other in item.references.items()
    ]
    return {
        "$schema": f"{_PROFILE}/tableschema.json",
        "fields": [_field(column, kind, catalogue) for column in columns],
        **keys,
        **({"foreignKeys": references} if references else {}),
        "missingValues": [""],
    }


def _field(column: Column, kind: Format, catalogue: Catalogue) -> dict[str, Any]:
    """Return one column: type, meaning, unit, limits."""
    element = catalogue.elements[column.element]
    own: dict[str, Any] = {"name": column.name, "type": _TYPES.get(column.logical_type, column.logical_type)}
    own |= {"title": element.name_zh, "description": column.description}
    if column.unit and column.unit != "1":
        own["unit"] = column.unit
    limits = _constraints(column, kind, catalogue)
    return {**own, **({"constraints": limits} if limits else {})}


def _constraints(column: Column, kind: Format, catalogue: Catalogue) -> dict[str, Any]:
    """Return the limits of a column; those of a text in CSV leave room for the sign before a formula."""
    options, text = column.options, column.logical_type == "string"
    room = len(FORMULA_PREFIX) if text and kind == "csv" else 0
    found: dict[str, Any] = {
        "required": column.required or None,
        "minimum": _number(column, options.minimum),
        "maximum": _number(column, options.maximum),
        "minLength": options.min_length,
        "maxLength": options.max_length + room if options.max_length is not None else None,
        "pattern": _pattern(options.pattern, room) if options.pattern else None,
    }
    codes = catalogue.codesets[column.codes].codes if column.codes else ()
    if 0 < len(codes) <= _LONGEST_ENUM:
        found["enum"] = [code.code for code in codes]
    return {name: value for name, value in found.items() if value is not None}


def _number(column: Column, value: float | None) -> int | float | None:
    """Return a limit as a number of the column's type."""
    return int(value) if value is not None and column.logical_type == "integer" else value


def _pattern(pattern: str, room: int) -> str:
    """Return a pattern that is sought in a text as one that the whole text fulfils, as Table Schema has it."""
    whole = f"(?:.*(?:{pattern}).*)"
    return f"{FORMULA_PREFIX}?{whole}" if room else whole


def readme(extract: Extract, catalogue: Catalogue, rows: dict[str, int]) -> str:
    """Return the package's README: what is in it, and how to read it right."""
    lines = [
        f"# {extract.title}",
        "",
        f"For: {extract.audience}. Purpose: {extract.purpose}.",
        f"Licence: [{extract.licence.title}]({extract.licence.path}).",
        f"Questions: {extract.contact.title}, {extract.contact.email or extract.contact.path}.",
        "",
        "| table | rows | one row is | what it is | limits |",
        "|---|---|---|---|---|",
    ]
    for table in map(catalogue.table, extract.table_ids):
        lines.append(f"| {table.id} | {rows[table.id]:,} | {table.grain} | {table.description} | {table.limitations} |")
    lines += [
        "",
        "`datapackage.json` (Data Package v2) describes every column: type, meaning, unit, limits, keys. Check the",
        "package with `frictionless validate datapackage.json`. `manifest.json` says which version of which table it",
        "was made from; the SHA-256 of that file is the release's id and the name of this folder.",
        "",
        "Instants are UTC. Days are days of the source's clock. Rows are sorted by their key.",
    ]
    if "csv" in extract.formats:
        lines += [
            "",
            "CSV: UTF-8, comma, double quotes, first line names the columns, an empty cell is a missing value. A text",
            "that a spreadsheet would take for a formula has a `'` before it; so has one that begins with `'`.",
        ]
    return "\n".join(lines) + "\n"
