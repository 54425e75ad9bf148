"""What a table of the lake says of itself, as its contract declares it and its properties keep it: shape and guards."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.table import Column, Table, Treatment

# The format of the lake itself: how tables, their properties and meta tables are to be read. A lake of a newer format
# is refused, one of an older format is brought up when it is written to.
FORMAT = 2
FORMAT_PROPERTY, SHAPE_PROPERTY = "ronghe.format", "ronghe.shape"
# Of a raw table: the columns that feeds refuse, whose values are gone.
REFUSED_PROPERTY = "ronghe.refused"
# What decides how values of a table may leave.
GUARDS_PROPERTY = "ronghe.guards"


@dataclass(frozen=True)
class ColumnShape:
    """What must not change silently about a column; what is empty is not there, or an older Ronghe did not record it.

    `token` and `filled_from` say `none` where there is none; `codes` has the name of each code of a list, also of those
    that it has no longer, for rows may hold them.
    """

    physical_type: str
    required: bool
    element: str = ""
    unit: str = ""
    token: str = ""
    filled_from: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """What must not change silently about a table. `primary_key` is empty where it is not known."""

    zone: str
    columns: Mapping[str, ColumnShape]
    primary_key: tuple[str, ...] = ()

    def as_json(self) -> str:
        """Return the shape as it is kept in a table's property."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Guards:
    """What decides how values may leave: grade and treatment of each column, whom a mart's figures are about, its gate.

    What is empty is not there, or an older Ronghe did not record it.
    """

    grades: Mapping[str, str]
    counts: str = ""
    treatments: Mapping[str, str] = field(default_factory=dict)
    gate: str = ""

    def as_json(self) -> str:
        """Return the guards as they are kept in a table's property."""
        return json.dumps(asdict(self), sort_keys=True)


def shape_of(table: Table, codesets: Mapping[str, CodeSet]) -> Shape:
    """Return the shape a contract declares."""
    columns = {column.name: _shape_of_a_column(column, codesets) for column in table.columns}
    return Shape(table.zone, columns, table.primary_key)


def _shape_of_a_column(column: Column, codesets: Mapping[str, CodeSet]) -> ColumnShape:
    key = column.tokenise
    return ColumnShape(
        column.physical_type.upper(),
        column.required,
        column.element,
        column.unit or "",
        f"{key.key} {key.day_column or key.purpose}" if key else "none",
        (column.filled_from or "none").strip(),
        {code.code: code.name_zh for code in codesets[column.codes].codes} if column.codes else {},
    )


def remembering(old: Shape, new: Shape) -> Shape:
    """Return what a table is to say of its shape when it has followed its contract: that, and codes of before."""
    columns = {
        name: replace(column, codes={**old.columns[name].codes, **column.codes}) if name in old.columns else column
        for name, column in new.columns.items()
    }
    return replace(new, columns=columns)


def guards_of(table: Table) -> Guards:
    """Return the guards a contract declares."""
    return Guards(
        {column.name: column.classification for column in table.columns},
        table.counts or "",
        {column.name: _in_words(column.treatment) for column in table.columns},
        table.gate.model_dump_json(exclude_defaults=True) if table.gate else "",
    )


def _in_words(treatment: Treatment) -> str:
    """Return a treatment as contracts write it: by its operator alone where there is no more to it."""
    said = treatment.model_dump(exclude_defaults=True)
    return treatment.operator if said.keys() == {"operator"} else json.dumps(said, sort_keys=True, ensure_ascii=False)


def recorded_guards(properties: Mapping[str, str]) -> Guards:
    """Return the guards a table of the lake has; none are known of one that an older Ronghe made."""
    return Guards(**json.loads(properties.get(GUARDS_PROPERTY, '{"grades": {}}')))


def recorded_shape(
    properties: Mapping[str, str],
    columns: Mapping[str, tuple[str, bool]],
    zone: str,
    refused: frozenset[str] = frozenset(),
) -> Shape:
    """Return the shape a table of the lake has.

    Args:
        properties: the table's properties; the shape is among them unless an older Ronghe made the table.
        columns: type and whether a value is required, by name, as the table's own schema says.
        zone: the half of the lake the table was found in.
        refused: columns of a raw table that feeds refuse. One that was delivered no longer before it was refused is
            in the table still, and in no recorded shape.
    """
    if kept := properties.get(SHAPE_PROPERTY):
        found: dict[str, Any] = json.loads(kept)
        own = {name: ColumnShape(**values) for name, values in found["columns"].items()}
        # A table of a Ronghe that kept no list has lost them already.
        gone = json.loads(properties[REFUSED_PROPERTY]) if REFUSED_PROPERTY in properties else refused
        for name in (refused & columns.keys()) - own.keys() - set(gone):
            own[name] = ColumnShape(columns[name][0], required=False)
        return Shape(found["zone"], own, tuple(found["primary_key"]))
    return Shape(properties.get("ronghe.zone", zone), {n: ColumnShape(t.upper(), r) for n, (t, r) in columns.items()})
