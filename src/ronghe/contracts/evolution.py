"""What changed between two states of a table's contract, and what follows: nothing, an addition, or a refusal.

A table in the lake keeps the shape it was made with in its properties. A contract that changed since is compared with
it: what only adds is done to the table, what would lose or reinterpret rows is refused with the reason. Levels are
those of Semantic Versioning 2.0.0, read for data: a consumer of the old contract can read the new one (minor), or not
(major). A change of how values leave is done if a new major version announces it (announced): it may let out more, and
whoever reads on finds other values.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ronghe.contracts.base import ContractError
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.rules import bare
from ronghe.contracts.shape import FORMAT, FORMAT_PROPERTY, ColumnShape, Guards, Shape
from ronghe.contracts.table import Table

Level = Literal["minor", "announced", "major"]
# What is said of a column that the table had not.
ADDED = "was added"
# What is said of a column of a raw table that the feed's contract refuses since the table was written.
REFUSED_NOW = "is refused now; its values are removed from the records read before, and from older versions"


class EvolutionRefused(ContractError):
    """A contract asks for a change that would lose or reinterpret rows; the message says which and what to do."""


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


def leaving_otherwise(old: Guards, new: Guards) -> tuple[Change, ...]:
    """Return by what values would leave otherwise than before: grades that fell, other treatments, another gate.

    Args:
        old: what the table has.
        new: what its contract declares.
    """
    found = [
        Change(name, f"of grade {old.grades[name]} became {grade}", "announced", "more of it may leave than before")
        for name, grade in new.grades.items()
        if grade < old.grades.get(name, "")
    ]
    found += [
        Change(name, f"of treatment {old.treatments[name]} became {treatment}", "announced", "it leaves otherwise")
        for name, treatment in new.treatments.items()
        if treatment != old.treatments.get(name, treatment)
    ]
    if old.counts == "persons" and new.counts != "persons":
        remedy = "keep `counts: persons` and the gate"
        found.append(Change("", "figures about persons became figures about things", "major", remedy))
    elif old.gate and old.gate != new.gate:
        found += _of_the_gate(json.loads(old.gate), json.loads(new.gate or "{}"))
    return tuple(found)


def _of_the_gate(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for part in sorted(part for part in old.keys() | new.keys() if old.get(part) != new.get(part)):
        before, after = (json.dumps(gate[part]) if part in gate else "none" for gate in (old, new))
        yield Change("", f"its gate's {part} {before} became {after}", "announced", "other figures may leave")


def renamed_codes(old: Shape, table: Table, codesets: Mapping[str, CodeSet]) -> Iterator[Change]:
    """Yield codes whose name of before they have no longer: rows written before would be read as something else.

    Args:
        old: what the table has.
        table: its contract.
        codesets: the code sets by their ids.
    """
    for column in (column for column in table.columns if column.codes and column.name in old.columns):
        now = {code.code: code for code in codesets[str(column.codes)].codes}
        for code, name in old.columns[column.name].codes.items():
            if code in now and name not in (now[code].name_zh, *now[code].aliases):
                said = f"holds the code {code}, which meant {name} and means {now[code].name_zh}"
                remedy = f"keep {name} among its aliases if it means the same, or give what is new a code of its own"
                yield Change(column.name, said, "major", remedy)


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

    The minor number grows where it only adds, the major one where values leave otherwise than before.

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
    for what in ("element", "unit", "token"):
        before, after = getattr(old, what), getattr(new, what)
        if before and before != after:
            remedy = "values written before would be read wrongly; add a column under a new name, with a `filledFrom`"
            yield Change(name, f"of {what} {before} became {after or 'none'}", "major", remedy)
    if old.filled_from and new.filled_from != "none" and bare(old.filled_from) != bare(new.filled_from):
        said = f"was filled from {old.filled_from} and would be from {new.filled_from}"
        yield Change(name, said, "major", "nobody could tell which a value is of; add a column under a new name")
