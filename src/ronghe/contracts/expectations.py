"""What must hold of a whole table: the checks that follow from its contract, and those that no single row can show."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ronghe.contracts.base import ContractError, Declaration, read_yaml, validated
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.table import Column, Table

# Spark's classes of the types that tables have, for GX's check of types.
_SPARK_TYPES = {
    "STRING": "StringType",
    "BOOLEAN": "BooleanType",
    "INT": "IntegerType",
    "INTEGER": "IntegerType",
    "SMALLINT": "ShortType",
    "BIGINT": "LongType",
    "FLOAT": "FloatType",
    "DOUBLE": "DoubleType",
    "DECIMAL": "DecimalType",
    "DATE": "DateType",
    "TIMESTAMP": "TimestampType",
    "BINARY": "BinaryType",
    "ARRAY": "ArrayType",
    "MAP": "MapType",
    "STRUCT": "StructType",
}


class Expectation(Declaration):
    """One check in Great Expectations' own words; `stop` keeps the data back, `warn` reports."""

    expectation: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["stop", "warn"] = "stop"

    @property
    def check_id(self) -> str:
        """Name of the check that stays while its kind and arguments stay, whatever its severity."""
        content = json.dumps([self.expectation, self.kwargs], sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the check looks at."""
        names = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        names += [name for key in ("column_list", "column_set") for name in self.kwargs.get(key) or ()]
        return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


class TableExpectations(Declaration):
    """The declared checks of one table."""

    table: str
    expectations: tuple[Expectation, ...]


def read_expectations(path: Path) -> TableExpectations:
    """Read the checks of one table; the table is `<folder>.<file name>`.

    Raises:
        ContractError: the file is wrong or stands under another table's name.
    """
    declared = validated(TableExpectations, read_yaml(path), path)
    if declared.table != f"{path.parent.name}.{path.stem}":
        raise ContractError(f"{path}: table {declared.table!r} must be '{path.parent.name}.{path.stem}'")
    return declared


def contract_expectations(table: Table, codesets: dict[str, CodeSet]) -> tuple[Expectation, ...]:
    """Return the checks that follow from a table's contract: columns and types, nulls, codes, limits, patterns, key.

    A mart that is empty is a warning, not a stop: on the first night nothing may have been accepted yet.
    """
    found = [_check("ExpectTableColumnsToMatchSet", column_set=list(table.column_names), exact_match=True)]
    if table.layer == "mart":
        found.append(_check("ExpectTableRowCountToBeBetween", min_value=1).model_copy(update={"severity": "warn"}))
    found += [check for column in table.columns for check in _column_expectations(column, codesets)]
    found += [_any_of(names) for names in table.any_of]
    if len(table.primary_key) > 1:
        key = list(table.primary_key)
        found.append(_check("ExpectCompoundColumnsToBeUnique", column_list=key, ignore_row_if="never"))
    elif table.primary_key:
        found.append(_check("ExpectColumnValuesToBeUnique", column=table.primary_key[0]))
    return tuple(found)


def _check(expectation: str, **kwargs: Any) -> Expectation:
    return Expectation(expectation=expectation, kwargs=kwargs)


def _column_expectations(column: Column, codesets: dict[str, CodeSet]) -> Iterator[Expectation]:
    """Yield what the contract says of one column."""
    name, options = column.name, column.options
    if spark_type := _SPARK_TYPES.get(column.physical_type.upper().partition("(")[0].partition("<")[0]):
        yield _check("ExpectColumnValuesToBeOfType", column=name, type_=spark_type)
    if column.required:
        yield _check("ExpectColumnValuesToNotBeNull", column=name)
    if column.codes and codesets[column.codes].kind == "list":
        codes = [code.code for code in codesets[column.codes].codes]
        yield _check("ExpectColumnValuesToBeInSet", column=name, value_set=codes)
    for kind, low, high in (
        ("ExpectColumnValuesToBeBetween", options.minimum, options.maximum),
        ("ExpectColumnValueLengthsToBeBetween", options.min_length, options.max_length),
    ):
        if low is not None or high is not None:
            yield _check(kind, column=name, min_value=low, max_value=high)
    if options.pattern:
        yield _check("ExpectColumnValuesToMatchRegex", column=name, regex=options.pattern)


def _any_of(names: tuple[str, ...]) -> Expectation:
    """Return the check that a row has one of the columns: the first, where it has none of the others."""
    nulls = [{"type": "nullity", "column": {"name": name}, "is_null": True} for name in names[1:]]
    condition = nulls[0] if len(nulls) == 1 else {"type": "and", "conditions": nulls}
    given = {"row_condition": condition} if nulls else {}
    return _check("ExpectColumnValuesToNotBeNull", column=names[0], **given)


def overlap(declared: tuple[Expectation, ...], derived: tuple[Expectation, ...]) -> tuple[str, ...]:
    """Return what is declared although the contract already says it; a derived warning may be said more sharply."""
    known = {(e.expectation, str(e.kwargs.get("column"))) for e in derived if e.severity == "stop"}
    return tuple(
        f"{e.expectation}({e.kwargs.get('column')})"
        for e in declared
        if (e.expectation, str(e.kwargs.get("column"))) in known
    )
