"""The reference pages are as the declarations make them, and a wrong page would be seen."""

from pathlib import Path

import pytest

from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.reference import cell, grid, pages, stale, write

FOLDER = builtin_folder() / "docs" / "reference"
FOUND = load_catalogue((builtin_folder(),))
PAGES = pages(FOUND)


def test_pages_are_as_the_declarations_make_them() -> None:
    assert stale(FOLDER, PAGES) == [], "docs/reference is stale: run `make docs` and commit what changed"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PAGES, "dags.md"}


@pytest.mark.parametrize("change", ["edited", "missing"])
def test_stale_page_is_named(change: str, tmp_path: Path) -> None:
    assert write(tmp_path, PAGES) == sorted(PAGES)
    assert write(tmp_path, PAGES) == []
    path = tmp_path / "sources.md"
    path.unlink() if change == "missing" else path.write_text("edited", "utf-8")
    assert stale(tmp_path, PAGES) == ["sources.md"]


def test_every_declaration_is_on_a_page() -> None:
    text = "\n".join(PAGES.values())
    for feed in FOUND.feeds.values():
        assert f"### {feed.id}" in PAGES["sources.md"]
    for table in FOUND.tables.values():
        assert f"## {table.id}\n" in PAGES[f"tables-{table.layer}.md"]
        for column in table.columns:
            assert cell(column.description) in PAGES[f"tables-{table.layer}.md"]
    for name in (*FOUND.elements, *FOUND.codesets):
        assert name in text


def test_cell_keeps_a_table_whole() -> None:
    assert grid(("a", "b"), [("x | y", "two\nlines")]).splitlines()[-1] == "| x \\| y | two lines |"
