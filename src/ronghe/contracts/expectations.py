"""What must hold of a whole table: the checks that no single row can show."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ronghe.contracts.base import ContractError, Declaration, read_yaml, validated
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.table import Table


class Expectation(Declaration):
    """One check in Great Expectations' own words; `stop` keeps the data back, `warn` reports."""

    expectation: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["stop", "warn"] = "stop"


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
    """Return the checks that follow from a table's contract: columns, nulls, key, codes, limits."""
    found = [
        Expectation(
            expectation="ExpectTableColumnsToMatchSet",
            kwargs={"column_set": list(table.column_names), "exact_match": True},
        )
    ]
    for column in table.columns:
        name = {"column": column.name}
        if column.required:
            found.append(Expectation(expectation="ExpectColumnValuesToNotBeNull", kwargs=name))
        if column.codes and codesets[column.codes].kind == "list":
            codes = [code.code for code in codesets[column.codes].codes]
            found.append(Expectation(expectation="ExpectColumnValuesToBeInSet", kwargs={**name, "value_set": codes}))
        if column.options.minimum is not None or column.options.maximum is not None:
            limits = {"min_value": column.options.minimum, "max_value": column.options.maximum}
            found.append(Expectation(expectation="ExpectColumnValuesToBeBetween", kwargs={**name, **limits}))
    if len(table.primary_key) > 1:
        found.append(
            Expectation(
                expectation="ExpectCompoundColumnsToBeUnique",
                kwargs={"column_list": list(table.primary_key), "ignore_row_if": "never"},
            )
        )
    elif table.primary_key:
        found.append(Expectation(expectation="ExpectColumnValuesToBeUnique", kwargs={"column": table.primary_key[0]}))
    return tuple(found)


def overlap(declared: tuple[Expectation, ...], derived: tuple[Expectation, ...]) -> tuple[str, ...]:
    """Return what is declared although the contract already says it."""
    known = {(e.expectation, str(e.kwargs.get("column"))) for e in derived}
    return tuple(
        f"{e.expectation}({e.kwargs.get('column')})"
        for e in declared
        if (e.expectation, str(e.kwargs.get("column"))) in known
    )
