"""Measure and write the page: `python -m bench.run`, or `make bench`."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import airflow, change, organisations, presidio, report, texts
from bench.chains import CHAINS, measure_chain
from bench.results import Results, best, cpu_ratio, ratio
from bench.world import World
from ronghe import engine
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
_SAMPLE = 400
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
) -> None:
    """Measure every stage against its twin, then what is measured once: a change, vanilla Presidio, Airflow."""
    file = BUILD / "results.json"
    if not again:
        asked = set(only.split(",")) if only else {stage.name for chain in CHAINS for stage in chain} | set(OTHERS)
        counts = [round(float(size) * 1_000_000) for size in sizes.split(",")]
        measure_all(asked, counts, repetitions, file)
    if page:
        report.write(Results.read(file), ROOT / "docs" / "benchmarks.md")


def measure_all(asked: set[str], counts: Iterable[int], repetitions: int, file: Path) -> Results:
    """Measure what was asked for and write the file after each piece, so that a run cut off keeps what it has."""
    results = Results(os.cpu_count() or 2, os.getloadavg()[0], FLOOR)
    work = file.parent / "work"
    shutil.rmtree(work, ignore_errors=True)
    if asked - {"airflow"}:
        with _engine(Home(work / "engine")) as (spark, leader):
            _stages(results, asked, (FLOOR, *counts), repetitions, spark, leader, work, file)
            if "change" in asked:
                results.changes = change.measure(spark, work, max(counts) // change.LONGER, repetitions, leader)
                results.write(file)
            if "presidio" in asked:
                results.vanilla = _vanilla(spark, leader, work)
                results.write(file)
    if "airflow" in asked:
        results.airflow = airflow.measure(work / "airflow")
        results.write(file)
    shutil.rmtree(work, ignore_errors=True)
    return results


@contextmanager
def _engine(home: Home) -> Iterator[tuple["SparkSession", int]]:
    """Start a server as `ronghe up` does, and open a session on it."""
    state = engine.up(home)
    try:
        os.environ[engine.TOKEN_VARIABLE] = engine.token(home)
        with engine.session(home, "bench") as spark:
            yield spark, state.pid
    finally:
        engine.down(home)


def _stages(
    results: Results,
    asked: set[str],
    counts: Iterable[int],
    repetitions: int,
    spark: "SparkSession",
    leader: int,
    work: Path,
    file: Path,
) -> None:
    for chain in CHAINS:
        if not asked & {stage.name for stage in chain}:
            continue
        for count in counts:
            # The smallest size goes first and once more often: what is compiled for the first time is not counted.
            times = 1 if count > _ONCE_ABOVE else repetitions + (count == FLOOR)
            runs = measure_chain(chain, spark, work / f"{chain[0].name}-{count}", count, times, leader)
            shutil.rmtree(work / f"{chain[0].name}-{count}")
            results.runs += runs
            results.write(file)
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
