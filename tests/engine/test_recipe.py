"""The recipe for a new feed, followed word for word: its own code blocks are what is run."""

import os
import re
from pathlib import Path

import pytest

from ronghe.contracts.catalogue import builtin_folder, load_catalogue, load_sources
from ronghe.home import Home
from tests import oracles
from tests.nights import ROOT, JobRunner

pytestmark = pytest.mark.engine

RECIPE = ROOT / "docs" / "recipes" / "add-a-feed.md"
SAMPLE = ROOT.parent / "shared" / "data" / "feeds" / "poi" / "kindergarten.csv"
MADE = """name,address,adname,pname,type,lat,lon
思南路幼儿园,皋兰路11号,黄浦区,上海市,科教文化服务;学校;幼儿园,31.2185,121.4616
蓬莱路幼儿园,蓬莱路82号,黄浦区,上海市,科教文化服务;学校;幼儿园,31.2203,121.4875
蓬莱路幼儿园,蓬莱路82号,黄浦区,上海市,科教文化服务;学校;幼儿园,31.2203,121.4875
无名氏托儿所,某路1号,黄浦区,上海市,科教文化服务;学校;托儿所,31.2203,121.4875
"""


@pytest.fixture
def declarations(tmp_path: Path) -> Path:
    """Write the files the recipe tells to write, from its own words."""
    text = RECIPE.read_text("utf-8")
    told = re.findall(r"Write `\.\./my-city/([^`]+)`.*?```yaml\n(.*?)```", text, re.DOTALL)
    assert [path for path, _ in told] == [
        "schemas/sources/shanghai/source.yaml",
        "schemas/sources/shanghai/kindergarten.odcs.yaml",
    ]
    for path, content in told:
        target = tmp_path / "my-city" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, "utf-8")
    return tmp_path / "my-city"


def _take_in(run_job: JobRunner, home: Home, declarations: Path) -> None:
    schemas = {"RONGHE_SCHEMAS": os.pathsep.join(("builtin", str(declarations)))}
    for job in ("land_deliveries", "standardise_deliveries", "accept_deliveries"):
        done = run_job(home, job, "--feed", "shanghai.kindergarten", **schemas)
        assert done.returncode == 0, done.stderr
    for job in ("fuse_divisions", "fuse_places", "desensitise_fused"):
        assert run_job(home, job, **schemas).returncode == 0


def _deliver(home: Home, content: str) -> None:
    folder = home.landing / "shanghai" / "kindergarten" / "2026-11-22"
    folder.mkdir(parents=True)
    (folder / "kindergarten.csv").write_text(content, "utf-8")


def test_recipe_adds_a_source_with_a_dag_and_a_feed(declarations: Path) -> None:
    folders = (builtin_folder(), declarations)
    assert "shanghai" in load_sources(folders)
    assert load_catalogue(folders).feed("shanghai.kindergarten").target == "std.place"


def test_recipe_takes_in_a_feed_by_declarations_alone(run_job: JobRunner, declarations: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    _deliver(home, MADE)
    _take_in(run_job, home, declarations)
    places = oracles.database(home, "safe.place", "meta.quarantine", "meta.duplicate")
    rows = places.sql("SELECT place_name, place_kind_code FROM safe_place ORDER BY 1").fetchall()
    assert rows == [("思南路幼儿园", "kindergarten"), ("蓬莱路幼儿园", "kindergarten")]
    assert places.sql("SELECT record_number, reasons FROM meta_quarantine").fetchall() == [(4, "code:place_kind_code")]
    assert places.sql("SELECT record_number, kept_record_number FROM meta_duplicate").fetchall() == [(3, 2)]


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not beside this checkout")
def test_recipe_takes_in_the_real_sample(run_job: JobRunner, declarations: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    _deliver(home, SAMPLE.read_text("utf-8"))
    _take_in(run_job, home, declarations)
    places = oracles.database(home, "std.place", "safe.place", "meta.quarantine", "meta.duplicate")
    counts = {
        name: places.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        for name in ("std_place", "meta_quarantine", "meta_duplicate", "safe_place")
    }
    assert counts["std_place"] + counts["meta_quarantine"] + counts["meta_duplicate"] == 2284
    assert counts["meta_quarantine"] == 0
    assert 2200 < counts["safe_place"] <= 2284
