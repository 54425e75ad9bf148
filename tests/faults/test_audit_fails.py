"""A check fails after the tables are built: the release that is up stays up, and a person hears what to do."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import release_extracts
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import DataStopped
from ronghe.lake import Lake
from ronghe.quality import judgements
from ronghe.quality.checks import Result
from ronghe.release import package
from tests.open_tables import PLACE, record, small_extract, write, write_livelihood

pytestmark = [pytest.mark.faults, pytest.mark.smoke]

BROKEN = Result("c", "ExpectColumnValuesToNotBeNull", "place_id", "stop", False, element_count=9, unexpected_count=4)

# The figures of the extract are about another place.
STRANGER = {**PLACE, "place_id": "plc_9"}


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A home whose one extract is up, and whose tables have changed since; every check of them holds."""
    home = Home(tmp_path).make()
    write_livelihood(home)
    found = dataclasses.replace(catalogue(), extracts={"livelihood": small_extract()})
    lake = Lake(home, found)
    monkeypatch.setattr(package, "record_release", record)
    judged(monkeypatch)
    context = SimpleNamespace(home=home, lake=lake, catalogue=found)
    assert release_extracts.run(context) == 1  # type: ignore[arg-type]
    write(home, "safe.place", [PLACE])
    return context


def judged(monkeypatch: pytest.MonkeyPatch, *results: Result) -> None:
    """Give every table these results, as Great Expectations would."""

    def judge(lake: Lake, table_id: str) -> tuple[judgements.Judgement, bool]:
        return judgements.Judgement(table_id, "version 1", "state", results), True

    monkeypatch.setattr(judgements, "judge_table", judge)


def published(home: Home) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.releases.rglob("*") if path.is_file()}


def test_stopping_check_leaves_the_release_and_tells_a_person(
    ctx: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = published(ctx.home)
    judged(monkeypatch, BROKEN)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(DataStopped, match=r"4 of 9 rows.*docs/runbooks/quality-stop\.md"),
    ):
        release_extracts.run(ctx)
    assert published(ctx.home) == before
    assert len(package.releases(ctx.lake, "livelihood")) == 1
    assert "release_failed: livelihood" in caplog.text
    judged(monkeypatch)
    assert release_extracts.run(ctx) == 1


def test_warning_stops_nothing(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, dataclasses.replace(BROKEN, severity="warn"))
    assert release_extracts.run(ctx) == 1


def test_audit_that_fails_leaves_the_release_and_tells_a_person(ctx: Any, caplog: pytest.LogCaptureFixture) -> None:
    write(ctx.home, "safe.place", [STRANGER])
    before = published(ctx.home)
    stays = r"the last one stays up.*release-failed\.md"
    with caplog.at_level(logging.WARNING), pytest.raises(DataStopped, match=stays):
        release_extracts.run(ctx)
    assert published(ctx.home) == before
    assert "release_failed: livelihood" in caplog.text


@pytest.mark.parametrize("guard", ["checks", "audit"])
def test_teeth_without_the_guard_it_would_have_gone_up(guard: str, ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if guard == "checks":
        judged(monkeypatch, BROKEN)
        monkeypatch.setattr(judgements, "stopping", lambda found: "")
    else:
        write(ctx.home, "safe.place", [STRANGER])
        monkeypatch.setattr(package, "audit", lambda *arguments: [])
    before = published(ctx.home)
    assert release_extracts.run(ctx) == 1
    assert published(ctx.home) != before
