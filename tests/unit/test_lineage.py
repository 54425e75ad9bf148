"""Lineage: what a job read and wrote through the lake, as events that the OpenLineage classes read back."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from deltalake import write_deltalake
from openlineage.client import event_v2

from ronghe import lineage, sessions
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import JobContext, JobFailed, run_job
from ronghe.lake import Lake
from tests.open_tables import FLOW, PLACE, write
from tests.oracles.soundness import lineage_faults

ROW = "FCA0000001,张三,32010219000101001X"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    @contextmanager
    def session(*_: object) -> Iterator[object]:
        yield object()

    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sessions, "on_engine", session)
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path))
    home = Home(tmp_path).make()
    write(home, "safe.place", [PLACE])
    write(home, "safe.place", [PLACE])
    return home


def events(home: Home) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(home.lineage.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


def names(datasets: list[dict[str, Any]]) -> list[str]:
    return [dataset["name"] for dataset in datasets]


def flow_from_places(ctx: JobContext) -> int:
    """Read one table twice and write another, as a job does."""
    ctx.lake.rows("safe.place")
    ctx.lake.dataset("safe.place")
    write(ctx.home, "mart.passenger_flow", [FLOW])
    ctx.lake.accesses.written["mart.passenger_flow"] = 0
    return 1


def test_run_is_started_and_completed_with_what_it_read_and_wrote(home: Home) -> None:
    run_job(flow_from_places, "build_passenger_flow")
    start, complete = events(home)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert complete["job"]["namespace"] == "ronghe"
    assert complete["job"]["name"] == "build_passenger_flow"
    assert (names(start["inputs"]), names(start["outputs"])) == ([], [])
    [place], [flow] = complete["inputs"], complete["outputs"]
    assert (place["namespace"], place["name"], place["facets"]["version"]["datasetVersion"]) == (
        "ronghe",
        "safe.place",
        "1",
    )
    assert flow["name"] == "mart.passenger_flow"


def test_schema_facet_is_the_contract(home: Home) -> None:
    run_job(flow_from_places, "build_passenger_flow")
    [flow] = events(home)[-1]["outputs"]
    columns = catalogue().table("mart.passenger_flow").columns
    assert [(f["name"], f["type"], f["description"]) for f in flow["facets"]["schema"]["fields"]] == [
        (c.name, c.physical_type, c.description) for c in columns
    ]


def test_landing_place_of_a_feed_is_what_its_raw_table_comes_from(home: Home) -> None:
    feed = next(iter(catalogue().feeds.values()))

    def land(ctx: JobContext) -> int:
        write_deltalake(ctx.lake.path(ctx.feed.raw_table), catalogue_rows())
        ctx.lake.accesses.written[ctx.feed.raw_table] = 0
        return 1

    run_job(land, "land_deliveries", feed_id=feed.id)
    complete = events(home)[-1]
    assert complete["job"]["name"] == f"land_deliveries.{feed.id}"
    assert names(complete["inputs"]) == [f"landing/{feed.source_code}/{feed.landing}"]
    assert names(complete["outputs"]) == [feed.raw_table]


def catalogue_rows() -> Any:
    import pyarrow as pa

    return pa.table({"delivery_id": ["d"]})


def test_job_that_touches_nothing_is_recorded_too(home: Home) -> None:
    assert run_job(lambda ctx: 0, "fuse_places") == 0
    assert [(e["eventType"], e["inputs"], e["outputs"]) for e in events(home)] == [
        ("START", [], []),
        ("COMPLETE", [], []),
    ]


def test_failed_run_says_which_kind_of_error_and_quotes_no_row(home: Home) -> None:
    def fail(ctx: JobContext) -> int:
        ctx.lake.rows("safe.place")
        raise ValueError(ROW)

    with pytest.raises(JobFailed):
        run_job(fail, "fuse_places")
    failed = events(home)[-1]
    assert failed["eventType"] == "FAIL"
    assert names(failed["inputs"]) == ["safe.place"]
    assert failed["run"]["facets"]["errorMessage"]["message"] == "JobFailed"
    text = "".join(path.read_text("utf-8") for path in home.lineage.glob("*.jsonl"))
    assert not [part for part in ROW.split(",") if part in text]
    assert PLACE["place_name"] not in text


def test_events_are_of_the_librarys_own_classes(home: Home) -> None:
    """Every key of an event is one its class declares, and the classes' own validators take the values."""
    run_job(flow_from_places, "build_passenger_flow")
    for event in events(home):
        run, job = event_v2.Run(event["run"]["runId"]), event_v2.Job(event["job"]["namespace"], event["job"]["name"])
        UUID(event["run"]["runId"])
        again = event_v2.RunEvent(
            eventTime=event["eventTime"],
            eventType=event_v2.RunState[event["eventType"]],
            run=run,
            job=job,
            producer=event["producer"],
        )
        assert set(event) <= {field.name for field in attrs.fields(event_v2.RunEvent)}
        assert again.schemaURL == event["schemaURL"]
        for kind, datasets in ((event_v2.InputDataset, event["inputs"]), (event_v2.OutputDataset, event["outputs"])):
            for dataset in datasets:
                assert set(dataset) <= {field.name for field in attrs.fields(kind)}
                assert all(facet["_schemaURL"] and facet["_producer"] for facet in dataset["facets"].values())


def test_lineage_that_fails_is_a_warning(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", "/proc/no/such/folder/events")
    assert run_job(lambda ctx: 7, "fuse_places") == 7
    assert "lineage of fuse_places (START) was not recorded" in caplog.text
    assert "lineage of fuse_places (COMPLETE) was not recorded" in caplog.text


def test_environment_names_another_transport(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "own.jsonl"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    run_job(lambda ctx: 0, "fuse_places")
    assert events(home) == []
    assert len((tmp_path / "own.jsonl").read_text("utf-8").splitlines()) == 2


def test_disabled_lineage_writes_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    run_job(lambda ctx: 0, "fuse_places")
    assert events(home) == []


def test_lake_notes_the_version_of_the_first_read(home: Home) -> None:
    lake = Lake(home, catalogue())
    lake.rows("meta.delivery")
    lake.rows("safe.place")
    write(home, "safe.place", [PLACE])
    lake.snapshot("safe.place")
    assert lake.accesses.read == {"safe.place": 1}


def killed_at_work(home: Home) -> None:
    """Run a job in a child of this process that dies without a word."""
    child = os.fork()
    if not child:
        run_job(lambda _: os.kill(os.getpid(), signal.SIGKILL), "fuse_places")
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_run_that_was_killed_is_aborted_by_the_next_one_and_a_running_one_is_not(home: Home) -> None:
    killed_at_work(home)
    assert [e["eventType"] for e in events(home)] == ["START"]
    run_job(lambda _: run_job(lambda _: 0, "fuse_events"), "fuse_assets")
    told = [(e["eventType"], e["job"]["name"]) for e in events(home)]
    assert told.count(("ABORT", "fuse_places")) == 1
    assert ("ABORT", "fuse_assets") not in told
    assert lineage_faults(home) == []


def test_run_that_was_killed_before_it_was_told_is_not_told_at_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lineage, "_emit", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        killed_at_work(home)
    run_job(lambda _: 0, "fuse_events")
    assert {e["job"]["name"] for e in events(home)} == {"fuse_events"}
    assert [path for path in (home.lineage / "running").iterdir() if path.name != ".lock"] == []
    assert lineage_faults(home) == []


def test_without_the_mark_a_killed_run_never_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "_end_lost", lambda *_: None)
    killed_at_work(home)
    run_job(lambda _: 0, "fuse_events")
    assert lineage_faults(home) == ["a run of fuse_places has 1 starts and 0 ends"]
