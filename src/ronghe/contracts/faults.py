"""What is wrong between declarations that are each right by themselves; every fault names both sides."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from ronghe.contracts.base import repeated
from ronghe.contracts.checks import CHECKS
from ronghe.contracts.classification import operators
from ronghe.contracts.expectations import contract_expectations, overlap
from ronghe.contracts.expressions import expression_fault
from ronghe.contracts.extract import Extract, ExtractTable
from ronghe.contracts.feed_faults import feed_faults
from ronghe.contracts.guard import forbidden
from ronghe.contracts.index import RiskIndex
from ronghe.contracts.table import Column, Table, Treatment

if TYPE_CHECKING:
    from ronghe.contracts.catalogue import Catalogue

# How values of a logical type may be kept; a precision and a scale go without saying.
_KEPT_AS = {
    "string": ("STRING",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP",),
    "boolean": ("BOOLEAN",),
    "integer": ("INT", "BIGINT"),
    "number": ("FLOAT", "DOUBLE", "DECIMAL"),
}
_BOUNDS, _TEXT = {"minimum", "maximum"}, {"pattern", "min_length", "max_length"}
_LIMITS = {"string": _TEXT, "integer": _BOUNDS, "number": _BOUNDS}
# Code sets that limits speak of.
_LIMITED = ("place_kind", "environment_indicator")
# Guard rail 6: a contract may ask for more, never for less.
LEAST_MINIMUM_COUNT = 10


def find_faults(found: "Catalogue") -> list[str]:
    """Return every fault of a catalogue; what the contracts imply is only compared when they are sound."""
    faults = [fault for feed in found.feeds.values() for fault in feed_faults(feed, found.tables, found.codesets)]
    faults += [fault for table in found.tables.values() for fault in _table_faults(table, found)]
    faults += _linkage_faults(found)
    faults += [fault for index in found.indices.values() for fault in _index_faults(index, found)]
    faults += _limit_faults(found)
    faults += [fault for extract in found.extracts.values() for fault in _extract_faults(extract, found)]
    return faults or list(_expectation_faults(found))


def _table_faults(table: Table, found: "Catalogue") -> Iterator[str]:
    """Yield what is wrong in a table: zone, gate, columns, rules over several columns, crossing."""
    if (table.zone == "open") != (table.layer in ("safe", "mart")):
        yield f"{table.id}: zone {table.zone} does not go with layer {table.layer}"
    if (table.layer == "mart") != (table.counts is not None):
        yield f"{table.id}: a mart, and only a mart, says whether it `counts` persons or things"
    if (table.counts == "persons") != (table.gate is not None):
        yield f"{table.id}: figures about persons need a `gate`, and only they"
    if table.gate and table.gate.minimum_count < LEAST_MINIMUM_COUNT:
        yield f"{table.id}: minimum_count {table.gate.minimum_count} is below {LEAST_MINIMUM_COUNT} (guard rail 6)"
    # Spark's names of columns do not differ by case; those of a raw table are looked at with their feed.
    names = [name.lower() for name in table.column_names] if table.layer != "raw" else []
    yield from (f"{table.id}: column {name} is declared twice" for name in repeated(names))
    for name in sorted({name for names in table.any_of for name in names} - set(table.column_names)):
        yield f"{table.id}: any_of names {name!r}, which is no column of it"
    for column in table.columns:
        yield from _column_faults(table, column, found)
        if column.filled_from:
            yield from _fill_faults(table, column, column.filled_from)
    yield from _crossing_faults(table, found)
    yield from _retention_faults(table, found)


def _fill_faults(table: Table, column: Column, text: str) -> Iterator[str]:
    """Yield what is wrong with what a column is filled from."""
    where = f"{table.id}.{column.name}"
    if column.required or column.tokenise:
        yield f"{where}: a column with `filledFrom` is optional, and no token"
    if fault := expression_fault(text, set(table.column_names) - {column.name}):
        yield f"{where}: filledFrom {text!r} {fault}"


def _retention_faults(table: Table, found: "Catalogue") -> Iterator[str]:
    """Yield where rows would go that something is still to be made of, or by a day that is none."""
    if (kept := table.retention) is None:
        return
    if table.layer != "std":
        yield f"{table.id}: rows of std have a retention; raw and meta follow their feeds, later layers are built anew"
    days = [column for column in table.columns if column.name == kept.day_column]
    if not days or days[0].logical_type != "date":
        yield f"{table.id}: retention counts from {kept.day_column!r}, which is no date column of it"
    for feed in found.feeds.values():
        if feed.target == table.id and kept.days <= feed.lateness_days:
            yield f"{table.id}: retention of {kept.days} days ends inside the lateness window of {feed.id}"


def _column_faults(table: Table, column: Column, found: "Catalogue") -> Iterator[str]:
    """Yield what is wrong in a column: guard rail 5, element, code set, check, token, treatment."""
    where = f"{table.id}.{column.name}"
    if table.layer != "raw" and (rule := forbidden(column.name)):
        yield f"{where}: {rule}"
    yield from _type_faults(where, column, found)
    yield from _limits_faults(where, column)
    yield from _grade_faults(where, column, found)
    for kind, name, known in (("code set", column.codes, found.codesets), ("check", column.check, CHECKS)):
        if name and name not in known:
            yield f"{where}: there is no {kind} {name!r}; there are {', '.join(known)}"
    yield from _policy_faults(where, column, found)
    asked = [column.tokenise.day_column] if column.tokenise else []
    asked += _asked_columns(column.treatment)
    for name in asked:
        if name and name not in table.column_names:
            yield f"{where}: names {name!r}, which is no column of {table.id}"


def _type_faults(where: str, column: Column, found: "Catalogue") -> Iterator[str]:
    """Yield an element that is not there, and types that contradict each other."""
    element = found.elements.get(column.element)
    if element is None:
        yield f"{where}: there is no element {column.element!r}"
    elif element.type != column.logical_type and element.id != "raw_value":
        yield f"{where}: is {column.logical_type}, its element {element.type}"
    elif element.unit not in (None, column.unit):
        yield f"{where}: is in unit {column.unit or 'none'}, its element in {element.unit}"
    if column.physical_type.partition("(")[0] not in (kept := _KEPT_AS[column.logical_type]):
        yield f"{where}: is {column.logical_type}, kept as {column.physical_type}: {' or '.join(kept)} would do"


def _limits_faults(where: str, column: Column) -> Iterator[str]:
    """Yield limits that no value can keep, and limits that values of the column's type do not have."""
    given = column.options.model_dump(exclude_none=True)
    if strange := sorted(given.keys() - _LIMITS.get(column.logical_type, set())):
        yield f"{where}: is {column.logical_type}; {', '.join(map(to_camel, strange))} does not limit that"
    for least, most in (("minimum", "maximum"), ("min_length", "max_length")):
        if least in given and most in given and given[least] > given[most]:
            yield f"{where}: {to_camel(least)} {given[least]:g} is above {to_camel(most)} {given[most]:g}"


def _grade_faults(where: str, column: Column, found: "Catalogue") -> Iterator[str]:
    """Yield treatments under which a value of the column's grade may not leave (GB/T 43697)."""
    allowed = found.grades.of(column.classification).leaves
    for operator in operators(column.treatment):
        if operator not in allowed:
            yield f"{where}: {column.classification} may leave under {', '.join(allowed)}, and not under {operator}"


def _policy_faults(where: str, column: Column, found: "Catalogue") -> Iterator[str]:
    """Yield policies for text that are not there, or that a column that is no text asks for."""
    for name in sorted(column.treatment.policies - set(found.policies)):
        yield f"{where}: there is no policy for text {name!r}; there are {', '.join(found.policies)}"
    if column.treatment.policies and column.logical_type != "string":
        yield f"{where}: is {column.logical_type}; only text can be analysed"


def _asked_columns(treatment: Treatment) -> list[str | None]:
    """Return the columns a treatment asks before it is applied."""
    return [treatment.when, *(_asked_columns(treatment.otherwise) if treatment.otherwise else [])]


def _crossing_faults(table: Table, found: "Catalogue") -> Iterator[str]:
    """Yield what is wrong where a table is made from a restricted one."""
    if table.layer == "safe" and table.crosses is None:
        yield f"{table.id}: a safe table says which table it `crosses` from"
    if table.crosses is None:
        return
    origin = found.tables.get(table.crosses)
    if origin is None:
        yield f"{table.id}: crosses {table.crosses!r}, which is no declared table"
        return
    for column in table.columns:
        if column.name not in origin.column_names:
            yield f"{table.id}.{column.name}: {origin.id} has no such column"
        elif origin.column(column.name).treatment.operator in ("drop", "count"):
            yield f"{table.id}.{column.name}: its treatment in {origin.id} lets it not leave"


def _linkage_faults(found: "Catalogue") -> list[str]:
    """Return linkages that point at nothing or would match on what guard rail 5 keeps out."""
    faults = []
    for linkage in found.linkages.values():
        names = (linkage.target, *(item.table for item in linkage.inputs))
        faults += [f"linkage {linkage.id}: there is no table {name!r}" for name in names if name not in found.tables]
        columns = sorted({name for item in linkage.inputs for name in item.columns})
        faults += [f"linkage {linkage.id}: column {c}: {rule}" for c in columns if (rule := forbidden(c))]
    return faults


def _index_faults(index: RiskIndex, found: "Catalogue") -> Iterator[str]:
    """Yield what an index is measured on or ranked by that is not there, and families its mart cannot show."""
    for name in index.tables:
        if name not in found.tables:
            yield f"index {index.id}: there is no table {name!r}"
        elif found.tables[name].layer != "std" or "business_date" not in found.tables[name].column_names:
            yield f"index {index.id}: {name} is no std table with a business_date, so its rows have no period"
    if index.units not in found.codesets:
        yield f"index {index.id}: there is no code set {index.units!r}"
    shown = found.tables["mart.risk_index"].column_names if "mart.risk_index" in found.tables else ()
    wanted = (f"{family.code}_score" for family in index.families)
    yield from (f"index {index.id}: mart.risk_index has no column {name!r}" for name in wanted if name not in shown)


def _limit_faults(found: "Catalogue") -> list[str]:
    """Return limits about indicators and kinds of place that no code set knows, and indicators that have two."""
    known = {name: {c.code for c in found.codesets[name].codes} for name in _LIMITED if name in found.codesets}
    faults, seen = [], set()
    for limits in found.limits.values():
        asked = [("place_kind", limits.place_kind_code)]
        asked += [("environment_indicator", limit.indicator_code) for limit in limits.limits]
        faults += [f"limits {limits.id}: code set {n} has no {c!r}" for n, c in asked if c not in known.get(n, ())]
        for limit in limits.limits:
            key = (limits.place_kind_code, limit.indicator_code)
            faults += [f"limits {limits.id}: {limit.indicator_code} is limited twice"] if key in seen else []
            seen.add(key)
    return faults


# The grade a released column may have (GB/T 43697): general data.
OPEN_GRADE = "L1"


def _extract_faults(extract: Extract, found: "Catalogue") -> Iterator[str]:
    """Yield tables of an extract that may not leave, and columns and keys that do not fit them."""
    for item in extract.tables:
        table = found.tables.get(item.table)
        if table is None:
            yield f"extract {extract.id}: there is no table {item.table!r}"
        elif table.zone != "open":
            yield f"extract {extract.id}: {table.id} is restricted; only tables of safe and mart are released"
        else:
            yield from _released_faults(extract, item, table, found)


def _released_faults(extract: Extract, item: ExtractTable, table: Table, found: "Catalogue") -> Iterator[str]:
    """Yield what is wrong with the columns, the key and the references of a released table."""
    where = f"extract {extract.id}: {table.id}"
    names = item.columns or table.column_names
    known = [name for name in names if name in table.column_names]
    yield from (f"{where} has no column {name!r}" for name in (*names, *item.references) if name not in known)
    yield from (f"{where} is released without its key column {key}" for key in table.primary_key if key not in names)
    for column in map(table.column, known):
        if column.classification != OPEN_GRADE:
            yield f"{where}.{column.name} is graded {column.classification}; only {OPEN_GRADE} is released"
    for column_name, other in item.references.items():
        target = found.tables.get(other)
        if other not in extract.table_ids:
            yield f"{where}.{column_name} refers to {other}, which is not in the extract"
        elif target is not None and len(target.primary_key) != 1:
            yield f"{where}.{column_name} refers to {other}, whose key has {len(target.primary_key)} columns"


def _expectation_faults(found: "Catalogue") -> Iterator[str]:
    """Yield declared checks of no table, and those that the table's contract says already."""
    for name, checks in found.declared.items():
        if name not in found.tables:
            yield f"expectations: there is no table {name!r}"
            continue
        for check in checks:
            for column in (column for column in check.columns if column not in found.tables[name].column_names):
                yield f"expectations of {name}: {check.expectation} asks {column!r}, which is no column of it"
        derived = contract_expectations(found.tables[name], found.codesets)
        yield from (f"expectations of {name}: the contract says {o} already" for o in overlap(checks, derived))
