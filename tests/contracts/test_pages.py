"""The lists of pages for those who carry on are whole, and no link in the documentation leads nowhere."""

import re
from pathlib import Path

import pytest

from ronghe.reference import decisions

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def lost_links(path: Path) -> list[str]:
    """Return the links of a page to files that are not there; what is in a code block is no link."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    return [link for link in LINK.findall(text) if "://" not in link and not (path.parent / link).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    assert lost_links(path) == []


def test_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md) [b](page.md#there) [c](gone.md) [d](https://example.org/x.md)", "utf-8")
    assert lost_links(page) == ["gone.md"]


@pytest.mark.parametrize("folder", ["decisions", "recipes", "runbooks"])
def test_list_of_a_folder_is_whole(folder: str) -> None:
    pages = {path.name for path in (ROOT / "docs" / folder).glob("*.md")} - {"README.md"}
    listed = LINK.findall((ROOT / "docs" / folder / "README.md").read_text("utf-8"))
    assert {link for link in listed if "/" not in link} == pages


def test_list_of_decisions_is_as_make_docs_writes_it() -> None:
    folder = DECISIONS[0].parent
    assert (folder / "README.md").read_text("utf-8") == decisions(folder)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])
def test_decision_bears_its_number_and_says_what_it_is_about(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.match(rf"# {int(path.name[:4])}\. \S", text)
    assert "**Decision.**" in text or "**Context.**" in text
