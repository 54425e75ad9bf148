"""A task killed after each of its steps and run again leaves the tables of an undisturbed run."""

import shutil
from pathlib import Path

import pytest

from ronghe.contracts import catalogue
from ronghe.home import Home
from tests import oracles
from tests.engine.conftest import JobRunner, night_by_jobs

pytestmark = pytest.mark.engine


def test_killed_night_equals_an_undisturbed_one(run_job: JobRunner, reference: Home, tmp_path: Path) -> None:
    victim = Home(tmp_path / "victim").make()
    # The same deliveries and the same random keys, so that tokens are comparable.
    for part in ("landing", "keys", "truth"):
        shutil.copytree(getattr(reference, part), getattr(victim, part), dirs_exist_ok=True)
    assert night_by_jobs(run_job, victim, killed=True) == 24
    for table_id in catalogue().tables:
        expected, found = (oracles.table_contents(home, table_id) for home in (reference, victim))
        assert found == expected, f"{table_id} differs"
        assert expected or table_id in ("std.place",), f"{table_id} is empty"
    for faults in (oracles.conservation_faults, oracles.fate_faults, oracles.twice_faults):
        assert faults(victim) == []
    for faults in (oracles.passenger_flow_faults, oracles.social_security_faults, oracles.disclosure_faults):
        assert faults(victim) == []
