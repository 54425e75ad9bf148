"""Tables as Spark SQL: schema, comments and constraints, compiled from the contract."""

import json
from collections.abc import Collection, Mapping

from ronghe.contracts.checks import quoted
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.odcs import TypeOptions
from ronghe.contracts.rules import bare, constraints, literal
from ronghe.contracts.shape import (
    FORMAT,
    FORMAT_PROPERTY,
    GUARDS_PROPERTY,
    REFUSED_PROPERTY,
    SHAPE_PROPERTY,
    Shape,
    guards_of,
    shape_of,
)
from ronghe.contracts.source import Feed
from ronghe.contracts.table import Column, Table, Treatment

# Signs that Delta refuses in a column name without column mapping, which other readers could not open; and the dot of
# a nested value's path, which Spark would take for a field of a struct.
_REFUSED_SIGNS = str.maketrans(dict.fromkeys(" ,;{}()\n\t=.", "_"))

_CONSTRAINT = "delta.constraints."

# What says where a record came from, and the grades of values that may stand in a table's log.
_POSITION, _TOLD_IN_LOGS = ("delivery_id", "record_number"), ("L1", "L2")

_DELIVERY_COLUMNS = (
    ("delivery_id", "STRING", "Delivery the record came in", "delivery_id", True),
    ("record_number", "BIGINT", "Position of the record in its delivery, from 1", "record_number", True),
    (
        "defect",
        "STRING",
        "torn, undecodable or oversized where the record could not be read whole",
        "reason",
        False,
    ),
)


def raw_column(name: str) -> str:
    """Return the column of a raw table that keeps a source column."""
    return name.translate(_REFUSED_SIGNS)


def raw_table(feed: Feed) -> Table:
    """Return the table that keeps a feed's records as read: all text, beside delivery, position and defect."""
    own = [
        _raw(name, physical, description, element, required)
        for name, physical, description, element, required in _DELIVERY_COLUMNS
    ]
    read = [_raw(raw_column(c.name), "STRING", c.description, "raw_value", False) for c in feed.columns]
    return Table.model_construct(
        id=feed.raw_table,
        layer="raw",
        name=feed.raw_table.removeprefix("raw."),
        title=feed.title,
        title_zh=feed.title_zh,
        version=feed.version,
        domain=feed.domain,
        purpose=feed.purpose,
        usage=feed.usage,
        limitations=feed.limitations,
        description=feed.description,
        grain=feed.grain,
        zone="restricted",
        columns=(*own, *read),
        primary_key=("delivery_id", "record_number"),
        any_of=(),
        crosses=None,
        gate=None,
        retention=None,
    )


def _raw(name: str, physical: str, description: str, element: str, required: bool) -> Column:
    return Column.model_construct(
        name=name,
        description=description,
        logical_type="integer" if physical == "BIGINT" else "string",
        physical_type=physical,
        classification="L4",
        required=required,
        options=TypeOptions(),
        element=element,
        treatment=Treatment(operator="drop"),
        unit=None,
        codes=None,
        check=None,
        not_after_delivery=False,
        tokenise=None,
        filled_from=None,
    )


def column_ddl(column: Column, *, comment: bool = True) -> str:
    """Return one column of a table definition."""
    unit = f" [{column.unit}]" if column.unit and column.unit != "1" else ""
    parts = [quoted(column.name), column.physical_type]
    if column.required:
        parts.append("NOT NULL")
    if comment:
        parts.append(f"COMMENT {literal(column.description + unit)}")
    return " ".join(parts)


def schema_ddl(table: Table) -> str:
    """Return the table's columns as a Spark schema string, without comments and nullability."""
    return ", ".join(f"{quoted(column.name)} {column.physical_type}" for column in table.columns)


def create_table(table: Table, path: str, codesets: dict[str, CodeSet], refused: Collection[str] = ()) -> str:
    """Return the statement that makes an empty table at a path, if there is none; see `evolve_table` for `refused`.

    Constraints go in as table properties: Delta takes them in the same commit that way, and refuses
    `ADD CONSTRAINT` by path in one statement.
    """
    columns = ",\n  ".join(column_ddl(column) for column in table.columns)
    properties = {
        **own_properties(table, shape_of(table, codesets), refused),
        "delta.enableInCommitTimestamps": "true",
        **{f"{_CONSTRAINT}{name}": check for name, check in constraints(table, codesets).items()},
    }
    return (
        f"CREATE TABLE IF NOT EXISTS delta.{quoted(path)} (\n  {columns}\n) USING delta\n"
        f"COMMENT {literal(table.description)}\nTBLPROPERTIES ({_listed(properties)})"
    )


def own_properties(table: Table, shape: Shape, refused: Collection[str] = ()) -> dict[str, str]:
    """Return what a table of the lake says of itself: contract, zone, shape, guards, what is refused, lake's format."""
    return {
        "ronghe.contract": f"{table.id}@{table.version}",
        "ronghe.zone": table.zone,
        FORMAT_PROPERTY: str(FORMAT),
        SHAPE_PROPERTY: shape.as_json(),
        GUARDS_PROPERTY: guards_of(table).as_json(),
        **({REFUSED_PROPERTY: json.dumps(sorted(refused))} if table.layer == "raw" else {}),
        **_statistics(table),
    }


def _statistics(table: Table) -> dict[str, str]:
    """Return the columns Delta writes smallest and largest values of into its log, where not all may be told.

    The log outlives rows that were deleted and files that were removed, so nothing sensitive may stand in it.
    """
    told = [c for c in table.columns if c.name in _POSITION or c.classification in _TOLD_IN_LOGS]
    if len(told) == len(table.columns):
        return {}
    # Delta keeps no statistics of truth values, and refuses to be asked for them.
    named = ",".join(quoted(c.name) for c in told if c.physical_type != "BOOLEAN")
    return {"delta.dataSkippingStatsColumns": named}


def evolve_table(
    table: Table,
    path: str,
    shape: Shape,
    columns: Mapping[str, tuple[str, bool]],
    properties: Mapping[str, str],
    limits: Mapping[str, str],
    stale: Collection[str],
    filled: Collection[Column],
    refused: Collection[str],
) -> tuple[str, ...]:
    """Return the statements that bring a table under its contract as it is now, none where it is.

    Each may be run again; what the table says of itself comes last, so that a run that was cut off is taken up.

    Args:
        table: the contract; it only adds to what the table has.
        path: where the table lies.
        shape: what the table says of its shape from now on.
        columns: type and whether a value is required, by name, as the table has them.
        properties: the table's properties.
        limits: its `new_checks`.
        stale: its `stale_checks`.
        filled: columns to fill that were added, maybe by a run that was cut off before it filled them.
        refused: columns of a raw table that feeds refuse; none of them has a value any more.
    """
    where = f"ALTER TABLE delta.{quoted(path)}"
    missing = ", ".join(column_ddl(column) for column in table.columns if column.name not in columns)
    found = [f"{where} ADD COLUMNS ({missing})"] if missing else []
    found += [_fill(path, column) for column in filled]
    found += [
        f"{where} ALTER COLUMN {quoted(c.name)} DROP NOT NULL"
        for c in table.columns
        if not c.required and columns.get(c.name, ("", False))[1]
    ]
    found += [f"{where} DROP CONSTRAINT IF EXISTS {quoted(name)}" for name in stale]
    found += [f"{where} ADD CONSTRAINT {quoted(name)} CHECK ({check})" for name, check in limits.items()]
    own = own_properties(table, shape, refused)
    if found or any(properties.get(key) != value for key, value in own.items()):
        found.append(f"{where} SET TBLPROPERTIES ({_listed(own)})")
    return tuple(found)


def new_checks(table: Table, codesets: dict[str, CodeSet], properties: Mapping[str, str]) -> dict[str, str]:
    """Return the constraints of a contract that a table does not have, or has otherwise."""
    kept = _kept_checks(properties)
    return {n: check for n, check in constraints(table, codesets).items() if kept.get(n.lower()) != bare(check)}


def stale_checks(table: Table, codesets: dict[str, CodeSet], properties: Mapping[str, str]) -> list[str]:
    """Return the names of constraints a table has and its contract does not, or otherwise."""
    declared = {name.lower(): bare(check) for name, check in constraints(table, codesets).items()}
    return [name for name, check in _kept_checks(properties).items() if declared.get(name) != check]


def fill_value(column: Column) -> str:
    """Return what a column is filled from, as SQL of the column's type."""
    return f"CAST(({column.filled_from}) AS {column.physical_type})"


def _kept_checks(properties: Mapping[str, str]) -> dict[str, str]:
    """Return a table's constraints without their spaces; Delta keeps their names in lower case."""
    return {k.removeprefix(_CONSTRAINT): bare(v) for k, v in properties.items() if k.startswith(_CONSTRAINT)}


def _fill(path: str, column: Column) -> str:
    name = quoted(column.name)
    return f"UPDATE delta.{quoted(path)} SET {name} = {fill_value(column)} WHERE {name} IS NULL"  # noqa: S608 - declared


def _listed(properties: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
