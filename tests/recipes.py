"""A recipe is followed as a reader would: files are written and commands are run as its page says, beside a copy."""

import re
import subprocess
from pathlib import Path

from ronghe.contracts.catalogue import builtin_folder

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "recipes"
# What needs an engine, Airflow or a lake; and `ronghe status`, of which a test does the part that reads declarations.
SERVICES = re.compile(r"^(make |\.venv/bin/|cat data/)")
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_WRITE = re.compile(r"^Write `([^`]+)`", re.MULTILINE)
_ADD = re.compile(r"Add to `([^`]+)`, before `([^`]+)`:\s*\Z")


def checkout(folder: Path) -> Path:
    """Give a folder that looks like the checkout, so that `../my-city` is beside it and nothing of ours is written."""
    found = folder / "checkout"
    found.mkdir()
    for name in ("schemas", "expectations"):
        (found / name).symlink_to(ROOT / name)
    return found


def folders(where: Path) -> tuple[Path, ...]:
    """Return the folders of declarations in force after a recipe."""
    return (builtin_folder(), where.parent / "my-city")


def follow(page: str, where: Path) -> None:
    """Write the files and run the commands of a page, in its order; lines that need services are left out."""
    text = (FOLDER / page).read_text("utf-8")
    for block in _BLOCK.finditer(text):
        language, content = block.groups()
        before = text[: block.start()].split("```")[-1]
        if place := _ADD.search(before):
            _add(where / place[1], place[2].strip(), content)
        elif language == "bash":
            lines = content.splitlines(keepends=True)
            _run("".join(line for line in lines if not SERVICES.search(line)), where, page)
        elif place := _WRITE.search(before):
            (where / place[1]).parent.mkdir(parents=True, exist_ok=True)
            (where / place[1]).write_text(content, "utf-8")


def _add(path: Path, mark: str, content: str) -> None:
    """Add lines before the first one that holds the mark."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if mark in line), None)
    assert at is not None, f"{path} has no line with {mark}"
    path.write_text("".join([*lines[:at], content, *lines[at:]]), "utf-8")


def _run(commands: str, where: Path, page: str) -> None:
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{page}: {commands}{done.stdout}{done.stderr}"
