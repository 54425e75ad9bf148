"""Checks in words, for readers who do not know Great Expectations."""

import re
from collections.abc import Callable
from typing import Any

from ronghe.contracts.expectations import Expectation

_TYPES = {"StringType": "text", "LongType": "a whole number", "IntegerType": "a whole number", "DoubleType": "a number"}
_TYPES |= {
    "DecimalType": "an exact number",
    "DateType": "a day",
    "TimestampType": "an instant",
    "BooleanType": "yes/no",
}
_MANY = 8


def _limits(kwargs: dict[str, Any], unit: str = "") -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    shown_low, shown_high = (_shown(value) + unit for value in (low, high))
    if low is not None and high is not None:
        return f"from {shown_low} to {shown_high}"
    return f"at least {shown_low}" if high is None else f"at most {shown_high}"


def _shown(value: Any) -> str:
    return f"{value:,.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _listed(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:_MANY]))
    return shown if len(values) <= _MANY else f"{shown} … ({len(values)} in all)"


def _share(kwargs: dict[str, Any]) -> str:
    """Return the limits of a proportion in percent."""
    return _limits({key: value * 100 for key, value in kwargs.items() if key in ("min_value", "max_value")}, " %")


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ExpectTableColumnsToMatchSet": lambda k: f"has the {len(k['column_set'])} columns of the contract, and no other",
    "ExpectTableRowCountToBeBetween": lambda k: f"number of rows is {_limits(k)}",
    "ExpectColumnValuesToBeOfType": lambda k: f"is {_TYPES.get(k['type_'], k['type_'])}",
    "ExpectColumnValuesToNotBeNull": lambda _: "is never missing",
    "ExpectColumnValuesToBeNull": lambda _: "is always missing",
    "ExpectColumnValuesToBeInSet": lambda k: f"is one of: {_listed(k['value_set'])}",
    "ExpectColumnDistinctValuesToBeInSet": lambda k: f"has no other values than: {_listed(k['value_set'])}",
    "ExpectColumnDistinctValuesToContainSet": lambda k: f"has each of: {_listed(k['value_set'])}",
    "ExpectColumnValuesToBeBetween": lambda k: f"is {_limits(k)}",
    "ExpectColumnValueLengthsToBeBetween": lambda k: f"has {_limits(k)} characters",
    "ExpectColumnValuesToMatchRegex": lambda k: f"has the form {k['regex']}",
    "ExpectColumnValuesToBeUnique": lambda _: "stands in one row only",
    "ExpectCompoundColumnsToBeUnique": lambda k: f"key stands in one row only: {', '.join(k['column_list'])}",
    "ExpectColumnProportionOfNonNullValuesToBeBetween": lambda k: f"is there in {_share(k)} of the rows",
    "ExpectColumnProportionOfUniqueValuesToBeBetween": lambda k: f"has {_share(k)} different values",
    "ExpectColumnUniqueValueCountToBeBetween": lambda k: f"has {_limits(k)} different values",
    "ExpectColumnMeanToBeBetween": lambda k: f"mean is {_limits(k)}",
    "ExpectColumnMedianToBeBetween": lambda k: f"median is {_limits(k)}",
    "ExpectColumnSumToBeBetween": lambda k: f"sum is {_limits(k)}",
    "ExpectColumnMinToBeBetween": lambda k: f"smallest value is {_limits(k)}",
    "ExpectColumnMaxToBeBetween": lambda k: f"largest value is {_limits(k)}",
    "ExpectColumnStdevToBeBetween": lambda k: f"standard deviation is {_limits(k)}",
    "ExpectColumnPairValuesAToBeGreaterThanB": lambda k: (
        f"{k['column_A']} is {'at least' if k.get('or_equal') else 'above'} {k['column_B']}"
    ),
    "ExpectColumnPairValuesToBeEqual": lambda k: f"{k['column_A']} equals {k['column_B']}",
}


def in_words(check: Expectation) -> str:
    """Return what a check demands, without the name of its column."""
    known = _WORDS.get(check.expectation)
    said = known(check.kwargs) if known else _plain(check)
    if condition := check.kwargs.get("row_condition"):
        said += f" where {_condition(condition)}"
    if mostly := check.kwargs.get("mostly"):
        said += f", in at least {mostly * 100:g} % of the rows"
    return said


def _plain(check: Expectation) -> str:
    """Return the words of the name of a check we have no sentence for, and its arguments."""
    name = re.sub(r"(?<!^)(?=[A-Z])", " ", check.expectation.removeprefix("Expect")).lower()
    given = ", ".join(f"{key} {value}" for key, value in sorted(check.kwargs.items()) if key != "column")
    return f"{name}: {given}" if given else name


def _condition(condition: Any) -> str:
    if not isinstance(condition, dict):
        return str(condition)
    if condition.get("type") == "and":
        return " and ".join(_condition(part) for part in condition["conditions"])
    if condition.get("type") == "nullity":
        return f"{condition['column']['name']} is {'' if condition['is_null'] else 'not '}missing"
    name, operator = condition.get("column", {}).get("name", ""), condition.get("operator", "")
    return f"{name} {operator} {condition.get('parameter')}".strip()
