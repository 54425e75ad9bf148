"""The disk is full while a delivery is staged, while a table is committed, while a release is written."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from tests import oracles
from tests.faults.chain import DELETE_ONE, ORGANISATIONS, deliver, jobs, released
from tests.faults.victim import WITHOUT_ADVICE, Victim, folder, rows_and_writes, writes

pytestmark = pytest.mark.faults

MEBIBYTES = 96
PAGE = 4096
# What is left free, in pages of 4 KiB: nothing, room for files of rows and not for the commit, and steps between.
FREE = (0, 1, 2, 4, 8, 16, 24, 32)
ADVICE = "The disk is full: docs/runbooks/disk-full.md."


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs may not be mounted here: run as root, with the right to mount")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def home(victim: Victim, disk: Path) -> Home:
    victim.up()
    return Home(disk / "home").make()


def fill(disk: Path, pages_left: int) -> Path:
    """Fill a disk but for some pages; remove the file that is returned to make room again."""
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    size = (found.f_bavail * found.f_frsize) - pages_left * PAGE
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    assert os.statvfs(disk).f_bavail * found.f_frsize <= pages_left * PAGE, "the fault did not fire"
    return ballast


def test_table_is_committed_whole_or_not_at_all(victim: Victim, home: Home, disk: Path) -> None:
    victim.must(writes("append", 10, "before"), home)
    seen, refused = set(), 0
    for number, pages in enumerate(FREE):
        before = rows_and_writes(home)
        ballast = fill(disk, pages)
        tried = victim.run(writes("append", 1000, str(number)), home)
        left = set(folder(home).rglob("*.parquet")) - seen
        if tried.returncode:
            refused += 1
            assert ADVICE in tried.stderr
            assert "write failed" in tried.stderr
            assert rows_and_writes(home) == before, f"with {pages} pages half of a write is in the table"
        seen |= left
        ballast.unlink()
        victim.must(writes("append", 1000, str(number)), home)
        assert rows_and_writes(home) == (before[0] + 1000, before[1] + 1), f"with {pages} pages"
    assert refused >= 2, "the fault did not fire"


def test_delivery_is_staged_whole_or_not_at_all(victim: Victim, home: Home, disk: Path, tmp_path: Path) -> None:
    deliver(home, tmp_path / "truth")
    land = jobs(f"land_deliveries={ORGANISATIONS}")
    ballast = fill(disk, 2)
    tried = victim.run(land, home)
    assert tried.returncode
    assert ADVICE in tried.stderr
    assert not Lake(home, catalogue()).exists("meta.delivery")
    ballast.unlink()
    victim.must(land, home)
    calm = Home(tmp_path / "calm").make()
    shutil.copytree(home.landing, calm.landing, dirs_exist_ok=True)
    victim.must(land, calm)
    for table_id in ("raw.guiyang__enterprise", "meta.delivery"):
        expected = oracles.table_contents(calm, table_id)
        assert expected
        assert oracles.table_contents(home, table_id) == expected
    assert not list(home.staging(ORGANISATIONS).iterdir())


def test_release_stays_up_when_there_is_no_room_for_the_next(
    victim: Victim, home: Home, disk: Path, undisturbed: Home
) -> None:
    shutil.copytree(undisturbed.root, home.root, dirs_exist_ok=True)
    before = released(home)
    victim.must(DELETE_ONE, home)
    ballast = fill(disk, 4)
    tried = victim.run(jobs("release_extracts"), home)
    assert tried.returncode
    assert ADVICE in tried.stderr
    assert released(home)["current"] == before["current"]
    ballast.unlink()
    victim.must(jobs("release_extracts"), home)
    after = released(home)
    assert after["current"]["release_number"] == 2
    assert len(after["rows"]) == len(before["rows"]) - 1
    assert not [path for path in after["files"] if ".staging" in path or ".tmp" in path]


def test_error_of_a_full_disk_says_nothing_to_do_without_the_advice(victim: Victim, home: Home, disk: Path) -> None:
    fill(disk, 0)
    tried = victim.run(WITHOUT_ADVICE + writes(), home)
    assert tried.returncode
    assert "disk" not in tried.stderr.replace(str(disk), "")
