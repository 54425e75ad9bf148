"""Runbooks: every one that is named exists, every one that exists is named, and each says when it is done."""

import re
from pathlib import Path
from typing import get_args

import pytest

from ronghe.monitoring.notify import Event, Kind

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "runbooks"
RUNBOOKS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
DAGS = sorted(path for path in (ROOT / "dags").glob("*.py"))
NAMED = re.compile(r"docs/runbooks/([\w-]+)\.md")
# Commands that start or end the services, and those that need them.
COMMAND = re.compile(r"ronghe (up|down|run|replay|migrate(?! --dry-run))\b")
TOLD = re.compile(r'(?:Event|Notice)\(\s*"(\w+)",.*?"([a-z-]+)"\)', re.DOTALL)


def sources() -> list[Path]:
    return [p for folder in ("src", "jobs", "dags", "plugins") for p in (ROOT / folder).rglob("*.py")]


def named(text: str) -> set[str]:
    return set(NAMED.findall(text))


def told() -> list[tuple[str, str]]:
    """Kind and runbook of every event that code makes."""
    return [found for path in sources() for found in TOLD.findall(path.read_text("utf-8"))]


@pytest.mark.parametrize(
    "path", [*sources(), *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_runbook_that_is_named_exists(path: Path) -> None:
    assert named(path.read_text("utf-8")) <= {book.stem for book in RUNBOOKS}


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.stem)
def test_every_dag_page_names_a_runbook(path: Path) -> None:
    text = path.read_text("utf-8")
    if "ingest_markdown" in text:
        text = (ROOT / "plugins" / "ronghe_airflow" / "docs.py").read_text("utf-8")
    assert named(text)


def test_every_runbook_is_within_reach_of_a_dag_page() -> None:
    pages = [*DAGS, ROOT / "plugins" / "ronghe_airflow" / "docs.py"]
    reached = set().union(*(named(path.read_text("utf-8")) for path in pages))
    links = {book.stem: set(re.findall(r"\]\(([\w-]+)\.md\)", book.read_text("utf-8"))) for book in RUNBOOKS}
    for _ in RUNBOOKS:
        reached |= set().union(*(links[name] for name in reached))
    assert reached == {book.stem for book in RUNBOOKS}


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda p: p.stem)
def test_links_lead_somewhere_and_the_end_is_told(book: Path) -> None:
    text = book.read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if not (FOLDER / link).is_file()] == []
    assert text.startswith("# ")
    assert "**Done when**" in text


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda p: p.stem)
def test_what_needs_the_services_is_not_told_while_they_are_down(book: Path) -> None:
    is_up, told_too_early = True, []
    for command in COMMAND.findall(book.read_text("utf-8")):
        if command in ("up", "down"):
            is_up = command == "up"
        elif not is_up:
            told_too_early.append(command)
    assert told_too_early == []


def test_every_kind_of_event_is_told_with_a_runbook_that_exists() -> None:
    events = told()
    assert {kind for kind, _ in events} == set(get_args(Kind))
    assert {runbook for _, runbook in events} <= {book.stem for book in RUNBOOKS}


def test_event_names_the_file_of_its_runbook() -> None:
    assert (ROOT / Event("task_failed", "x", "y", "failed-task").runbook_path).is_file()
