"""Recipes that need no engine are followed word for word, and what they declare is in force afterwards."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ronghe.contracts import ContractError, catalogue
from ronghe.contracts.catalogue import Catalogue, load_catalogue
from ronghe.contracts.evolution import Change, changes, refuse_major, refuse_version
from ronghe.contracts.shape import shape_of
from ronghe.privacy.text.desensitiser import desensitise_texts
from tests import recipes


def source(found: Catalogue) -> bool:
    return found.sources["harbin"].division_code == "230100"


def column(found: Catalogue) -> bool:
    [filled] = [c.to for c in found.feed("cyberspace.known_exploited").columns if c.name == "notes"]
    return found.table("std.known_exploited_vulnerability").column(str(filled)).element in found.elements


def code_set(found: Catalogue) -> bool:
    return ("轮渡", "bus_in") in found.codeset("swipe_kind").spellings() and "pier_kind" in found.codesets


def expectation(found: Catalogue) -> bool:
    return len(found.declared["std.pipe_incident"]) == 3


def extract(found: Catalogue) -> bool:
    return found.extract("places").table_ids == ("safe.place",)


def index(found: Catalogue) -> bool:
    return found.index("alerts").tables == ("std.network_event",)


def treatment(found: Catalogue) -> bool:
    treated = desensitise_texts(["我的停车证TC123456丢了", "编号TC123456"], found.policy("text"))
    return [one.text for one in treated] == ["我的停车证<停车证>丢了", "编号TC123456"]


DECLARED: dict[str, Callable[[Catalogue], bool]] = {
    "add-a-source.md": source,
    "add-a-column.md": column,
    "add-a-code-set.md": code_set,
    "add-an-expectation.md": expectation,
    "add-an-extract.md": extract,
    "add-an-index.md": index,
    "add-a-treatment.md": treatment,
}
COLUMN = "add-a-column.md"


def evolved(before: Catalogue, after: Catalogue) -> dict[str, tuple[Change, ...]]:
    """Return what a lake made by some declarations would change under others; raises what it would refuse."""
    found = {}
    for old in before.tables.values():
        new = after.table(old.id)
        changed = changes(shape_of(old, before.codesets), shape_of(new, after.codesets), as_read=old.layer == "raw")
        refuse_major(old.id, changed)
        refuse_version(old.id, old.version, new.version, changed)
        if changed:
            found[old.id] = changed
    return found


# What those recipes change that write code.
_CODE = ("schemas", "expectations", "dags", "jobs", "plugins", "src", "tests", "bench", "tools")


@pytest.mark.parametrize("page", DECLARED)
def test_recipe_followed_word_for_word_declares_what_it_is_for(page: str, tmp_path: Path) -> None:
    where = recipes.checkout(tmp_path)
    recipes.follow(page, where)
    assert DECLARED[page](load_catalogue(recipes.folders(where)))


@pytest.mark.parametrize("page", DECLARED)
def test_lake_takes_what_a_recipe_declares(page: str, tmp_path: Path) -> None:
    where = recipes.checkout(tmp_path)
    recipes.follow(page, where)
    found = evolved(catalogue(), load_catalogue(recipes.folders(where)))
    assert set(found) == ({"std.known_exploited_vulnerability"} if page == COLUMN else set())
    text = (recipes.FOLDER / page).read_text("utf-8")
    assert [line for t, own in found.items() for c in own if (line := f"would change {t}: {c}") not in text] == []


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("add-a-mart.md", "from jobs.build_network_event import MART as m; print(m.table_id, m.part_column)"),
        (
            "add-a-normaliser.md",
            "from ronghe.standardise.normalisers import NORMALISERS as n; print(sorted(n).index('no_hyphen'))",
        ),
    ],
)
def test_recipe_that_writes_code_leaves_code_that_runs(page: str, seen: str, tmp_path: Path) -> None:
    where = tmp_path / "checkout"
    for name in _CODE:
        shutil.copytree(recipes.ROOT / name, where / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(recipes.ROOT / "pyproject.toml", where)
    recipes.follow(page, where)
    load_catalogue((where,))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(where), str(where / "src")))}
    for arguments in (["-c", seen], ["-m", "ruff", "check", "--no-cache"]):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=where, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("Write `../my-city/schemas/extracts/x.yaml`:\n```yaml\nid: y\n```\n", ContractError),
        ("```bash\ncp schemas/not-there.yaml ../my-city\n```\n", AssertionError),
        ("Add to `schemas/classification.yaml`, before `- nowhere`:\n\n```yaml\n- z\n```\n", AssertionError),
    ],
)
def test_step_that_is_wrong_is_seen(
    step: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.md").write_text(f"# Wrong\n\n{step}", "utf-8")
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    where = recipes.checkout(tmp_path)

    def followed() -> None:
        recipes.follow("wrong.md", where)
        load_catalogue(recipes.folders(where))

    with pytest.raises(error):
        followed()
