"""A job killed before and after each of its effects, then run again: the tables, the releases, the database as ever."""

import shutil
from pathlib import Path

import pytest

from ronghe.crash import VARIABLE
from ronghe.home import Home
from tests import oracles
from tests.faults.chain import BOTH, DELETE_ONE, EXTRACT, STEPS, jobs, released, same
from tests.faults.victim import TABLE, WITHOUT_IDS, Victim, rows_and_writes, writes

pytestmark = pytest.mark.faults

SIGKILL = -9
RELEASE = ("half", "staged", "named", "recorded", "beside", "pointed", "emptied", "filled", "loaded")
POINTS = [
    (job, f"{name}{moment}") for job, names in STEPS for name in names for moment in (("",) if ":" in name else BOTH)
]
# `recorded` and `pointed` are passed only by the run that records.
POINTS += [("release_extracts", f"release.{EXTRACT}:{moment}") for moment in RELEASE[:3]]
POINTS += [("release_extracts", f"meta.release{moment}") for moment in BOTH]
POINTS += [("release_extracts", f"release.{EXTRACT}:{moment}") for moment in ("beside", "emptied", "filled", "loaded")]


def test_job_killed_at_each_of_its_steps_leaves_what_an_undisturbed_one_leaves(
    victim: Victim, undisturbed: Home, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home").make()
    for part in ("landing", "keys"):
        shutil.copytree(getattr(undisturbed, part), getattr(home, part), dirs_exist_ok=True)
    for job, _ in STEPS:
        for _, point in (found for found in POINTS if found[0] == job):
            killed = victim.run(jobs(job), home, **{VARIABLE: point})
            assert killed.returncode == SIGKILL, f"{job} was not killed at {point}: {killed.stderr}"
        victim.must(jobs(job), home)
    assert not list(home.engine.glob("staging/*/*")), "raw records were left in staging"
    assert oracles.table_contents(home, "mart.ecology"), "nothing was built"
    assert released(home)["rows"], "nothing was released"
    same(home, undisturbed)


@pytest.mark.parametrize("point", RELEASE)
def test_consumers_see_a_whole_release_whenever_one_is_cut_off(
    victim: Victim, undisturbed: Home, tmp_path: Path, point: str
) -> None:
    """The first release is up or the second one, with all its files; the database holds one of them."""
    home = Home(tmp_path / "home")
    shutil.copytree(undisturbed.root, home.root)
    first = released(home)
    victim.must(DELETE_ONE, home)
    killed = victim.run(jobs("release_extracts"), home, **{VARIABLE: f"release.{EXTRACT}:{point}"})
    assert killed.returncode == SIGKILL, killed.stderr
    between = released(home)
    assert between["loaded"][0][0] in (first["current"]["release_id"], between["current"]["release_id"])
    known = {file["path"] for file in between["manifest"]["files"]}
    assert {f"{between['current']['release_id']}/{path}" for path in known} <= set(between["files"])
    victim.must(jobs("release_extracts"), home)
    after = released(home)
    assert after["current"]["release_number"] == 2
    assert after["loaded"] == [(after["current"]["release_id"],)]
    assert len(after["rows"]) == len(first["rows"]) - 1
    assert not [path for path in after["files"] if ".staging" in path or ".tmp" in path]


@pytest.mark.parametrize(
    ("before", "expected"),
    [pytest.param("", (1000, 1), marks=pytest.mark.smoke), (WITHOUT_IDS, (2000, 2))],
    ids=["", "teeth"],
)
@pytest.mark.parametrize("moment", BOTH)
def test_addition_that_was_killed_is_made_once(
    victim: Victim, tmp_path: Path, moment: str, before: str, expected: tuple[int, int]
) -> None:
    victim.up()
    home = Home(tmp_path / "home").make()
    killed = victim.run(before + writes(), home, **{VARIABLE: f"{TABLE}{moment}"})
    assert killed.returncode == SIGKILL
    victim.must(before + writes(), home)
    assert rows_and_writes(home) == ((1000, 1) if moment == ":before" else expected)
