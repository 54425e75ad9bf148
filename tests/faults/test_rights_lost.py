"""A folder cannot be written or read any more: the error says so, nothing half-done is left, and a retry works."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from tests.open_tables import PLACE, write

pytestmark = pytest.mark.faults

# Root may write everywhere; without these rights it is a user like any other, and the tests still reach their Python.
BOUND = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def as_user(root: Path, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as a user whom rights of files bind."""
    if BOUND and not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (Debian: util-linux)")
    return subprocess.run(
        [*BOUND, sys.executable, *(("-c", code) if code else ()), *arguments],
        env={**os.environ, "RONGHE_HOME": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@contextmanager
def without_rights(folder: Path, mode: int) -> Iterator[None]:
    kept = folder.stat().st_mode
    folder.chmod(mode)
    try:
        yield
    finally:
        folder.chmod(kept)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mount a folder over itself, for reading only."""
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if bound.returncode:
        pytest.skip("this user may not mount")
    try:
        again = ["mount", "-o", "remount,bind,ro", folder]
        if subprocess.run(again, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount read-only")
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


SIMULATE = ("-m", "ronghe.cli", "simulate", "--scale", "0.001", "--days", "1")


def test_landing_zone_that_cannot_be_written_is_said_and_a_retry_works(root: Path) -> None:
    home = Home(root).make()
    with without_rights(home.landing, 0o500):
        done = as_user(root, "", *SIMULATE)
        assert done.returncode == 1, done.stderr
        assert "cannot be written: give this user the right, or set RONGHE_HOME" in done.stderr
        assert "Traceback" not in done.stderr
        assert not [path for path in home.landing.rglob("*") if path.is_file()]
    assert as_user(root, "", *SIMULATE).returncode == 0
    assert [path for path in home.landing.rglob("*") if path.is_file()]


def test_read_only_disk_is_said_and_a_retry_works(root: Path) -> None:
    home = Home(root).make()
    with read_only(home.landing):
        done = as_user(root, "", *SIMULATE)
        assert done.returncode == 1, done.stderr
        assert "cannot be written: give this user the right, or set RONGHE_HOME" in done.stderr
    assert as_user(root, "", *SIMULATE).returncode == 0


DOCTOR = """
from ronghe.doctor import lake, machine
from ronghe.home import Home
home = Home.find()
print([(f.check, f.said) for f in (*machine.findings(home), *lake.findings(home)) if not f.ok])
"""


@pytest.mark.parametrize("name", ["restricted/landing", "restricted/engine", "open/lake", "service/logs"])
def test_doctor_names_a_folder_that_cannot_be_written(name: str, root: Path) -> None:
    Home(root).make()
    with without_rights(root / name, 0o500):
        assert f"('folder: {name}', 'this user cannot write in it')" in as_user(root, DOCTOR).stdout
    assert "folder" not in as_user(root, DOCTOR).stdout


READ = """
from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
try:
    print("rows", Lake(Home.find(), catalogue()).rows("safe.place").num_rows)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("hidden", ["_delta_log", "."])
def test_table_that_cannot_be_read_is_never_taken_for_an_empty_one(hidden: str, root: Path) -> None:
    home = Home(root).make()
    write(home, "safe.place", [PLACE])
    with without_rights(Path(Lake(home, catalogue()).path("safe.place")) / hidden, 0o000):
        said = as_user(root, READ).stdout
        assert said.strip() in ("TableDamaged", "PermissionError", "OSError"), said
        assert "table: safe.place" in as_user(root, DOCTOR).stdout
    assert as_user(root, READ).stdout == "rows 1\n"
    assert stores.is_table(Lake(home, catalogue()).path("safe.place"))


JOB = """
import contextlib
from ronghe import job, sessions
sessions.on_engine = lambda *a, **k: contextlib.nullcontext()
{before}
def run(ctx):
    raise ValueError("row content 13800000000")
try:
    job.run_job(run, "a_job")
except job.JobFailed as error:
    print(error)
"""


def test_error_is_told_without_rows_where_its_log_cannot_be_written(root: Path) -> None:
    home = Home(root).make()
    log = home.engine / "errors.log"
    log.touch()
    with without_rights(log, 0o400):
        done = as_user(root, JOB.format(before=""))
        assert "a_job failed: ValueError" in done.stdout
        assert "13800000000" not in done.stdout + done.stderr
        # Teeth: an error that escapes instead carries the row with it.
        loud = "import contextlib as c; job.suppress = lambda *kinds: c.nullcontext()"
        done = as_user(root, JOB.format(before=loud))
        assert "PermissionError" in done.stderr
        assert "13800000000" in done.stderr


def test_metrics_that_cannot_be_written_stop_no_job(root: Path) -> None:
    home = Home(root).make()
    home.metrics.mkdir()
    fine = JOB.replace('raise ValueError("row content 13800000000")', "return 7").replace(
        "job.run_job", "x = job.run_job"
    )
    with without_rights(home.metrics, 0o500):
        done = as_user(root, fine.format(before=""))
        assert done.returncode == 0, done.stderr
    assert not list(home.metrics.iterdir())
