"""The checks' predicate text: its shape. What it finds is tested in tests/spark/test_normalisers.py."""

import subprocess
import sys

import pytest

from ronghe.contracts.checks import CHECKS, quoted


def test_names_are_closed() -> None:
    assert set(CHECKS) == {"uscc", "resident_id"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uscc", "`uscc`"),
        ("统一社会信用代码", "`统一社会信用代码`"),
        ("a.b c", "`a.b c`"),
        ("a`b", "`a``b`"),
        ("`) OR TRUE --", "```) OR TRUE --`"),
    ],
)
def test_quoted_makes_one_identifier(name: str, expected: str) -> None:
    assert quoted(name) == expected


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_predicate_names_the_column_only_in_quotes(check: str) -> None:
    hostile = "x`) OR TRUE --"
    text = CHECKS[check](hostile)
    assert quoted(hostile) in text
    assert hostile not in text.replace(quoted(hostile), "")


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_predicate_tests_the_shape_before_anything_else(check: str) -> None:
    text = CHECKS[check]("c")
    assert text.startswith("(CASE WHEN length(`c`) = 18 AND `c` RLIKE '^")
    assert text.endswith("WHEN `c` IS NOT NULL THEN FALSE END)")
    assert "\\" not in text, "a backslash would depend on how the session reads string literals"


def test_module_needs_no_spark() -> None:
    code = "import sys, ronghe.contracts.checks; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
