"""The DAGs as Airflow reads them: which there are, what every task of theirs has, and what parsing must not import."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ronghe.contracts import ContractError, load_feeds, load_sources
from ronghe.engine import EngineError
from ronghe.job import DataStopped, JobFailed

pytestmark = pytest.mark.dags

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"
FILES = sorted(DAGS.glob("*.py"))
# Libraries that take seconds to import, or belong into jobs.
HEAVY = ("pyspark", "pandas", "great_expectations", "presidio_anonymizer", "delta", "duckdb")


@pytest.fixture(scope="module", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Airflow reads its settings when it is first imported, so nothing above this line imports it."""
    home = tmp_path_factory.mktemp("airflow")
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "RONGHE_HOME": str(home / "ronghe"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        patch.delenv("RONGHE_SCHEMAS", raising=False)
        yield home


@pytest.fixture(scope="module")
def bag(airflow_home: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    found = DagBag(DAGS, known_pools={"engine"})
    assert found.import_errors == {}
    assert found.dags
    return found


@pytest.fixture(scope="module")
def dags(bag: Any) -> dict[str, Any]:
    return dict(bag.dags)


@pytest.fixture(scope="module")
def tasks(dags: dict[str, Any]) -> dict[str, Any]:
    """Every task by `<dag>.<task>`."""
    found = {f"{dag_id}.{task.task_id}": task for dag_id, dag in dags.items() for task in dag.tasks}
    assert len(found) > len(dags)
    return found


# Which there are ---------------------------------------------------------------------------------------------------


def test_dags_are_one_for_each_source_and_the_named_ones(dags: dict[str, Any]) -> None:
    sources = load_sources()
    assert sources
    named = {"fuse", "nightly_livelihood", "nightly_risk_index", "release_extracts", "maintain_lake"}
    assert set(dags) == {*(f"ingest_{code}" for code in sources), *named}


def test_every_file_makes_a_dag_of_its_name_but_the_factory(dags: dict[str, Any]) -> None:
    made = {(Path(dag.fileloc).stem, dag_id) for dag_id, dag in dags.items()}
    assert {file for file, _ in made} == {file.stem for file in FILES}
    assert {file for file, dag_id in made if file != dag_id} == {"ingest_sources"}


def test_dags_are_written_and_read_back_as_the_scheduler_does(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag_id, dag in dags.items():
        again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        assert {task.task_id for task in again.tasks} == {task.task_id for task in dag.tasks}, dag_id
        assert {task.pool for task in again.tasks} == {"engine"}, dag_id


def test_every_feed_is_one_task_of_its_source(tasks: dict[str, Any]) -> None:
    feeds = load_feeds().values()
    assert feeds
    expected = {f"ingest_{feed.source_code}.ingest_deliveries__{feed.name}" for feed in feeds}
    assert {name for name in tasks if name.startswith("ingest_")} == expected


def test_a_night_has_no_more_than_70_tasks(tasks: dict[str, Any]) -> None:
    assert len([name for name in tasks if not name.startswith("maintain_lake.")]) <= 70


def test_divisions_come_before_the_organisations_that_need_them(tasks: dict[str, Any]) -> None:
    assert tasks["fuse.fuse_organisations"].upstream_task_ids == {"fuse_divisions"}


def test_every_task_that_runs_a_job_has_its_file(tasks: dict[str, Any]) -> None:
    verbs = {task.task_id.partition("__")[0] for task in tasks.values()} - {"recycle_engine"}
    steps = {"land_deliveries", "standardise_deliveries", "accept_deliveries"}
    by_hand = {"replay_quarantine"}
    assert verbs == {path.stem for path in (ROOT / "jobs").glob("*.py")} - {"__init__"} - steps - by_hand


# What everything has -----------------------------------------------------------------------------------------------


def test_every_task_takes_a_slot_of_the_engine_and_recycling_all(tasks: dict[str, Any]) -> None:
    from ronghe.cli.services import POOL, POOL_SLOTS
    from ronghe_airflow.defaults import ENGINE_POOL, ENGINE_SLOTS

    assert (POOL, POOL_SLOTS) == (ENGINE_POOL, ENGINE_SLOTS)
    assert {task.pool for task in tasks.values()} == {ENGINE_POOL}
    slots = {name: task.pool_slots for name, task in tasks.items()}
    assert slots.pop("maintain_lake.recycle_engine") == ENGINE_SLOTS
    assert set(slots.values()) == {1}


def test_every_task_has_an_owner_retries_and_an_end(tasks: dict[str, Any]) -> None:
    from ronghe_airflow.defaults import RETRY_POLICY

    for name, task in tasks.items():
        assert (task.owner, task.retries, task.retry_policy) == ("ronghe", 2, RETRY_POLICY), name
        assert task.execution_timeout is not None, name
        assert task.execution_timeout <= timedelta(hours=2), name


def test_every_dag_runs_once_at_a_time_and_catches_nothing_up(dags: dict[str, Any]) -> None:
    assert {(dag.catchup, dag.max_active_runs) for dag in dags.values()} == {(False, 1)}


def test_every_dag_says_what_to_do_when_it_fails(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        text = dag.doc_md or ""
        assert dag.description, dag_id
        assert text.startswith(f"### {dag.description}\n"), dag_id
        assert any("fail" in part for part in text.split("**")[1::2]), f"{dag_id}: no bold lead about a failure"


def test_pages_of_sources_name_each_feed_and_its_place(dags: dict[str, Any]) -> None:
    for feed in load_feeds().values():
        page = dags[f"ingest_{feed.source_code}"].doc_md
        for text in (feed.id, f"{feed.source_code}/{feed.landing}", feed.target):
            assert text in page


def test_every_tag_is_of_the_closed_list(dags: dict[str, Any]) -> None:
    from ronghe_airflow.defaults import TAGS

    allowed = {f"{kind}:{value}" for kind, values in TAGS.items() for value in values}
    allowed |= {f"source:{code}" for code in load_sources()}
    for dag_id, dag in dags.items():
        assert set(dag.tags) <= allowed, dag_id
        assert sorted(tag.partition(":")[0] for tag in dag.tags if not tag.startswith("source:")) == ["layer", "tier"]


def test_every_run_may_be_asked_for_days(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    for dag in dags.values():
        days = dag.params.get_param("days")
        for right in (None, "2026-11-01", "2026-11-01..2026-11-07"):
            assert days.resolve(right) == right
        for wrong in ("yesterday", "2026-11-01..", "2026-11-01,2026-11-02", 20261101):
            with pytest.raises(ParamValidationError):
                days.resolve(wrong)


def test_reference_page_is_as_the_dags_make_it(dags: dict[str, Any]) -> None:
    from ronghe_airflow.reference import FOLDER, dags_page

    text = (FOLDER / "dags.md").read_text("utf-8")
    assert text == dags_page(dags), "docs/reference/dags.md is stale: run `make docs` and commit what changed"


# When it runs ------------------------------------------------------------------------------------------------------


def test_fuse_is_started_by_the_asset_of_any_feed(dags: dict[str, Any]) -> None:
    from airflow.sdk import AssetAny

    timetable = dags["fuse"].timetable
    # A run that accepts one delivery and is stopped by another fails, and its event is not sent.
    assert timetable.timetable.expression == "0 3 * * *"
    condition = timetable.asset_condition
    touched = {o.uri for dag in dags.values() for task in dag.tasks for o in task.outlets}
    assert isinstance(condition, AssetAny)
    assert {asset.uri for asset in condition.objects} == touched
    assert len(touched) == len(load_feeds()) > 0


def test_only_the_ingest_of_a_feed_touches_its_asset(tasks: dict[str, Any]) -> None:
    outlets = {name: [o.uri for o in task.outlets] for name, task in tasks.items() if task.outlets}
    assert outlets == {
        f"ingest_{feed.source_code}.ingest_deliveries__{feed.name}": [
            f"x-ronghe://accepted/{feed.source_code}/{feed.name}"
        ]
        for feed in load_feeds().values()
    }


def test_run_that_destroyed_nothing_is_red(dags: dict[str, Any]) -> None:
    """A run of Airflow is what its last tasks are."""
    last = [task for task in dags["maintain_lake"].tasks if not task.downstream_task_ids]
    assert [task.trigger_rule.value for task in last] == ["all_success"]
    assert last[0].upstream_task_ids == {"destroy_due", "maintain_lake"}


def test_asset_uris_are_ascii(tasks: dict[str, Any]) -> None:
    assets = [outlet for task in tasks.values() for outlet in task.outlets]
    assert assets
    assert all(asset.uri.isascii() and asset.name.isascii() for asset in assets)


def test_everything_else_runs_by_the_clock_of_its_owner(dags: dict[str, Any]) -> None:
    from airflow.sdk import CronTriggerTimetable

    for dag_id, dag in dags.items():
        if dag_id != "fuse":
            assert isinstance(dag.timetable, CronTriggerTimetable), dag_id
            assert dag.timetable.run_immediately == timedelta(0), dag_id
    for code, source in load_sources().items():
        timetable = dags[f"ingest_{code}"].timetable
        assert (timetable.expression, timetable.timezone) == (source.schedule, source.timezone)


# What parsing imports ----------------------------------------------------------------------------------------------

_PARSE = """
import json, runpy, sys
loaded = {}
for path in sys.argv[1:]:
    runpy.run_path(path)
    loaded[path] = [name for name in %r if name in sys.modules]
print(json.dumps(loaded))
"""


def imported(*paths: Path) -> dict[str, list[str]]:
    """The heavy libraries that are loaded after each file, in a process of its own."""
    command = [sys.executable, "-c", _PARSE % (HEAVY,), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_dag_files_import_nothing_heavy() -> None:
    loaded = imported(*FILES)
    assert len(loaded) == len(FILES) > 0
    assert {path: names for path, names in loaded.items() if names} == {}


def test_a_heavy_import_would_be_seen(tmp_path: Path) -> None:
    """The control of the test above."""
    path = tmp_path / "dag.py"
    path.write_text("import pandas\n")
    assert imported(path) == {str(path): ["pandas"]}


# What a failure does -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        pytest.param(ContractError("a.yaml: no such key"), "FAIL", None, id="contract"),
        pytest.param(DataStopped("a check does not hold"), "FAIL", None, id="data stopped"),
        pytest.param(EngineError("does not answer"), "RETRY", timedelta(seconds=30), id="engine"),
        pytest.param(JobFailed("something passing"), "DEFAULT", None, id="job"),
        pytest.param(OSError("disk"), "DEFAULT", None, id="anything else"),
    ],
)
def test_retry_policy_retries_what_a_retry_may_mend(error: Exception, action: str, delay: timedelta | None) -> None:
    from airflow.sdk import RetryAction

    from ronghe_airflow.defaults import RETRY_POLICY

    decision = RETRY_POLICY.evaluate(error, try_number=1, max_tries=3)
    assert (decision.action, decision.retry_delay) == (RetryAction[action], delay)


# What a task does --------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a list in the place of `run_job`, which returns the number of things it is told to have worked on."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    from ronghe_airflow import tasks as module

    made: list[dict[str, Any]] = []

    def run_job(run: Callable[..., int], name: str, **options: Any) -> int:
        made.append({"run": run, "name": name, **options})
        return len(made) - 1

    def get_connection(name: str) -> SimpleNamespace:
        if name != "spark_connect":
            raise AirflowNotFoundException(name)
        return SimpleNamespace(host="localhost", port=15002)

    monkeypatch.setattr(module, "run_job", run_job)
    monkeypatch.setattr(module.BaseHook, "get_connection", get_connection)
    monkeypatch.setattr(module, "get_current_context", lambda: {"params": {"days": "2026-11-01..2026-11-02"}})
    return made


def test_task_runs_its_job_with_feed_days_and_the_address_of_the_connection(calls: list[dict[str, Any]]) -> None:
    from jobs import land_deliveries
    from ronghe_airflow.tasks import job_task

    feed = next(iter(load_feeds().values()))
    operator = job_task("land_deliveries", feed=feed).operator
    assert operator.task_id == f"land_deliveries__{feed.name}"
    assert operator.python_callable() == 0
    assert calls == [
        {
            "run": land_deliveries.run,
            "name": "land_deliveries",
            "feed_id": feed.id,
            "days": "2026-11-01..2026-11-02",
            "address": "sc://localhost:15002",
        }
    ]


def test_task_without_a_feed_is_named_after_its_job(calls: list[dict[str, Any]]) -> None:
    from ronghe_airflow.tasks import job_task

    operator = job_task("maintain_lake").operator
    operator.python_callable()
    assert (operator.task_id, calls[0]["feed_id"]) == ("maintain_lake", None)


def test_task_skips_what_follows_only_when_it_is_told_to_and_nothing_is_new(calls: list[dict[str, Any]]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from ronghe_airflow.tasks import job_task

    landing = job_task("land_deliveries", skip_if_none=True).operator
    with pytest.raises(AirflowSkipException, match="nothing new"):
        landing.python_callable()
    assert landing.python_callable() == 1


def test_only_an_ingest_skips(calls: list[dict[str, Any]], tasks: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    skipping = set()
    for name, task in tasks.items():
        calls.clear()
        if task.task_id == "recycle_engine":
            continue
        try:
            task.python_callable()
        except AirflowSkipException:
            skipping.add(name.partition(".")[2].partition("__")[0])
    assert skipping == {"ingest_deliveries"}


@pytest.mark.parametrize("ignored", [True, False], ids=["", "teeth"])
def test_no_file_of_the_plug_in_stands_in_for_a_module_of_pythons(tmp_path: Path, ignored: bool) -> None:
    """Airflow loads a file as a plug-in under its bare name; with a `secrets` of ours no server would start."""
    shutil.copytree(ROOT / "plugins", tmp_path / "plugins")
    if not ignored:
        (tmp_path / "plugins" / ".airflowignore").write_text(
            "ronghe_airflow/roles.py\nronghe_airflow/webserver_config.py"
        )
    look = "from airflow import plugins_manager; plugins_manager._get_plugins(); import secrets; "
    look += "print(hasattr(secrets, 'token_hex'))"
    settings = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins")}
    done = subprocess.run(
        [sys.executable, "-c", look], env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(ignored)
