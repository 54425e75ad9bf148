"""The clock jumps a day ahead and then back, in wrong zones: versions stay in order, and no instant or day is moved."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake

pytestmark = pytest.mark.faults

# One run under one clock: a judgement, recorded twice, and a row of a table whose commits have only the clock.
RUN = """
import sys
from datetime import UTC, datetime
from ronghe import sessions
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.quality import judgements
from ronghe.quality.checks import Result
name = sys.argv[1]
{before}
home, found = Home.find(), catalogue()
print("now", datetime.now(UTC).timestamp())
with sessions.in_process(home) as spark:
    lake = Lake(home, found, spark)
    one = judgements.Judgement("safe.place", name, name, (Result("c", "Expectation", None, "warn", True),))
    assert [judgements.record(lake, one) for _ in range(2)] == [True, False]
    spark.createDataFrame([(name,)], "name STRING").write.format("delta").mode("append").save(str(home.root / "bare"))
    day = spark.sql("SELECT CAST(to_date(TIMESTAMP'2026-03-29 01:30:00Z') AS STRING)").first()[0]
    print("day", day)
"""
# What was written before instants carried their zone.
NAIVE = """
class Naive(datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.now(zone).replace(tzinfo=None)
judgements.datetime = Naive
"""


def run(root: Path, name: str, shift: str, zone: str, before: str = "pass") -> dict[str, str]:
    """Run under a clock that is off, JVM and Python alike."""
    command = ["faketime", "-f", shift, sys.executable, "-c", RUN.format(before=before), name]
    variables = {"RONGHE_HOME": str(root), "TZ": zone, "NO_FAKE_STAT": "1"}
    # A session of Connect that another test had in this process speaks through the environment.
    here = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_CONNECT")}
    done = subprocess.run(command, env={**here, **variables}, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("now", "day")))


def commits(path: str | Path) -> list[dict[str, Any]]:
    """Return what each commit says of itself, in the order of versions."""
    names = sorted(Path(path).glob("_delta_log/*.json"))
    assert [int(name.stem) for name in names] == list(range(len(names)))
    lines = [json.loads(line) for name in names for line in name.read_text().splitlines()]
    return [line["commitInfo"] for line in lines if "commitInfo" in line]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, str], dict[str, str]]:
    if not shutil.which("faketime"):
        pytest.skip("faketime is not installed (Debian: faketime)")
    home = Home(tmp_path_factory.mktemp("clock"))
    ahead = run(home.root, "ahead", "+1d", "Asia/Shanghai")
    back = run(home.root, "back", "-1h", "America/New_York")
    run(home.root, "naive", "-1h", "Asia/Shanghai", NAIVE)
    return home, ahead, back


def test_clock_did_jump_back(after: tuple[Home, dict[str, str], dict[str, str]]) -> None:
    _, ahead, back = after
    assert float(ahead["now"]) - float(back["now"]) > 24 * 3600


def test_commits_are_in_order_whatever_the_clock_says(after: tuple[Home, dict[str, str], dict[str, str]]) -> None:
    home, _, _ = after
    stamped = [commit["inCommitTimestamp"] for commit in commits(Lake(home, catalogue()).path("meta.quality"))]
    assert len(stamped) == 4
    assert stamped == sorted(set(stamped))


def test_teeth_without_timestamps_of_their_own_commits_go_back(
    after: tuple[Home, dict[str, str], dict[str, str]],
) -> None:
    plain = [commit["timestamp"] for commit in commits(after[0].root / "bare")]
    assert plain != sorted(plain)


def test_every_write_is_there_once_and_without_an_engine_too(
    after: tuple[Home, dict[str, str], dict[str, str]],
) -> None:
    home, _, _ = after
    lake = Lake(home, catalogue())
    assert sorted(lake.rows("meta.quality")["scope"].to_pylist()) == ["ahead", "back", "naive"]
    newest = stores.open_table(lake.path("meta.quality")).history(1)[0]
    assert newest["version"] == lake.version("meta.quality") == 3


def test_instants_are_not_moved_by_a_zone(after: tuple[Home, dict[str, str], dict[str, str]]) -> None:
    home, ahead, back = after
    rows = Lake(home, catalogue()).rows("meta.quality").to_pylist()
    said = {row["scope"]: row["recorded_at"] for row in rows}
    for name, now in (("ahead", ahead["now"]), ("back", back["now"])):
        late = said[name] - datetime.fromtimestamp(float(now), UTC)
        assert timedelta(0) <= late < timedelta(minutes=10), name
    # Teeth: an instant that does not carry its zone is taken for the machine's.
    assert abs(said["naive"] - said["back"]) > timedelta(hours=7)


def test_no_row_is_moved_to_another_day_where_clocks_are_changed(
    after: tuple[Home, dict[str, str], dict[str, str]],
) -> None:
    _, ahead, back = after
    assert ahead["day"] == back["day"] == "2026-03-29"
