"""A task killed after each of its steps and run again leaves the tables of an undisturbed run."""

import shutil
from pathlib import Path

import pytest

from ronghe.contracts import catalogue
from ronghe.home import Home
from tests import oracles
from tests.nights import INGEST, NIGHT, JobRunner, night_by_jobs
from tests.oracles.night import night_faults

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(3600)]

KILLS = 2 * sum(len(tables) for _, tables in INGEST) + sum(len(tables) for _, tables in NIGHT)


def test_killed_night_equals_an_undisturbed_one(run_job: JobRunner, reference: Home, tmp_path: Path) -> None:
    victim = Home(tmp_path / "victim").make()
    # The same deliveries, sources to ask and random keys, so that tokens are comparable.
    for part in ("landing", "keys", "truth"):
        shutil.copytree(getattr(reference, part), getattr(victim, part), dirs_exist_ok=True)
    shutil.copy2(reference.service / "connections.yaml", victim.service)
    assert night_by_jobs(run_job, victim, killed=True) == KILLS
    for table_id in catalogue().tables:
        expected, found = (oracles.table_contents(home, table_id) for home in (reference, victim))
        assert found == expected, f"{table_id} differs"
        assert expected or table_id == "meta.destruction", f"{table_id} is empty"
    assert night_faults(victim) == []
