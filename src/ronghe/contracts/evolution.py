"""What changed between two states of a table's contract, and what follows: nothing, an addition, or a refusal.

A table in the lake keeps the shape it was made with in its properties. A contract that changed since is compared with
it: what only adds is done to the table, what would lose or reinterpret rows is refused with the reason. Levels are
those of Semantic Versioning 2.0.0, read for data: a consumer of the old contract can read the new one (minor), or not
(major). What lets more leave than before is done if a new major version announces it (announced).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ronghe.contracts.base import ContractError
from ronghe.contracts.table import Table

# The format of the lake itself: how tables, their properties and meta tables are to be read. A lake of a newer format
# is refused, one of an older format is brought up when it is written to.
FORMAT = 1
FORMAT_PROPERTY, SHAPE_PROPERTY = "ronghe.format", "ronghe.shape"
# Of a raw table: the columns that feeds refuse, whose values are gone.
REFUSED_PROPERTY = "ronghe.refused"
# What decides how values of a table may leave.
GUARDS_PROPERTY = "ronghe.guards"

Level = Literal["minor", "announced", "major"]
# What is said of a column that the table had not.
ADDED = "was added"
# What is said of a column of a raw table that the feed's contract refuses since the table was written.
REFUSED_NOW = "is refused now; its values are removed from the records read before, and from older versions"


class EvolutionRefused(ContractError):
    """A contract asks for a change that would lose or reinterpret rows; the message says which and what to do."""


@dataclass(frozen=True)
class ColumnShape:
    """What must not change silently about a column. `element` and `unit` are empty where they are not known."""

    physical_type: str
    required: bool
    element: str = ""
    unit: str = ""


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
    """What decides how values may leave: the grade of each column, and whether a mart's figures are about persons."""

    grades: Mapping[str, str]
    counts: str = ""

    def as_json(self) -> str:
        """Return the guards as they are kept in a table's property."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Change:
    """One change of a contract: the column it is about (empty: the table), what it is, its level, and what to do."""

    column: str
    what: str
    level: Level
    remedy: str = ""

    def __str__(self) -> str:
        about = f"column {self.column} " if self.column else ""
        return f"{about}{self.what}{f': {self.remedy}' if self.remedy else ''}"


def shape_of(table: Table) -> Shape:
    """Return the shape a contract declares."""
    columns = {c.name: ColumnShape(c.physical_type.upper(), c.required, c.element, c.unit or "") for c in table.columns}
    return Shape(table.zone, columns, table.primary_key)


def guards_of(table: Table) -> Guards:
    """Return the guards a contract declares."""
    return Guards({column.name: column.classification for column in table.columns}, table.counts or "")


def recorded_guards(properties: Mapping[str, str]) -> Guards:
    """Return the guards a table of the lake has; none are known of one that an older Ronghe made."""
    return Guards(**json.loads(properties.get(GUARDS_PROPERTY, '{"grades": {}}')))


def weakened(old: Guards, new: Guards) -> tuple[Change, ...]:
    """Return what would let more leave than before: grades that fell, and figures that are about persons no longer.

    Args:
        old: what the table has.
        new: what its contract declares.
    """
    found = [
        Change(name, f"of grade {old.grades[name]} became {grade}", "announced", "more of it may leave than before")
        for name, grade in new.grades.items()
        if grade < old.grades.get(name, "")
    ]
    if old.counts == "persons" and new.counts != "persons":
        remedy = "keep `counts: persons` and the gate"
        found.append(Change("", "figures about persons became figures about things", "major", remedy))
    return tuple(found)


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


def refuse_newer(table_id: str, properties: Mapping[str, str]) -> None:
    """Check that this Ronghe can read a table.

    Raises:
        EvolutionRefused: a newer Ronghe made it.
    """
    found = int(properties.get(FORMAT_PROPERTY, "0"))
    if found > FORMAT:
        raise EvolutionRefused(
            f"{table_id} has the lake's format {found}; this Ronghe knows formats up to {FORMAT}. Run the Ronghe that "
            "made the lake, or a newer one."
        )


def changes(
    old: Shape,
    new: Shape,
    *,
    as_read: bool = False,
    refused: frozenset[str] = frozenset(),
    columns: Mapping[str, tuple[str, bool]] | None = None,
) -> tuple[Change, ...]:
    """Return what changed, in the order of the columns; an order of columns that changed is no change.

    Args:
        old: what the table has.
        new: what its contract declares.
        as_read: whether the table keeps records as read: one column less is a source that delivers it no longer.
        refused: columns of it that the feed's contract refuses; what was read of them before has to go.
        columns: type and whether a value is required, by name, as the table's own schema says: it may have more than
            its shape tells, by a change that was cut off, or of a source that delivers it no longer.
    """
    types = {name: physical for name, (physical, _) in (columns or {}).items()}
    return (*_of_the_table(old, new), *_of_columns(old, new, as_read, refused, types))


def refuse_major(table_id: str, found: tuple[Change, ...]) -> None:
    """Check that every change only adds.

    Raises:
        EvolutionRefused: names each change that does not, and what to do about it.
    """
    if said := "; ".join(str(change) for change in found if change.level == "major"):
        raise EvolutionRefused(
            f"{table_id}: its rows were written under another contract. {said}. Nothing was changed; see "
            "docs/recipes/change-a-contract.md."
        )


def refuse_version(table_id: str, before: str, now: str, found: tuple[Change, ...]) -> None:
    """Check that a contract that changed says so in its version.

    The minor number grows where it only adds, the major one where more may leave than before.

    Args:
        table_id: the table.
        before: version of the contract that the table was brought under last, empty where it is not known.
        now: version of the contract.
        found: what changed.

    Raises:
        EvolutionRefused: the version stands still or goes back; names the versions and the changes.
    """
    announced = any(change.level == "announced" for change in found)
    parts = 1 if announced else 2
    if not (found and before) or _parts(now)[:parts] > _parts(before)[:parts]:
        return
    major, minor, _ = _parts(before)
    wanted = f"{major + 1}.0.0" if announced else f"{major}.{minor + 1}.0"
    raise EvolutionRefused(
        f"{table_id}: {'; '.join(map(str, found))}, and the contract's version went from {before} to {now}. Raise it "
        f"to {wanted}, or bring back the declarations the lake was written with."
    )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


_NEW_TABLE = "declare a table of a new name and fill it from this one"


def _of_the_table(old: Shape, new: Shape) -> Iterator[Change]:
    if old.zone != new.zone:
        yield Change("", f"zone {old.zone} became {new.zone}", "major", _NEW_TABLE)
    if old.primary_key and old.primary_key != new.primary_key:
        said = f"primary key ({', '.join(old.primary_key)}) became ({', '.join(new.primary_key)})"
        yield Change("", said, "major", _NEW_TABLE)


def _of_columns(
    old: Shape, new: Shape, as_read: bool, refused: frozenset[str], types: Mapping[str, str]
) -> Iterator[Change]:
    for name, column in new.columns.items():
        if name not in old.columns:
            yield _added(name, column, types)
        else:
            yield from _of_a_column(name, old.columns[name], column)
    for name in sorted(old.columns.keys() - new.columns.keys()):
        yield _dropped(name, as_read, name in refused)


def _dropped(name: str, as_read: bool, refused: bool) -> Change:
    if refused:
        return Change(name, REFUSED_NOW, "minor")
    if as_read:
        return Change(name, "is delivered no longer; records read before keep it", "minor")
    remedy = (
        "its values would be lost; declare it again (a new name is a further column with `filledFrom`), or declare a "
        "table of a new name without it"
    )
    return Change(name, "was dropped or renamed", "major", remedy)


def _added(name: str, column: ColumnShape, types: Mapping[str, str]) -> Change:
    if column.required:
        return Change(name, "was added as required", "major", "rows written before have no value; make it optional")
    if types.get(name, column.physical_type) != column.physical_type:
        said = f"is there with type {types[name]}, by a change that was not finished"
        return Change(name, said, "major", "declare it with that type, or add a column under another name")
    # Spark's names of columns do not differ by case.
    if other := next((there for there in types if there != name and there.lower() == name.lower()), None):
        remedy = "give it another name; a source that writes its header otherwise from now on is another feed"
        return Change(name, f"differs by case only from {other}, which the table has", "major", remedy)
    return Change(name, ADDED, "minor")


def _of_a_column(name: str, old: ColumnShape, new: ColumnShape) -> Iterator[Change]:
    if old.physical_type != new.physical_type:
        remedy = (
            f"add a column of the new type under a new name, with a `filledFrom` that reads {name}, and keep {name}"
        )
        yield Change(name, f"of type {old.physical_type} became {new.physical_type}", "major", remedy)
    if old.required and not new.required:
        yield Change(name, "became optional", "minor")
    if new.required and not old.required:
        yield Change(name, "became required", "major", "rows written before may have no value; leave it optional")
    for what in ("element", "unit"):
        before, after = getattr(old, what), getattr(new, what)
        if before and before != after:
            remedy = "values written before would be read wrongly; add a column under a new name, with a `filledFrom`"
            yield Change(name, f"of {what} {before} became {after or 'none'}", "major", remedy)
