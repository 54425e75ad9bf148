"""A short way through the whole platform: two feeds, from their deliveries to a release and its database."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.simulate import simulate
from tests import oracles
from tests.faults.victim import Victim

EXTRACT = "organisations"
ORGANISATIONS, AIR = "guiyang.enterprise", "guiyang.air_quality"

# Jobs in their order with the points they are killed at, before and after for a table. Every kind of effect is among
# them: files that are staged, deliveries that are claimed, parts of tables, whole tables, merges, additions, files of a
# package, the switch to it, and a database.
BOTH = (":before", ":after")
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        f"land_deliveries={ORGANISATIONS}",
        ("ingest:fetched", "ingest:staged", "ingest:shared", "raw.guiyang__enterprise", "meta.delivery"),
    ),
    (f"standardise_deliveries={ORGANISATIONS}", ("meta.quarantine", "meta.duplicate", "std.organisation")),
    (f"accept_deliveries={ORGANISATIONS}", ("meta.quality", "meta.delivery")),
    (f"ingest_deliveries={AIR}", ("ingest:recorded",)),
    ("fuse_divisions", ("fused.division",)),
    ("fuse_organisations", ("fused.link_organisation_source", "fused.organisation")),
    ("fuse_places", ("fused.place",)),
    ("build_ecology", ("mart.ecology", "meta.mart_part")),
    ("desensitise_fused", ("safe.organisation",)),
    ("release_extracts", ("meta.quality",)),
)

JOBS = """
from importlib import import_module
from ronghe.job import run_job
for step in {steps!r}:
    verb, _, feed = step.partition("=")
    run_job(import_module("jobs." + verb).run, verb, feed_id=feed or None)
"""


def jobs(*steps: str) -> str:
    return JOBS.format(steps=steps)


def deliver(home: Home, truth: Path, days: int = 3) -> None:
    """Put the deliveries of the two feeds into a home's landing zone."""
    simulate(home.root / "all", truth, scale=0.004, days=days, seed=7)
    for feed in (ORGANISATIONS, AIR):
        source, name = feed.split(".")
        shutil.copytree(home.root / "all" / source / name, home.landing / source / name)
    shutil.rmtree(home.root / "all")


@pytest.fixture(scope="session")
def undisturbed(victim: Victim, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home of which no job was killed."""
    victim.up()
    home = Home(tmp_path_factory.mktemp("undisturbed") / "home").make()
    deliver(home, tmp_path_factory.mktemp("truth"))
    victim.must(jobs(*(job for job, _ in STEPS)), home)
    return home


def released(home: Home) -> dict[str, Any]:
    """Return what a consumer sees: the package that is up with its files, and the rows of the database."""
    folder = home.releases / EXTRACT
    current = json.loads((folder / "current.json").read_text("utf-8"))
    manifest = json.loads((folder / current["release_id"] / "manifest.json").read_text("utf-8"))
    with sqlite3.connect(home.releases / f"{EXTRACT}.sqlite") as database:
        rows = sorted(database.execute("SELECT * FROM safe_organisation").fetchall(), key=str)
        loaded = database.execute("SELECT release_id FROM ronghe_release").fetchall()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {"current": current, "manifest": manifest, "rows": rows, "loaded": loaded, "files": files}


def same(found: Home, expected: Home) -> None:
    """Hold every table and the release against those of the undisturbed home."""
    differing = [
        table_id
        for table_id in catalogue().tables
        if oracles.table_contents(found, table_id) != oracles.table_contents(expected, table_id)
    ]
    assert differing == []
    assert released(found) == released(expected)


# One organisation less: what was released is not what the tables hold.
DELETE_ONE = """
from ronghe.job import run_job
def run(ctx):
    rows = ctx.lake.read("safe.organisation").orderBy("organisation_id")
    kept = rows.offset(1)
    return int(ctx.lake.merge("safe.organisation", kept, "one organisation less"))
run_job(run, "delete_one")
"""
