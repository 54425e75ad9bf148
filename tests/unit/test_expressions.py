"""SQL expressions of declarations are judged before an engine meets them."""

import pytest

from ronghe.contracts.expressions import expression_fault
from ronghe.contracts.patterns import pattern_fault

# Two of them begin statements of SQL.
COLUMNS = ("a", "年 份", "comment", "set")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "A || `年 份`",
        "CASE WHEN a = 'x' THEN 1 END",
        "CAST(a AS DECIMAL(10, 2)) * 1000",
        "a RLIKE '^[(]$'",
        "transform(split(a, ','), part -> part || a)[0]",
        "a + INTERVAL 1 DAY",
        "xxhash64(a)",
        "to_utc_timestamp(a, 'Asia/Shanghai')",
        "from_utc_timestamp(a, 'Asia/Shanghai')",
        "comment || a",
        "set",
        "function_nobody_knows(a)",
        "NULL",
    ],
)
def test_an_expression_over_columns_of_a_record_is_taken(text: str) -> None:
    assert expression_fault(text, COLUMNS) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b || c || a", "speaks of b, c, which is no column of it"),
        ("substr(a, 1", "is no SQL expression"),
        ("'a", "is no SQL expression"),
        ("a b", "is no SQL expression"),
        ("a; a", "is no SQL expression"),
        ("", "is no SQL expression"),
        ("a AS x", "is no SQL expression"),
        ("(a, a)", "is no SQL expression"),
        ("DROP TABLE a", "is no SQL expression"),
        ("(SELECT 1)", "is no SQL expression"),
        ("a IN (SELECT a FROM x)", "asks for more than one record"),
        ("max(a)", "asks for more than one record"),
        ("row_number() OVER (ORDER BY a)", "asks for more than one record"),
        ("concat(a, now())", "gives another value each time it is worked out (NOW)"),
        ("rand() < 1", "gives another value each time it is worked out (RAND)"),
        ("CURRENT_DATE", "gives another value each time it is worked out (CURRENT_DATE)"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said(text: str, said: str) -> None:
    assert expression_fault(text, COLUMNS) == said


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("YYYY-MM-dd", "Y reads nothing; write y if that is meant"),
        ("yyyy-MM-ddTHH:mm", "T reads nothing; write 'T' if that is meant"),
        ("yyyy-mm-dd", "the month (M) is missing; m is a minute"),
        ("yyyy-MM-dd mm:ss", "the hour (H) of its minutes (m) is missing; a month is M"),
        ("MM-dd", "the year (y) is missing"),
        ("yyyy-MM-dd hh:mm", "an hour of twelve (h, K) says nothing without a; H is that of a day"),
        ("yyyy-MM-ddd", "ddd reads nothing; write d or dd"),
        ("yyyy-MM-DD", "D is the day of the year; that of a month is d"),
        ("yyyy-MM HH", "the day (d) of its hour is missing"),
        ("yyyy-MM-dd HH:MM", "M stands twice"),
        ("yyyy-MM-dd HH:mm:SS", "the second (s) of its fraction (S) is missing"),
        ("yyyy-MM-dd HH ss", "the minute (m) of its seconds (s) is missing"),
        ("[yyyy-]MM-dd", "the year (y) is missing"),
        ("yyyy-MM-dd]", "[ and ] do not pair"),
        ("yyyy-MM-dd HH:mm V", "V reads nothing; write VV"),
        ("yyyy-MM-dd'T", "a ' is not closed"),
        ("{yyyy}", "{ means nothing; write it between two '"),
    ],
)
def test_what_is_wrong_with_a_datetime_pattern_is_said(pattern: str, said: str) -> None:
    assert pattern_fault(pattern) == said
