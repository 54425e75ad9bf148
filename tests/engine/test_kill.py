"""A task killed after each of its steps and run again leaves the tables of an undisturbed run."""

import shutil

import pytest

from ronghe.contracts import catalogue
from ronghe.crash import VARIABLE
from ronghe.home import Home
from ronghe.simulate import simulate
from tests import oracles
from tests.engine.conftest import JobRunner

pytestmark = pytest.mark.engine

SIGKILL = -9
FEED = "shenzhen.swipe"
OTHERS = ("guiyang.enterprise", "nanjing.social_security")

# Each job with the tables it writes, in the order it writes them.
INGEST = (
    ("land_deliveries", ("raw.shenzhen__swipe", "meta.delivery")),
    ("standardise_deliveries", ("meta.quarantine", "meta.duplicate", "std.swipe")),
    ("accept_deliveries", ("meta.delivery",)),
)
NIGHT = (
    ("fuse_divisions", ("fused.division",)),
    ("fuse_organisations", ("fused.link_organisation_source", "fused.organisation")),
    ("fuse_places", ("fused.link_place_source", "fused.place")),
    ("desensitise_fused", ("safe.division", "safe.organisation", "safe.place")),
    ("build_passenger_flow", ("mart.passenger_flow", "meta.gate_audit")),
    ("build_social_security", ("mart.social_security", "meta.gate_audit")),
)


def _night(run_job: JobRunner, home: Home, *, killed: bool) -> int:
    """Run every job of a night on a home, killed at each step first where asked; return how often it was killed."""
    kills = 0
    ingest = [(job, tables, FEED) for job, tables in INGEST]
    ingest += [(job, (), feed) for feed in OTHERS for job, _ in INGEST]
    for job, tables, feed in [*ingest, *((job, tables, None) for job, tables in NIGHT)]:
        arguments = ("--feed", feed) if feed else ()
        points = [f"{table}:{moment}" for table in tables for moment in ("before", "after")] if killed else []
        for point in points:
            done = run_job(home, job, *arguments, **{VARIABLE: point})
            assert done.returncode == SIGKILL, f"{job} was not killed at {point}: {done.stderr}"
            kills += 1
        done = run_job(home, job, *arguments)
        assert done.returncode == 0, f"{job}: {done.stderr}"
    return kills


def test_killed_night_equals_an_undisturbed_one(run_job: JobRunner, tmp_path_factory: pytest.TempPathFactory) -> None:
    reference, victim = (Home(tmp_path_factory.mktemp(name)).make() for name in ("reference", "victim"))
    simulate(reference.landing, reference.truth, scale=0.004, days=10)
    assert _night(run_job, reference, killed=False) == 0
    # The same deliveries and the same random keys, so that tokens are comparable.
    for part in ("landing", "keys", "truth"):
        shutil.copytree(getattr(reference, part), getattr(victim, part), dirs_exist_ok=True)
    assert _night(run_job, victim, killed=True) >= 30
    for table_id in catalogue().tables:
        expected, found = (oracles.table_contents(home, table_id) for home in (reference, victim))
        assert found == expected, f"{table_id} differs"
        assert expected or table_id in ("std.place",), f"{table_id} is empty"
    for faults in (oracles.conservation_faults, oracles.fate_faults, oracles.twice_faults):
        assert faults(victim) == []
    for faults in (oracles.passenger_flow_faults, oracles.social_security_faults, oracles.disclosure_faults):
        assert faults(victim) == []
