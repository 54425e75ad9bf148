"""What became of every check: the trail in `meta.quality`, and the judgement of open tables that changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ronghe.contracts.ddl import schema_ddl
from ronghe.contracts.expectations import Expectation
from ronghe.lake import Lake, digest
from ronghe.quality.checks import Result, judge

TRAIL = "meta.quality"


@dataclass(frozen=True)
class Judgement:
    """The results of all checks of a table on one scope: deliveries by id, or the table's version.

    `state` names what was judged by what: an equal state gives equal results.
    """

    table_id: str
    scope: str
    state: str
    results: tuple[Result, ...]


def deliveries_scope(delivery_ids: Sequence[str]) -> str:
    """Return the scope of rows that came with the given deliveries."""
    return " ".join(sorted(delivery_ids))


def judgement_state(lake: Lake, table_id: str, scope: str, checks: Sequence[Expectation]) -> str:
    """Return the fingerprint of a judgement: the table in its state, the scope, the contract and the checks."""
    contract = lake.catalogue.table(table_id).fingerprint()
    declared = [(check.check_id, check.severity) for check in checks]
    return digest(TRAIL, table_id, scope, lake.state(table_id), contract, declared)


def record(lake: Lake, judgement: Judgement) -> bool:
    """Write a judgement, once however often it is recorded; say whether it was not there yet."""
    if lake.is_done(TRAIL, judgement.state):
        return False
    now = datetime.now(UTC)
    version = lake.catalogue.table(judgement.table_id).version
    rows = [_row(judgement, result, version, now) for result in judgement.results]
    frame = lake.spark.createDataFrame(rows, schema_ddl(lake.catalogue.table(TRAIL)))
    return lake.append(TRAIL, frame, judgement.state)


def _row(judgement: Judgement, result: Result, version: str, recorded_at: datetime) -> dict[str, Any]:
    return {
        "table_name": judgement.table_id,
        "state": judgement.state,
        "check_id": result.check_id,
        "scope": judgement.scope,
        "expectation": result.expectation,
        "column_name": result.column,
        "severity_code": result.severity,
        "is_success": result.success,
        "element_count": result.element_count,
        "unexpected_count": result.unexpected_count,
        "unexpected_pct": result.unexpected_pct,
        "observed_number": result.observed,
        "contract_version": version,
        "recorded_at": recorded_at,
    }


def recorded(lake: Lake, state: str) -> tuple[Result, ...]:
    """Return the results of a judgement that is in the trail, in no order."""
    rows = (row for row in lake.rows(TRAIL).to_pylist() if row["state"] == state)
    return tuple(
        Result(
            check_id=row["check_id"],
            expectation=row["expectation"],
            column=row["column_name"],
            severity=row["severity_code"],
            success=row["is_success"],
            element_count=row["element_count"],
            unexpected_count=row["unexpected_count"],
            observed=row["observed_number"],
        )
        for row in rows
    )


def judge_table(lake: Lake, table_id: str) -> tuple[Judgement, bool]:
    """Judge a whole table, unless it was judged as it is: then the judgement is read from the trail.

    Returns:
        The judgement, and whether it is new.
    """
    checks = lake.catalogue.expectations(table_id)
    scope = f"version {lake.version(table_id)}"
    state = judgement_state(lake, table_id, scope, checks)
    if lake.is_done(TRAIL, state):
        return Judgement(table_id, scope, state, recorded(lake, state)), False
    results = judge(lake.catalogue.table(table_id), lake.read(table_id), checks)
    judgement = Judgement(table_id, scope, state, results)
    return judgement, record(lake, judgement)


def judge_open_tables(lake: Lake) -> tuple[tuple[Judgement, ...], int]:
    """Judge every table of the open half that exists.

    Returns:
        The judgements in force, and how many of them are new.
    """
    names = [t.id for t in lake.catalogue.tables.values() if t.zone == "open" and lake.exists(t.id)]
    found = [judge_table(lake, name) for name in names]
    return tuple(judgement for judgement, _ in found), sum(new for _, new in found)


def stopping(judgements: Sequence[Judgement]) -> str:
    """Return what must hold and does not, as a sentence for each table; empty if all is well."""
    said = []
    for judgement in judgements:
        if broken := [str(result) for result in judgement.results if result.stops]:
            said.append(f"{judgement.table_id}, {judgement.scope}: {', '.join(sorted(broken))}")
    return "; ".join(said)
