"""What is wrong between a feed and the table its records become; every fault names both sides."""

from collections.abc import Iterator, Mapping

from ronghe.contracts.base import repeated
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.ddl import raw_column
from ronghe.contracts.expressions import expression_fault
from ronghe.contracts.guard import forbidden
from ronghe.contracts.patterns import pattern_fault
from ronghe.contracts.source import PROVENANCE, ColumnMap, Feed, UnitFactor
from ronghe.contracts.table import Table


def feed_faults(feed: Feed, tables: Mapping[str, Table], codesets: Mapping[str, CodeSet]) -> Iterator[str]:
    """Yield every fault of a feed that its own declaration cannot tell."""
    for column in feed.columns:
        if isinstance(column.factor, UnitFactor) and column.factor.by not in feed.column_names:
            yield f"{feed.id}: column {column.name}: factor asks {column.factor.by!r}, which is no column of it"
        if rule := forbidden(column.name):
            yield f"{feed.id}: column {column.name}: {rule}"
        if column.name in feed.refuse:
            yield f"{feed.id}: column {column.name} is declared and refused; do one of both"
    if feed.retention_days is not None and feed.retention_days <= feed.lateness_days:
        yield f"{feed.id}: retention of {feed.retention_days} days ends inside its lateness window"
    yield from _transport_faults(feed)
    # Spark's names of columns do not differ by case.
    raw = [raw_column(column.name).lower() for column in feed.columns]
    for name in repeated(raw):
        yield f"{feed.id}: several columns are called {name!r} in {feed.raw_table}: signs that a table refuses become _"
    target = tables.get(feed.target)
    if target is None or target.layer != "std":
        yield f"{feed.id}: target {feed.target!r} is no declared std table"
    else:
        yield from _mapping_faults(feed, target)
        yield from _constant_faults(feed, target, codesets)


def _transport_faults(feed: Feed) -> Iterator[str]:
    """Yield where a feed that is fetched does not read what a fetch writes."""
    if feed.transport is None:
        return
    if (feed.reader.format, feed.reader.records, feed.reader.member) != ("json", None, None):
        yield f"{feed.id}: what a transport fetches is JSON Lines; its reader is `format: json` and nothing more"
    if feed.landing.count("*") != 1:
        yield f"{feed.id}: landing {feed.landing!r} needs one * for what is fetched"


def _mapping_faults(feed: Feed, target: Table) -> Iterator[str]:
    """Yield canonical columns that are unknown, filled twice, or required and not filled."""
    filled = [str(column.to) for column in feed.mapped] + [*feed.constants, *feed.computed]
    for name in repeated(filled):
        yield f"{feed.id}: column {name} of {target.id} is filled twice"
    for name in sorted(set(filled) - set(target.column_names)):
        yield f"{feed.id}: {target.id} has no column {name!r}"
    needed = (c.name for c in target.columns if c.required and c.name not in PROVENANCE)
    yield from (f"{feed.id}: {target.id}.{n} is required and nothing fills it" for n in needed if n not in filled)
    for column in feed.mapped:
        if column.to in target.column_names:
            yield from _reading_faults(feed, column, target)
    speaks_of = {raw_column(name) for name in feed.column_names} | {"business_date"}
    for name, text in feed.computed.items():
        if fault := expression_fault(text, speaks_of):
            yield f"{feed.id}: computed {name}: {text!r} {fault}"


def _constant_faults(feed: Feed, target: Table, codesets: Mapping[str, CodeSet]) -> Iterator[str]:
    """Yield constants by which every record would be in quarantine: codes that no code set knows."""
    for column in (column for column in target.columns if column.name in feed.constants and column.codes in codesets):
        value, codes = feed.constants[column.name], codesets[str(column.codes)]
        if value not in dict(codes.spellings()):
            yield f"{feed.id}: constant {column.name}: {value!r} is no code of {codes.id}"


def _reading_faults(feed: Feed, column: ColumnMap, target: Table) -> Iterator[str]:
    """Yield ways of reading a column that its target's type does not ask for, and patterns that read no day."""
    kind, where = target.column(str(column.to)).logical_type, f"{feed.id}: column {column.name}"
    if column.factor is not None and kind not in ("integer", "number"):
        yield f"{where}: `factor` is for numbers; {target.id}.{column.to} is {kind}"
    if column.format is None:
        return
    if kind not in ("date", "timestamp"):
        yield f"{where}: `format` is for days and instants; {target.id}.{column.to} is {kind}"
    elif fault := pattern_fault(column.format):
        yield f"{where}: format {column.format!r}: {fault}"
