"""Row rules: what must hold of one record, as Spark SQL predicates with the reason a breach is filed under.

One list serves quarantine (every rule) and the table's CHECK constraints (limits and short code sets), so a rule is
written once, in the contract.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from ronghe.contracts.checks import CHECKS, quoted
from ronghe.contracts.codeset import CodeSet
from ronghe.contracts.table import Column, Table

# A constraint is checked on every write; a long list of codes is left to the row rules.
_LONGEST_CONSTRAINT = 40
_QUOTED_OR_SPACE = re.compile(r"('(?:[^'\\]|\\.)*'|`[^`]*`)|\s+", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """A reason (`rule:column`) and a SQL predicate that is true for a right row; null counts as right."""

    reason: str
    predicate: str


def literal(text: str) -> str:
    """Return a text as a SQL string literal, whatever it holds."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def bare(sql: str) -> str:
    """Return SQL without the spaces between its parts: `ADD CONSTRAINT` keeps one around each of them."""
    return _QUOTED_OR_SPACE.sub(lambda found: found[1] or "", sql)


def row_rules(table: Table, timezone: str) -> tuple[Rule, ...]:
    """Return every row rule of a table over its canonical columns and `business_date`.

    A day may not lie after the delivery's business day; an instant not after the day that follows it, because a
    service day ends after midnight. Codes and formats are judged where they are parsed, by the standardiser.
    """
    rules = [rule for column in table.columns for rule in _column_rules(column, timezone)]
    for names in table.any_of:
        predicate = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in names)
        rules.append(Rule(f"any_of:{','.join(names)}", predicate))
    return tuple(rules)


def _column_rules(column: Column, timezone: str) -> list[Rule]:
    """Return the rules of one column."""
    name = quoted(column.name)
    rules = []
    if column.required:
        rules.append(Rule(f"required:{column.name}", f"{name} IS NOT NULL"))
    if column.check:
        rules.append(Rule(f"check:{column.name}", f"{name} IS NULL OR {CHECKS[column.check](column.name)}"))
    if limit := limits(column):
        rules.append(Rule(f"range:{column.name}", limit))
    if column.options.pattern:
        rules.append(Rule(f"pattern:{column.name}", f"{name} RLIKE {literal(column.options.pattern)}"))
    if column.not_after_delivery:
        local = f"CAST(from_utc_timestamp({name}, {literal(timezone)}) AS DATE)"
        date = f"{name} <= business_date"
        instant = f"{local} <= date_add(business_date, 1)"
        rules.append(Rule(f"future:{column.name}", date if column.logical_type == "date" else instant))
    return rules


def limits(column: Column) -> str | None:
    """Return the predicate of a column's smallest and largest value and length, or none."""
    name, options = quoted(column.name), column.options
    bounds = [
        (name, ">=", options.minimum),
        (name, "<=", options.maximum),
        (f"length({name})", ">=", options.min_length),
        (f"length({name})", "<=", options.max_length),
    ]
    parts = [f"{what} {sign} {_exact(bound)}" for what, sign, bound in bounds if bound is not None]
    return " AND ".join(parts) or None


def _exact(bound: float) -> str:
    """Return every digit of a bound and no exponent: Great Expectations compares with it as it is declared."""
    return format(Decimal(str(bound)).normalize(), "f")


def constraints(table: Table, codesets: dict[str, CodeSet]) -> dict[str, str]:
    """Return the table's CHECK constraints by name: limits and short code sets.

    Delta takes an unknown (null) result for a breach, so each constraint lets null pass by itself.
    """
    checks = {}
    for column in table.columns:
        if limit := limits(column):
            checks[f"{column.name}_range"] = f"{quoted(column.name)} IS NULL OR ({limit})"
        codes = codesets[column.codes].codes if column.codes else ()
        if 0 < len(codes) <= _LONGEST_CONSTRAINT:
            values = ", ".join(literal(code.code) for code in codes)
            name = quoted(column.name)
            checks[f"{column.name}_codes"] = f"{name} IS NULL OR {name} IN ({values})"
    return checks
