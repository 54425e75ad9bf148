"""What `make` does beyond calling one program: what it removes, and which pages it writes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def clean(folder: Path, answer: str, home: str | None) -> None:
    """Run `make clean` in a folder that has nothing but the Makefile and what a test put there."""
    shutil.copy2(ROOT / "Makefile", folder)
    environment = {name: value for name, value in os.environ.items() if name not in ("RONGHE_HOME", "MAKEFLAGS")}
    environment |= {"RONGHE_HOME": home} if home else {}
    done = subprocess.run(
        ["make", "clean"], cwd=folder, env=environment, input=answer, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("home", "answer", "left"),
    [
        (None, "y\n", {"a home"}),
        ("a home", "y\n", {"data"}),
        ("a home", "n\n", {"a home", "data"}),
        ("a home", "", {"a home", "data"}),
    ],
)
def test_clean_removes_the_home_in_force_and_no_other(
    home: str | None, answer: str, left: set[str], tmp_path: Path
) -> None:
    for name in ("data", "a home"):
        (tmp_path / name / "restricted").mkdir(parents=True)
    clean(tmp_path, answer, home)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == left


def test_docs_write_every_page_that_is_held_against_the_declarations() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\ndocs:")[2].partition("\n\n")[0]
    for writer in ("ronghe.cli reference", "ronghe_airflow.reference", "ronghe.risk.sheet > docs/risk-index.md"):
        assert writer in recipe
