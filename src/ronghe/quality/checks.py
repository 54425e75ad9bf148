"""Run a table's checks with Great Expectations, on a frame of our own engine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ronghe.contracts import ContractError
from ronghe.contracts.expectations import Expectation

# GX reports its use to its makers unless told not to, and reads the setting when it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Failure:
    """A check that does not hold. `found` is a count or a measure, never a value of a row."""

    expectation: str
    column: str | None
    severity: str
    found: str

    def __str__(self) -> str:
        where = f" of {self.column}" if self.column else ""
        return f"{self.expectation}{where}: {self.found}"


def build_suite(name: str, expectations: Sequence[Expectation]) -> Any:
    """Return a GX suite that holds every given check.

    Raises:
        ContractError: GX knows no such check or refuses its arguments; GX itself would log it and go on without.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe

    suite = gx.ExpectationSuite(name=name)
    for declared in expectations:
        kind = getattr(gxe, declared.expectation, None)
        if kind is None:
            raise ContractError(f"{name}: Great Expectations has no {declared.expectation!r}")
        try:
            suite.add_expectation(kind(**declared.kwargs, meta={"severity": declared.severity}))
        except (TypeError, ValueError) as error:
            raise ContractError(f"{name}: {declared.expectation} refuses its arguments: {error}") from error
    if len(suite.expectations) != len(expectations):
        raise ContractError(f"{name}: two checks of the suite are the same; declare each once")
    return suite


def failures(name: str, frame: "DataFrame", expectations: Sequence[Expectation]) -> tuple[Failure, ...]:
    """Judge a frame and return the checks that do not hold.

    Args:
        name: the table's id, for messages.
        frame: the rows to judge.
        expectations: the table's checks.

    Raises:
        ContractError: a check is not one of GX's or could not be computed.
    """
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark(name="engine", persist=False)
    batch = source.add_dataframe_asset(name=name).add_batch_definition_whole_dataframe("all")
    result = batch.get_batch(batch_parameters={"dataframe": frame}).validate(
        build_suite(name, expectations), result_format="BASIC"
    )
    return tuple(_failure(name, one) for one in result.results if not one.success)


def _failure(name: str, result: Any) -> Failure:
    """Return a failed result without the values GX found, which may be personal."""
    config = result.expectation_config
    if result.exception_info and "exception_message" not in result.exception_info:
        raised = [info for info in result.exception_info.values() if info.get("raised_exception")]
        if raised:
            raise ContractError(f"{name}: {config.type} could not be computed; see the engine's log")
    found = result.result or {}
    count = found.get("unexpected_count")
    text = f"{count} of {found.get('element_count')} rows" if count is not None else _measure(found)
    return Failure(config.type, config.kwargs.get("column"), config.meta["severity"], text)


def _measure(found: dict[str, Any]) -> str:
    observed = found.get("observed_value")
    return f"found {observed}" if isinstance(observed, int | float) else "does not hold"
