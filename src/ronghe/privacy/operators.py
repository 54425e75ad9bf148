"""Presidio's anonymizers, checked before they are used."""

from collections.abc import Mapping
from typing import Any

from presidio_anonymizer.operators import OperatorsFactory, OperatorType

from ronghe.contracts import ContractError


def check_operator(name: str, params: Mapping[str, Any]) -> None:
    """Let Presidio validate an operator's parameters, and refuse what it lets pass and should not.

    Raises:
        ContractError: the parameters are refused.
    """
    operator = OperatorsFactory().create_operator_class(name, OperatorType.Anonymize)
    try:
        operator.validate(dict(params))
        # Some rules, such as the least length of a salt, are held only when a value is treated.
        operator.operate("", dict(params))
    except Exception as error:
        raise ContractError(f"Presidio refuses the treatment {name!r}: {error}") from error
    if name == "replace" and not params.get("new_value"):
        raise ContractError("treatment 'replace' needs `new_value`")
    if name == "hash" and "salt" not in params:
        raise ContractError("treatment 'hash' needs a `salt`: without it Presidio draws a new one for each value")
