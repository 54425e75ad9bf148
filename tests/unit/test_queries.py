"""The page of example queries: it parses, and every query fits the tables' contracts."""

from pathlib import Path

import duckdb
import pytest

from ronghe.contracts import catalogue
from tests.queries import queries, tables_of

ASKED = queries()


def test_page_asks_enough_questions_in_both_languages() -> None:
    assert len(ASKED) >= 12
    assert all(" · " in title and title.count("？") == title.count("?") == 1 for title, _ in ASKED)
    assert len({title for title, _ in ASKED}) == len(ASKED)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("## A\n\nno block\n", "'A' has 0"),
        ("## A\n\n```sql\nSELECT 1\n```\n\n```sql\nSELECT 2\n```\n", "'A' has 2"),
        ("```sql\nSELECT 1\n```\n## A\n\n```sql\nSELECT 1\n```\n", "2 blocks of SQL under 1"),
    ],
)
def test_wrong_page_is_refused(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=named):
        queries(tmp_path / "page.md")


def test_queries_come_in_order_with_their_titles(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# T\n\n## A · 甲\n\n```sql\nSELECT 1\n```\n\n## B\n\n```sql\nSELECT\n  2\n```\n", "utf-8")
    assert queries(path) == [("A · 甲", "SELECT 1"), ("B", "SELECT\n  2")]


def test_tables_are_found() -> None:
    assert tables_of("FROM mart.a JOIN safe.b_2 b ON b.mart_x = 1") == {"mart.a", "safe.b_2"}


@pytest.mark.parametrize(("title", "sql"), ASKED, ids=[title.partition(" · ")[0] for title, _ in ASKED])
def test_query_runs_on_empty_tables_of_the_contracts(title: str, sql: str) -> None:
    """Columns and types are right; the pipeline's tests run the queries on a night's tables."""
    found = catalogue().tables
    assert tables_of(sql) <= set(found)
    database = duckdb.connect()
    for table_id in tables_of(sql):
        table = found[table_id]
        database.sql(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        types = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}
        columns = ", ".join(f'"{c.name}" {types.get(c.physical_type, c.physical_type)}' for c in table.columns)
        database.sql(f"CREATE TABLE {table_id} ({columns})")
    assert database.sql(sql).fetchall() is not None
