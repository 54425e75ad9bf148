"""A table's log or files are damaged: the doctor names it, reading is loud, and what the runbook says mends it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ronghe import stores
from ronghe.cli import app
from ronghe.contracts import catalogue
from ronghe.doctor import lake as doctor
from ronghe.doctor import releases
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.release.package import release_extract
from ronghe.remedies import TableDamaged
from tests.open_tables import PLACE, append, record, small_extract, write, write_livelihood

pytestmark = pytest.mark.faults

TABLE = "safe.place"
VERSIONS = 4


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a table of five versions, one row each, and a checkpoint of the third."""
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    home = Home(tmp_path).make()
    write(home, TABLE, [PLACE])
    for number in range(1, VERSIONS + 1):
        append(home, TABLE, [{**PLACE, "place_id": f"plc_{number}"}])
        if number == 2:
            stores.open_table(Lake(home, catalogue()).path(TABLE)).create_checkpoint()
    return home


@pytest.fixture
def folder(home: Home) -> Path:
    return home.open_lake / "safe" / "place"


def log(folder: Path, name: str) -> Path:
    return folder / "_delta_log" / name


def commit(folder: Path, version: int) -> Path:
    return log(folder, f"{version:020}.json")


def checkpoint(folder: Path) -> Path:
    return log(folder, f"{2:020}.checkpoint.parquet")


def data(folder: Path) -> Path:
    return min(folder.glob("*.parquet"))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def lose_lines(folder: Path) -> None:
    """Leave the newest commit without its rows, beside what Spark says the table should come to."""
    newest = commit(folder, VERSIONS)
    table = stores.open_table(str(folder))
    sizes = table.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    said = {"numFiles": len(sizes), "tableSizeBytes": sum(sizes)}
    newest.with_suffix(".crc").write_text(json.dumps(said))
    newest.write_text("".join(line for line in newest.read_text().splitlines(True) if '"add"' not in line))


Damage = Callable[[Path], Any]
# What is done, what the doctor says, and whether a reader must be stopped: what he reads would be wrong.
DAMAGES: dict[str, tuple[Damage, str, bool]] = {
    "newest commit empty": (lambda f: commit(f, VERSIONS).write_text(""), f"{VERSIONS:020}.json is empty", True),
    "newest commit cut off": (lambda f: cut_off(commit(f, VERSIONS)), "is cut off or damaged in line", True),
    "newest commit lost lines": (lose_lines, "has lost lines", True),
    "commit gone": (lambda f: commit(f, VERSIONS - 1).unlink(), "lacks version 3", True),
    "old commit gone": (lambda f: commit(f, 1).unlink(), "lacks version 1", False),
    "hint is garbage": (lambda f: log(f, "_last_checkpoint").write_text("{"), "_last_checkpoint cannot be read", False),
    "checkpoint gone": (lambda f: checkpoint(f).unlink(), "whose checkpoint is missing", True),
    "checkpoint is garbage": (lambda f: checkpoint(f).write_text("x"), "checkpoint.parquet cannot be read", True),
    "rows gone": (lambda f: data(f).unlink(), "1 of 5 files of rows are missing", True),
    "rows cut off": (lambda f: cut_off(data(f)), "1 of 5 files of rows are not of their size", True),
    "log gone": (lambda f: shutil.rmtree(f / "_delta_log"), "no log that this user can read", True),
}


def read(home: Home) -> int:
    return int(Lake(home, catalogue()).rows(TABLE).num_rows)


def wrong(home: Home) -> list[str]:
    return [finding.said for finding in doctor.findings(home) if not finding.ok]


def test_a_sound_lake_is_well(home: Home) -> None:
    assert [(finding.check, finding.ok) for finding in doctor.findings(home)] == [(f"table: {TABLE}", True)]
    assert read(home) == VERSIONS + 1


@pytest.mark.smoke
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_never_read_as_sound(name: str, home: Home, folder: Path) -> None:
    damage, said, stops = DAMAGES[name]
    damage(folder)
    assert any(said in found for found in wrong(home)), wrong(home)
    if stops:
        with pytest.raises(TableDamaged, match=r"Run `ronghe doctor`, then see docs/runbooks/damaged-table.md"):
            read(home)
    else:
        assert read(home) == VERSIONS + 1


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["newest commit empty", "newest commit lost lines"])
def test_teeth_without_our_look_at_the_newest_commit_rows_vanish_silently(
    name: str, home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DAMAGES[name][0](folder)
    monkeypatch.setattr(stores, "_refuse_lost_commit", lambda path, table: None)
    assert read(home) == VERSIONS


def test_teeth_without_our_look_for_rows_a_table_without_a_log_is_read_as_empty(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DAMAGES["log gone"][0](folder)
    monkeypatch.setattr(stores, "files", lambda folder, names=None: {})
    assert read(home) == 0


def test_command_ends_with_one_and_says_what_to_do(home: Home, folder: Path) -> None:
    assert json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    DAMAGES["rows gone"][0](folder)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert f"NO  table: {TABLE}: 1 of 5 files of rows are missing" in done.stdout
    assert "See docs/runbooks/damaged-table.md" in done.stdout


def test_removing_the_newest_commit_gives_the_version_before_it(home: Home, folder: Path) -> None:
    commit(folder, VERSIONS).write_text("")
    commit(folder, VERSIONS).unlink()
    assert wrong(home) == []
    assert read(home) == VERSIONS


@pytest.mark.parametrize("name", ["hint is garbage", "checkpoint gone", "checkpoint is garbage"])
def test_removing_hint_and_checkpoint_loses_nothing(name: str, home: Home, folder: Path) -> None:
    DAMAGES[name][0](folder)
    log(folder, "_last_checkpoint").unlink()
    checkpoint(folder).unlink(missing_ok=True)
    assert wrong(home) == []
    assert read(home) == VERSIONS + 1


def test_removing_old_commits_under_a_checkpoint_loses_nothing(home: Home, folder: Path) -> None:
    commit(folder, 1).write_text("")
    for version in (0, 1):
        commit(folder, version).unlink()
    assert wrong(home) == []
    assert read(home) == VERSIONS + 1


@pytest.mark.parametrize("lost", ["current.json", "a file", "the package"])
def test_release_that_is_damaged_is_named_and_made_again(lost: str, home: Home) -> None:
    write_livelihood(home)
    lake, extract = Lake(home, catalogue()), small_extract()
    release_extract(lake, extract, record)
    folder = home.releases / extract.id
    assert [finding.ok for finding in releases.findings(home)] == [True]
    current = json.loads((folder / "current.json").read_text())["release_id"]
    if lost == "current.json":
        (folder / "current.json").write_text("{")
    elif lost == "a file":
        next((folder / current / "data").iterdir()).write_text("x")
    else:
        shutil.rmtree(folder / current)
    [finding] = releases.findings(home)
    assert not finding.ok
    if lost == "a file":
        shutil.rmtree(folder / current)  # as the runbook says
    release_extract(lake, extract, record)
    assert [finding.ok for finding in releases.findings(home)] == [True]
    assert json.loads((folder / "current.json").read_text())["release_id"] == current
