"""The server dies while it merges, its answer is lost after the commit, the connection breaks off after n bytes."""

import time
from pathlib import Path

import pytest

from ronghe.home import Home
from tests.faults.victim import WITHOUT_ATTACHING, WITHOUT_IDS, Victim, await_that, folder, rows_and_writes, writes
from tests.proxy import Proxy

pytestmark = pytest.mark.faults

ROWS, MANY = 1000, 400_000
LOST_SECONDS = 60  # 10 on a quiet machine


@pytest.fixture
def home(victim: Victim, tmp_path: Path) -> Home:
    """Give an empty home that uses an engine that runs."""
    victim.up()
    return Home(tmp_path / "home").make()


def through(proxy: Proxy) -> dict[str, str]:
    # The client speaks plain text with a token only to a host that is literally `localhost`.
    return {"RONGHE_ENGINE_URL": f"sc://localhost:{proxy.port}"}


def test_server_killed_while_it_merges(victim: Victim, home: Home) -> None:
    victim.must(writes("append", ROWS, "before"), home)
    before = set(folder(home).rglob("*.parquet"))
    job = victim.begin(writes("merge", MANY), home)
    await_that(lambda: set(folder(home).rglob("*.parquet")) - before or job.poll() is not None)
    victim.kill()
    began = time.monotonic()
    _, said = job.communicate(timeout=LOST_SECONDS)
    assert job.returncode, "the fault came too late"
    assert time.monotonic() - began < LOST_SECONDS
    assert "was lost while write ran. Start it with `ronghe up`, then run write again" in said
    assert rows_and_writes(home) == (ROWS, 1), "half a merge is in the table"
    victim.up()
    victim.must(writes("merge", MANY), home)
    assert rows_and_writes(home) == (MANY, 2)
    assert victim.must(writes("merge", MANY), home).endswith("0\n"), "it was done again"


@pytest.mark.parametrize(
    ("before", "expected"),
    [pytest.param("", (ROWS, 1), marks=pytest.mark.smoke), (WITHOUT_IDS, (2 * ROWS, 2))],
    ids=["", "teeth"],
)
def test_answer_is_lost_after_the_commit(victim: Victim, home: Home, before: str, expected: tuple[int, int]) -> None:
    commit = folder(home) / "_delta_log" / f"{1:020}.json"
    with Proxy(int(victim.environment["RONGHE_ENGINE_PORT"]), lambda _: commit.exists(), heals=False) as proxy:
        lost = victim.run(before + writes(), home, **through(proxy))
    assert proxy.cuts == 1, "the fault did not fire"
    assert lost.returncode == 1
    assert "was lost while write ran" in lost.stderr
    assert rows_and_writes(home) == (ROWS, 1), "it was not committed before the answer was lost"
    victim.must(before + writes(), home)
    assert rows_and_writes(home) == expected


@pytest.mark.parametrize("attaches", [True, False], ids=["", "teeth"])
def test_connection_that_comes_back_after_the_commit_ends_the_job_well(
    victim: Victim, home: Home, attaches: bool
) -> None:
    """The write has no ids here: only that the client attaches again to what it asked for keeps it from harm."""
    code = ("" if attaches else WITHOUT_ATTACHING) + WITHOUT_IDS + writes()
    commit = folder(home) / "_delta_log" / f"{1:020}.json"
    with Proxy(int(victim.environment["RONGHE_ENGINE_PORT"]), lambda _: commit.exists(), heals=True) as proxy:
        done = victim.run(code, home, **through(proxy))
    assert proxy.cuts == 1, "the fault did not fire"
    ended_well_once = done.returncode == 0 and rows_and_writes(home) == (ROWS, 1)
    assert ended_well_once == attaches, (done.returncode, rows_and_writes(home), done.stderr[-500:])


@pytest.mark.parametrize("size", [200, 800, 1600, 2400, 4000])
def test_connection_breaks_off_and_comes_back(victim: Victim, home: Home, size: int) -> None:
    """The client attaches to what it asked for, wherever the answer broke off; nothing is done twice."""
    with Proxy(int(victim.environment["RONGHE_ENGINE_PORT"]), lambda answered: answered > size, heals=True) as proxy:
        victim.run(writes(), home, **through(proxy))
    assert proxy.cuts == 1, "the fault did not fire"
    victim.must(writes(), home)
    assert rows_and_writes(home) == (ROWS, 1)


@pytest.mark.parametrize("size", [1600, 4000])
def test_connection_breaks_off_for_good(victim: Victim, home: Home, size: int) -> None:
    with Proxy(int(victim.environment["RONGHE_ENGINE_PORT"]), lambda answered: answered > size, heals=False) as proxy:
        began = time.monotonic()
        lost = victim.run(writes(), home, **through(proxy))
        assert time.monotonic() - began < 2 * LOST_SECONDS
    assert proxy.cuts == 1, "the fault did not fire"
    assert "was lost while write ran" in lost.stderr
    victim.must(writes(), home)
    assert rows_and_writes(home) == (ROWS, 1)
