"""Measure and write the page: `python -m bench.run`, or `make bench`."""

import os
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import airflow, change, organisations, presidio, report, texts
from bench.chains import CHAINS, measure_chain
from bench.results import Results, best, cpu_ratio, ratio
from bench.world import Stage, World
from ronghe import engine, sessions
from ronghe.home import Home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bench"
FLOOR = 2_000
OTHERS = ("change", "presidio", "airflow")
# Above this many records once is enough: what takes longest is disturbed least.
_ONCE_ABOVE = 2_000_000
_REPETITIONS = 3
# Enough that making the engines, once in each worker, does not count.
_SAMPLE = 4_000
_TREATED = ("uscc", "organisation_name", "legal_representative_name", "contact_phone", "address")

app = typer.Typer(add_completion=False)


@app.command()
def main(
    sizes: Annotated[str, typer.Option(help="records of each size, in millions")] = "0.25,1,4",
    only: Annotated[
        str, typer.Option(help="stages of which the chain is measured; also change, presidio, airflow")
    ] = "",
    repetitions: Annotated[int, typer.Option(help="how often each size is measured; the best counts")] = _REPETITIONS,
    page: Annotated[bool, typer.Option(help="write docs/benchmarks.md from the figures")] = True,
    again: Annotated[bool, typer.Option(help="measure nothing: write the page from the last figures")] = False,
    keep: Annotated[bool, typer.Option(help="keep the last figures of what is not measured anew")] = False,
) -> None:
    """Measure every stage against its twin, then what is measured once: a change, vanilla Presidio, Airflow."""
    file = BUILD / "results.json"
    if not again:
        asked = set(only.split(",")) if only else {stage.name for chain in CHAINS for stage in chain} | set(OTHERS)
        counts = [round(float(size) * 1_000_000) for size in sizes.split(",")]
        failures = measure_all(asked, counts, repetitions, file, keep).failures
    else:
        failures = Results.read(file).failures
    if page:
        report.write(Results.read(file), ROOT / "docs" / "benchmarks.md")
    if failures:
        raise typer.Exit(1)


def measure_all(asked: set[str], counts: Sequence[int], repetitions: int, file: Path, keep: bool = False) -> Results:
    """Measure what was asked for and write the file after each piece, so that a run cut off keeps what it has.

    What cannot be measured is noted, and the next thing is.
    """
    results = Results(os.cpu_count() or 2, os.getloadavg()[0], FLOOR)
    if keep:
        results.keep(Results.read(file))
    work = file.parent / "work"
    shutil.rmtree(work, ignore_errors=True)
    if asked - {"airflow"}:
        with _engine(Home(work / "engine")) as (spark, leader):
            for chain in (c for c in CHAINS if asked & {stage.name for stage in c}):
                for count in (FLOOR, *counts):
                    name = f"{chain[0].name}-{count}"
                    piece = partial(_stages, results, chain, count, repetitions, spark, leader, work / name)
                    _attempt(results, file, name, piece)
            base = max(counts) // change.LONGER
            pieces: dict[str, Callable[[], None]] = {
                "change": lambda: results.put("changes", change.measure(spark, work, base, repetitions, leader)),
                "presidio": lambda: results.put("vanilla", _vanilla(spark, leader, work)),
            }
            for name in asked & set(pieces):
                _attempt(results, file, name, pieces[name])
    if "airflow" in asked:
        _attempt(results, file, "airflow", lambda: results.put("airflow", airflow.measure(work / "airflow")))
    shutil.rmtree(work, ignore_errors=True)
    return results


def _attempt(results: Results, file: Path, name: str, piece: Callable[[], None]) -> None:
    """Measure a piece, or note why it cannot be; then write the file."""
    try:
        piece()
    except Exception as error:
        results.failures.append(f"{name}: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}")
        typer.secho(f"{results.failures[-1]}\n{traceback.format_exc()}", fg="red", err=True)
    results.write(file)


@contextmanager
def _engine(home: Home) -> Iterator[tuple["SparkSession", int]]:
    """Start a server as `ronghe up` does, and open a session on it."""
    os.environ.setdefault("RONGHE_ENGINE_PORT", str(airflow.free_port()))
    state = engine.up(home)
    try:
        os.environ[engine.TOKEN_VARIABLE] = engine.token(home)
        with sessions.on_engine(home, "bench") as spark:
            yield spark, state.pid
    finally:
        engine.down(home)


def _stages(
    results: Results,
    chain: tuple[Stage, ...],
    count: int,
    repetitions: int,
    spark: "SparkSession",
    leader: int,
    folder: Path,
) -> None:
    """Measure a chain at one size and say at once what came out."""
    # The smallest size goes first and once more often: what is compiled for the first time is not counted.
    times = 1 if count > _ONCE_ABOVE else repetitions + (count == FLOOR)
    try:
        runs = measure_chain(chain, spark, folder, count, times, leader)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.put_runs(runs)
    for run in runs:
        typer.echo(
            f"{run.stage:12} {run.records:>9,} records  {best(run.ours).seconds:7.1f} s  "
            f"DuckDB {best(run.twin).seconds:7.2f} s  ratio {ratio(run):5.1f}  of CPU {cpu_ratio(run):5.1f}"
        )


def _vanilla(spark: "SparkSession", leader: int, work: Path) -> list[presidio.Vanilla]:
    """Measure vanilla Presidio on the columns and on the texts that the stages treat."""
    world = World(Home(work / "vanilla").make(), spark, _SAMPLE, leader)
    world.put("fused.organisation", organisations.fused(_SAMPLE))
    rows = world.lake.read("fused.organisation")
    said = spark.createDataFrame([(text,) for text in texts.made_texts(_SAMPLE)], "request_text STRING")
    return [
        presidio.measure(rows, _TREATED, "analyze", leader),
        presidio.measure(rows, _TREATED, "anonymize", leader),
        presidio.measure(said, ["request_text"], "analyze", leader),
    ]


if __name__ == "__main__":
    app()
