"""The questions of `docs/queries.md`, as tests run them."""

import re
from pathlib import Path

QUERIES = Path(__file__).parents[1] / "docs" / "queries.md"

_QUESTION = re.compile(r"^## (?P<title>[^\n]+)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sql\n(?P<sql>.*?)^```$", re.MULTILINE | re.DOTALL)


def queries(path: Path = QUERIES) -> list[tuple[str, str]]:
    """Return each question and its SQL, in the page's order.

    Raises:
        ValueError: a question has no block of SQL or more than one, or a block stands under no question.
    """
    text, found = path.read_text("utf-8"), []
    for question in _QUESTION.finditer(text):
        blocks = _BLOCK.findall(question["body"])
        if len(blocks) != 1:
            raise ValueError(f"{path.name}: {question['title']!r} has {len(blocks)} blocks of SQL, not one")
        found.append((question["title"].strip(), blocks[0].strip()))
    if len(found) != text.count("```sql"):
        raise ValueError(f"{path.name}: {text.count('```sql')} blocks of SQL under {len(found)} questions")
    return found


def tables_of(sql: str) -> set[str]:
    """Return the tables of the open half that a query reads."""
    return set(re.findall(r"\b(?:safe|mart)\.[a-z][a-z0-9_]*", sql))
