"""Lineage: what each job run read and wrote, as OpenLineage events, table by table; no values, no texts of errors.

Events go to `lineage/<month>.jsonl` in the service's folder unless the environment names a transport of its own
(`OPENLINEAGE_URL`, `OPENLINEAGE__TRANSPORT__*`, `OPENLINEAGE_CONFIG`, `OPENLINEAGE_DISABLED`). A transport that fails
is a warning: no job fails for its lineage.

A run that was killed can tell no end. While it runs it holds a lock on `lineage/running/<run id>`, which the system
frees with the process; the next run of any job finds it free and tells ABORT in its place.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ronghe.contracts import Catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.locks import holding

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

NAMESPACE = "ronghe"
PRODUCER = "https://github.com/ronghe/ronghe"

# Variables by which a user sends the events to a transport of their own.
_ELSEWHERE = ("OPENLINEAGE_URL", "OPENLINEAGE__TRANSPORT", "OPENLINEAGE_CONFIG")

log = logging.getLogger(__name__)


@contextmanager
def recorded(home: Home, lake: Lake, name: str, feed_id: str | None) -> Iterator[None]:
    """Tell that a job runs, and what it read and wrote when it ends, well or not."""
    from openlineage.client.uuid import generate_new_uuid

    run_id, job = str(generate_new_uuid()), f"{name}.{feed_id}" if feed_id else name
    _end_lost(home, lake)
    with _marked(home, run_id, job) as started:
        _emit(home, lake, "START", run_id, job)
        started()
        try:
            yield
        except BaseException as error:
            _emit(home, lake, "FAIL", run_id, job, type(error).__name__)
            raise
        _emit(home, lake, "COMPLETE", run_id, job)


@contextmanager
def _marked(home: Home, run_id: str, job: str) -> Iterator[Callable[[], None]]:
    """Hold the mark of a run that runs, and give what writes into it that its start was told.

    Without a mark (a full disk) the run goes on, and its end may be missing.
    """
    mark: IO[str] | None = None

    def started() -> None:
        if mark:
            with suppress(OSError):
                mark.write(job)
                mark.flush()

    with ExitStack() as held:
        try:
            with _running(home) as folder:
                file = held.enter_context((folder / run_id).open("w", encoding="utf-8"))
                held.callback((folder / run_id).unlink, missing_ok=True)
                fcntl.flock(file, fcntl.LOCK_EX)
                mark = file
        except OSError as failure:
            log.warning("%s runs without a mark for its lineage: %s", job, type(failure).__name__)
        yield started


@contextmanager
def _running(home: Home) -> Iterator[Path]:
    """Give the folder of marks to one process at a time."""
    folder = home.lineage / "running"
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / ".lock"):
        yield folder


def _end_lost(home: Home, lake: Lake) -> None:
    """Tell ABORT for every run whose process is gone; of one whose start was not told there is nothing to tell."""
    with suppress(OSError), _running(home) as folder:
        for path in sorted(folder.glob("[!.]*")):
            # One that runs holds its mark; one that ends meanwhile removes it first.
            with suppress(FileNotFoundError, BlockingIOError), path.open(encoding="utf-8") as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not path.exists():
                    continue
                if job := mark.read():
                    _emit(home, lake, "ABORT", path.name, job)
                path.unlink()


def _emit(home: Home, lake: Lake, kind: str, run_id: str, job: str, error: str | None = None) -> None:
    """Send one event; whatever goes wrong with it is a warning."""
    try:
        sent = event(lake, kind, run_id, job, error)
        home.lineage.mkdir(parents=True, exist_ok=True)
        # Long lines of two processes would mingle in one file.
        with holding(home.lineage / ".lock"):
            client = _client(home)
            client.emit(sent)
            client.close()
    except Exception as failure:
        log.warning("lineage of %s (%s) was not recorded: %s", job, kind, type(failure).__name__)


def _client(home: Home) -> "OpenLineageClient":
    """Return a client with the environment's transport, or one that adds lines to the month's file."""
    from openlineage.client import OpenLineageClient

    # The checkout's remote address and revision are none of the data's lineage.
    facets = {"facets": {"source_code_location": {"disabled": True}}}
    file = home.lineage / f"{datetime.now(UTC):%Y-%m}.jsonl"
    own = {"transport": {"type": "file", "log_file_path": str(file), "append": True}}
    elsewhere = any(name.startswith(_ELSEWHERE) for name in os.environ)
    return OpenLineageClient(config=facets if elsewhere else {**facets, **own})


def event(lake: Lake, kind: str, run_id: str, job: str, error: str | None = None) -> "RunEvent":
    """Return an event about a job run: the lake's accesses so far are its inputs and outputs.

    Args:
        lake: what the job read and wrote.
        kind: START, COMPLETE, FAIL or ABORT.
        run_id: UUID of the run.
        job: name of the job, with its feed where it has one.
        error: class of the error the run ended with; never its text, which may quote rows.
    """
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import error_message_run, job_type_job

    job_type = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="RONGHE", jobType="JOB")
    failed = {}
    if error:
        failed["errorMessage"] = error_message_run.ErrorMessageRunFacet(message=error, programmingLanguage="python")
    return RunEvent(
        eventType=RunState[kind],
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(runId=run_id, facets=dict(failed)),
        job=Job(namespace=NAMESPACE, name=job, facets={"jobType": job_type}),
        producer=PRODUCER,
        inputs=[*_deliveries(lake), *(_input(lake, name, version) for name, version in lake.accesses.read.items())],
        outputs=[_output(lake, name, version) for name, version in lake.accesses.written.items()],
    )


def _deliveries(lake: Lake) -> "list[InputDataset]":
    """Return the landing places behind the raw tables that were written."""
    from openlineage.client.event_v2 import InputDataset

    written = lake.accesses.written
    feeds = (feed for feed in lake.catalogue.feeds.values() if feed.raw_table in written)
    return [InputDataset(NAMESPACE, f"landing/{feed.source_code}/{feed.landing}") for feed in feeds]


def _input(lake: Lake, name: str, version: int) -> "InputDataset":
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(NAMESPACE, name, facets=_facets(lake.catalogue, name, version))


def _output(lake: Lake, name: str, version: int) -> "OutputDataset":
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    rows = lake.written_rows(name, version) if name in lake.catalogue.tables else None
    counted: dict[str, Any] = {}
    if rows is not None:
        counted["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return OutputDataset(NAMESPACE, name, facets=_facets(lake.catalogue, name, version), outputFacets=counted)


def _facets(catalogue: Catalogue, name: str, version: int) -> dict[str, Any]:
    """Return version, columns and meaning of a table; of something that is no table, its version alone."""
    from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset, schema_dataset

    found: dict[str, Any] = {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version))}
    if table := catalogue.tables.get(name):
        fields = [
            schema_dataset.SchemaDatasetFacetFields(c.name, c.physical_type, c.description) for c in table.columns
        ]
        found["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
        found["documentation"] = documentation_dataset.DocumentationDatasetFacet(table.description)
    return found
