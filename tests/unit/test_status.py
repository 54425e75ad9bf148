"""An operator finds advice for every reason a record can be held back for."""

import ast
import inspect
from types import ModuleType

from ronghe.cli.health import ADVICE
from ronghe.contracts import rules
from ronghe.ingest import records
from ronghe.quality import replay
from ronghe.standardise import fates, standardiser

# Reasons that are no rule of a column: those a reader gives, that of records which contradict each other, and that of
# lines which outlived what was read.
DEFECTS = {records.TORN, records.UNDECODABLE_CELL, records.OVERSIZED, fates.CONTRADICTION}
DEFECTS |= {replay.DESTROYED.partition(":")[0]}


def prefixes(module: ModuleType) -> set[str]:
    """The rules a module files breaches under: what stands before the colon of its texts `rule:{column}`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.JoinedStr):
            found |= _prefixes(node.values)
    return found


def _prefixes(parts: list[ast.expr]) -> set[str]:
    first = parts[0]
    if isinstance(first, ast.Constant) and len(parts) == 2 and str(first.value).endswith(":"):
        return {str(first.value)[:-1]}
    if isinstance(first, ast.FormattedValue) and len(parts) == 3 and ast.unparse(parts[1]) == "':'":
        return {n.value for n in ast.walk(first) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return set()


def test_prefixes_are_found_where_they_are() -> None:
    assert {"required", "check", "range", "pattern", "future", "any_of"} <= prefixes(rules)
    assert prefixes(standardiser) == {"format", "code", "unit"}


def test_advice_covers_every_reason_and_no_other() -> None:
    assert set(ADVICE) == prefixes(rules) | prefixes(standardiser) | DEFECTS


def test_advice_is_one_line() -> None:
    assert all(text and "\n" not in text for text in ADVICE.values())
