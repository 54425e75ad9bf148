"""Run a table's checks with Great Expectations, on a frame of our own engine.

Great Expectations on Spark asks for examples of what is unexpected: one more job for each check, and raw values in the
process. So checks of rows are asked for a yes or no, which takes one job for all of them, and only those that do not
hold are asked again for their counts, with no examples.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ronghe.contracts import ContractError, Table
from ronghe.contracts.expectations import Expectation

# GX reports its use to its makers unless told not to, and reads the setting when it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ROW_COUNT = Expectation(expectation="ExpectTableRowCountToBeBetween", kwargs={"min_value": 0})
# Measures that are no value of any row, however few rows there are.
_COUNTING = ("RowCount", "ColumnCount", "Proportion", "UniqueValueCount")


@dataclass(frozen=True)
class Result:
    """What came of a check. Counts and measures only, never a value of a row.

    `element_count` is the number of rows asked, `unexpected_count` of those that break the check; both null where a
    check is no matter of single rows. `observed` is the measure of a check of the whole table, in the column's unit.
    """

    check_id: str
    expectation: str
    column: str | None
    severity: str
    success: bool
    element_count: int | None = None
    unexpected_count: int | None = None
    observed: float | None = None

    @property
    def stops(self) -> bool:
        """Whether the data must stay back."""
        return not self.success and self.severity == "stop"

    @property
    def unexpected_pct(self) -> float | None:
        """Rows that break the check, in percent of the rows asked."""
        if self.unexpected_count is None or not self.element_count:
            return None
        return round(100 * self.unexpected_count / self.element_count, 4)

    def __str__(self) -> str:
        where = f" of {self.column}" if self.column else ""
        return f"{self.expectation}{where}: {self._found}"

    @property
    def _found(self) -> str:
        if self.unexpected_count is not None:
            return f"{self.unexpected_count} of {self.element_count} rows"
        return "does not hold" if self.observed is None else f"found {self.observed:.12g}"


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
            meta = {"severity": declared.severity, "check_id": declared.check_id}
            suite.add_expectation(kind(**declared.kwargs, meta=meta))
        except (TypeError, ValueError) as error:
            raise ContractError(f"{name}: {declared.expectation} refuses its arguments: {error}") from error
    if len(suite.expectations) != len(expectations):
        raise ContractError(f"{name}: two checks of the suite are the same; declare each once")
    return suite


def judge(table: Table, frame: "DataFrame", expectations: Sequence[Expectation]) -> tuple[Result, ...]:
    """Judge a frame and return what came of each check, in their order.

    Args:
        table: the table's contract; what it grades above L1 is not measured in the open.
        frame: the rows to judge. They are read about five times; nothing is kept in the engine.
        expectations: the table's checks.

    Raises:
        ContractError: a check is not one of GX's or could not be computed.
    """
    batch = _batch(table.id, frame)
    build_suite(table.id, expectations)
    of_rows = [check for check in expectations if _asks_rows(check)]
    of_table = [check for check in expectations if check not in of_rows]
    measured = _validate(table.id, batch, {c.check_id: c for c in (*of_table, _ROW_COUNT)}.values(), "BASIC")
    held = _validate(table.id, batch, of_rows, "BOOLEAN_ONLY")
    # `mostly` lets some rows pass: how many is worth knowing even where the check holds.
    unclear = [c for c in of_rows if not held[c.check_id].success or "mostly" in c.kwargs]
    counted = _validate(table.id, batch, unclear, "BASIC")
    rows = int(measured[_ROW_COUNT.check_id].result["observed_value"])
    found = {**measured, **held, **counted}
    return tuple(_result(table, check, found[check.check_id], rows) for check in expectations)


def _batch(name: str, frame: "DataFrame") -> Any:
    """Return the frame as GX wants it, in a context that leaves nothing behind."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark(name="engine", persist=False)
    batch = source.add_dataframe_asset(name=name).add_batch_definition_whole_dataframe("all")
    return batch.get_batch(batch_parameters={"dataframe": frame})


def _asks_rows(check: Expectation) -> bool:
    """Say whether a check looks at single rows, so that GX would show examples."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations import expectation as base

    kinds = (base.ColumnMapExpectation, base.ColumnPairMapExpectation, base.MulticolumnMapExpectation)
    return issubclass(getattr(gxe, check.expectation), kinds)


def _validate(name: str, batch: Any, checks: Iterable[Expectation], form: str) -> dict[str, Any]:
    """Return GX's results by check id.

    Raises:
        ContractError: a check could not be computed; GX's own message may quote rows and is left out.
    """
    checks = list(checks)
    if not checks:
        return {}
    asked = {"result_format": form, "partial_unexpected_count": 0, "exclude_unexpected_values": True}
    results = batch.validate(build_suite(name, checks), result_format=asked).results
    for result in results:
        if _raised(result.exception_info or {}):
            raise ContractError(f"{name}: {result.expectation_config.type} could not be computed; see the engine's log")
    return {result.expectation_config.meta["check_id"]: result for result in results}


def _raised(info: dict[str, Any]) -> bool:
    """Say whether GX caught an error; it keeps one for the check or one for each of its metrics."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(one.get("raised_exception") for one in info.values())


def _result(table: Table, check: Expectation, found: Any, rows: int) -> Result:
    """Return a result without the values GX found, which may be personal."""
    said, of_rows = found.result or {}, _asks_rows(check)
    return Result(
        check_id=check.check_id,
        expectation=check.expectation,
        column=check.kwargs.get("column"),
        severity=check.severity,
        success=bool(found.success),
        element_count=said.get("element_count", rows) if of_rows else rows,
        unexpected_count=said.get("unexpected_count", 0 if found.success else None) if of_rows else None,
        observed=_observed(table, check, said),
    )


def _observed(table: Table, check: Expectation, said: dict[str, Any]) -> float | None:
    """Return a measure, unless it may be the value of a row that is graded above L1 in the restricted half."""
    value = said.get("observed_value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    grades = {table.column(name).classification for name in check.columns if name in table.column_names}
    harmless = table.zone == "open" or grades <= {"L1"} or any(word in check.expectation for word in _COUNTING)
    return float(value) if harmless else None
