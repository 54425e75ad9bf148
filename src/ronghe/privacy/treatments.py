"""Treatments: Presidio's operators, compiled to native Spark expressions.

A treatment is declared in Presidio's words and checked by Presidio's own validation; on a column it runs as an
expression of the engine, hundreds of times faster than a call for each value. `tests/spark/test_treatments.py` holds
each expression against the operator it stands for. Null stays null: Presidio is never asked about a missing value.
Free text is the exception: `analyze` runs Presidio itself in the engine's workers, on each distinct text once, before
the expressions (`ronghe.privacy.text`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import ContractError, Table, Treatment, catalogue
from ronghe.contracts.checks import quoted
from ronghe.privacy.operators import check_operator
from ronghe.privacy.text.columns import FreshTexts, Texts

Params = Mapping[str, Any]


def _keep(column: Column, _: Params) -> Column:
    return column


def _redact(column: Column, _: Params) -> Column:
    return F.when(column.isNotNull(), F.lit(""))


def _replace(column: Column, params: Params) -> Column:
    return F.when(column.isNotNull(), F.lit(params["new_value"]))


def _mask(column: Column, params: Params) -> Column:
    count = F.least(F.length(column), F.lit(max(int(params["chars_to_mask"]), 0)))
    hidden = F.repeat(F.lit(params["masking_char"]), count)
    if params["from_end"]:
        return F.concat(F.substring(column, F.lit(1), F.length(column) - count), hidden)
    return F.concat(hidden, F.substring(column, count + 1, F.length(column) - count))


def _hash(column: Column, params: Params) -> Column:
    salted = F.concat(F.encode(column, "UTF-8"), F.encode(F.lit(params["salt"]), "UTF-8"))
    return F.sha2(salted, 512 if params.get("hash_type") == "sha512" else 256)


EXPRESSIONS: dict[str, Callable[[Column, Params], Column]] = {
    "keep": _keep,
    "redact": _redact,
    "replace": _replace,
    "mask": _mask,
    "hash": _hash,
}


def expression(treatment: Treatment, column: Column, analysed: Mapping[str, Column] | None = None) -> Column:
    """Return a column under its treatment.

    Args:
        treatment: what happens to the column.
        column: the values.
        analysed: the column's texts under each policy that the treatment names.

    Raises:
        ContractError: the treatment lets the column not leave, or Presidio refuses its parameters.
    """
    if treatment.policy is not None:
        if treatment.policy not in (analysed or {}):
            raise ContractError(f"treatment 'analyze': nobody analysed the text under policy {treatment.policy!r}")
        treated = (analysed or {})[treatment.policy]
    else:
        treated = _native(treatment, column)
    if treatment.when is None or treatment.otherwise is None:
        return treated
    # Neither branch is for a row of unknown kind: its value does not leave.
    applies = F.col(treatment.when)
    return F.when(applies, treated).when(~applies, expression(treatment.otherwise, column, analysed))


def _native(treatment: Treatment, column: Column) -> Column:
    """Return a column under an operator that is an expression."""
    if treatment.operator not in EXPRESSIONS:
        raise ContractError(f"treatment {treatment.operator!r} lets no value leave; leave the column out")
    check_operator(treatment.operator, treatment.params)
    return EXPRESSIONS[treatment.operator](column, treatment.params)


def desensitise(frame: DataFrame, origin: Table, target: Table, texts: Texts | None = None) -> DataFrame:
    """Return the rows of a restricted table as its safe counterpart holds them.

    Args:
        frame: rows of `origin`.
        origin: the restricted table; its columns say their treatment.
        target: the safe table; its columns are some of the origin's.
        texts: who treats free text; by default every distinct text is analysed when the frame is computed.
    """
    treatments = {c.name: origin.column(c.name).treatment for c in target.columns}
    free = free_texts(origin, target)
    policies = list(free)
    for number, (policy, columns) in enumerate(free.items()):
        frame = (texts or FreshTexts(catalogue())).treat(frame, columns, policy, _suffix(number))
    return frame.select(
        *(
            expression(
                treatment,
                F.col(quoted(name)),
                {policy: F.col(quoted(name + _suffix(policies.index(policy)))) for policy in treatment.policies},
            ).alias(name)
            for name, treatment in treatments.items()
        )
    )


def free_texts(origin: Table, target: Table) -> dict[str, list[str]]:
    """Return the columns whose texts are analysed when rows cross, by the policy they are analysed under."""
    treatments = {c.name: origin.column(c.name).treatment for c in target.columns}
    policies = sorted({policy for treatment in treatments.values() for policy in treatment.policies})
    return {policy: [name for name, t in treatments.items() if policy in t.policies] for policy in policies}


def _suffix(number: int) -> str:
    """Return what marks the columns of texts under one of the policies."""
    return f"__treated_{number}"
