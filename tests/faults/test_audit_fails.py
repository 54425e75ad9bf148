"""A check fails after the tables are built: the release that is up stays up, and a person hears what to do."""

import dataclasses
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import release_extracts
from ronghe.contracts import ContractError, Extract, catalogue
from ronghe.home import Home
from ronghe.job import DataStopped, JobFailed
from ronghe.lake import Lake
from ronghe.quality import judgements
from ronghe.quality.checks import Result
from ronghe.release import package
from tests.open_tables import PLACE, record, small_extract, write, write_livelihood

pytestmark = [pytest.mark.faults, pytest.mark.smoke]

BROKEN = Result("c", "ExpectColumnValuesToNotBeNull", "place_id", "stop", False, element_count=9, unexpected_count=4)

# Extracts in the order they are released, and what no message may hold.
ORDER = ("first", "second")
ROW = "FCA0000001"

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


def no_address(ctx: Any, monkeypatch: pytest.MonkeyPatch, extract: Extract) -> Extract:
    monkeypatch.delenv("RONGHE_CONNECTION_NOWHERE", raising=False)
    return extract.model_copy(update={"connection": "nowhere"})


def damaged_table(ctx: Any, monkeypatch: pytest.MonkeyPatch, extract: Extract) -> Extract:
    log = Path(ctx.lake.path("safe.division")) / "_delta_log"
    newest = max(log.glob("*.json"))
    newest.write_text("")
    return extract


def check_without_an_answer(ctx: Any, monkeypatch: pytest.MonkeyPatch, extract: Extract) -> Extract:
    judge = judgements.judge_table

    def without_an_answer(lake: Lake, table_id: str) -> tuple[judgements.Judgement, bool]:
        if table_id == "safe.division":
            raise ContractError("a check could not be computed")
        return judge(lake, table_id)

    monkeypatch.setattr(judgements, "judge_table", without_an_answer)
    return extract


def fault_of_a_library(ctx: Any, monkeypatch: pytest.MonkeyPatch, extract: Extract) -> Extract:
    release = package.release_extract

    def quoting(lake: Lake, wanted: Extract, *recording: Any) -> str | None:
        if wanted.id == extract.id:
            raise ValueError(f"a row with {ROW}")
        return release(lake, wanted, *recording)

    monkeypatch.setattr(package, "release_extract", quoting)
    return extract


@pytest.mark.parametrize(
    ("spoil", "raised", "said"),
    [
        (no_address, DataStopped, "connection 'nowhere' is unknown"),
        (damaged_table, DataStopped, r"safe/division is damaged"),
        (check_without_an_answer, DataStopped, "a check could not be computed"),
        (fault_of_a_library, ValueError, "it failed with ValueError"),
    ],
)
def test_extract_that_fails_holds_back_no_other_and_no_figures(
    spoil: Any, raised: type[Exception], said: str, ctx: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    whole = small_extract()
    ones = {name: [t for t in whole.tables if (t.table == "safe.division") == (name == "first")] for name in ORDER}
    first, second = (whole.model_copy(update={"id": name, "tables": tuple(ones[name])}) for name in ORDER)
    first = spoil(ctx, monkeypatch, first)
    ctx.catalogue = dataclasses.replace(ctx.catalogue, extracts={"first": first, "second": second})
    (ctx.home.metrics / "ronghe.prom").unlink()
    with caplog.at_level(logging.WARNING), pytest.raises(raised, match=said if raised is DataStopped else ROW):
        release_extracts.run(ctx)
    assert (ctx.home.releases / "second" / "current.json").is_file()
    assert (ctx.home.releases / "second.sqlite").is_file()
    assert 'ronghe_table_rows{table="safe.place"}' in (ctx.home.metrics / "ronghe.prom").read_text()
    assert re.search(f"release_failed: first: .*{said}", caplog.text)
    assert ROW not in caplog.text


def test_database_that_is_away_may_be_mended_by_a_retry(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_RELEASE_URL_LIVELIHOOD", "postgresql+psycopg://ronghe@127.0.0.1:1/none")
    with pytest.raises(JobFailed, match="into its database failed"):
        release_extracts.run(ctx)
