"""The page of results: tables between marks are written anew, the words around them stay."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from bench.results import Results, best, cpu_ratio, ratio

# Stage, what the ratio is held against, goal.
STAGES = ("land", "standardise", "fuse", "columns", "text", "gate", "index")
_BLOCK = "<!-- {0} -->\n{1}<!-- end of {0} -->"


def write(results: Results, page: Path) -> None:
    """Fill the tables of the page.

    Raises:
        ValueError: the page has no place for one of them.
    """
    text = page.read_text("utf-8")
    for name, table in TABLES.items():
        pattern = re.compile(_BLOCK.format(name, "(?:.*?)"), re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page.name} has no place for {name}")
        block = _BLOCK.format(name, "\n".join(table(results)) + "\n")
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    page.write_text(text, "utf-8")


def _goals(results: Results) -> Iterable[str]:
    yield "| what | goal | measured |"
    yield "|---|---|---|"
    for said, goal, value in (
        ("CSV to typed Delta (land and standardise), by DuckDB's time", "<= 5", _ingest(results)),
        ("fuse, by DuckDB's time", "<= 6", _largest(results, "fuse", ratio)),
        ("growth of the slowest-growing to the fastest-growing stage", "<= 1.05", _growths(results)),
        ("1 % change, in a table ten times as long: a delivery", "<= 1.5", _change(results, "part")),
        ("1 % change, in a table ten times as long: a whole table merged", "<= 1.5", _change(results, "merge")),
        ("columns, by vanilla Presidio's rate", ">= 500", _presidio(results, "columns", 5)),
        ("text, by vanilla Presidio's rate", ">= 60", _presidio(results, "text", 1)),
        ("seconds Airflow adds to a task", "<= 3", _airflow(results)),
    ):
        yield f"| {said} | {goal} | {value} |"


def _largest(results: Results, stage: str, figure: Callable[..., float]) -> str:
    return ", ".join(f"{figure(run):.1f} at {_size(run.records)}" for run in results.of(stage)) or "not measured"


def _ingest(results: Results) -> str:
    pairs = zip(results.of("land"), results.of("standardise"), strict=True)
    return (
        ", ".join(
            f"{sum(best(r.ours).seconds for r in pair) / sum(best(r.twin).seconds for r in pair):.1f} "
            f"at {_size(pair[0].records)}"
            for pair in pairs
        )
        or "not measured"
    )


def _growths(results: Results) -> str:
    found = {stage: results.growth(stage) for stage in STAGES}
    return ", ".join(f"{stage} {value:.2f}" for stage, value in found.items() if value is not None) or "not measured"


def _change(results: Results, kind: str) -> str:
    found = sorted((c for c in results.changes if c.kind == kind), key=lambda c: c.table_rows)
    if not found:
        return "not measured"
    short, long = (best(c.costs).seconds for c in found)
    return f"{long / short:.2f}"


def _presidio(results: Results, stage: str, columns: int) -> str:
    runs = results.of(stage)
    said = []
    for vanilla in results.vanilla:
        if vanilla.column_count == columns and runs:
            rate = vanilla.rows / vanilla.cost.seconds
            said.append(f"{runs[-1].records / best(runs[-1].ours).seconds / rate:,.0f} ({vanilla.way})")
    return ", ".join(said) or "not measured"


def _airflow(results: Results) -> str:
    found = [overhead.per_task for overhead in results.airflow]
    return f"{median(found):.1f} (median of {len(found)})" if found else "not measured"


def _overheads(results: Results) -> Iterable[str]:
    yield "| seconds of a task beside its job | median |"
    yield "|---|---:|"
    if results.airflow:
        yield f"| until its process runs | {median(o.scheduling for o in results.airflow):.1f} |"
        yield f"| in its process, before and after the job | {median(o.starting for o in results.airflow):.1f} |"


def _stages(results: Results) -> Iterable[str]:
    yield "| stage | records | rows/s | peak MiB | seconds | DuckDB's | ratio | of CPU | growth |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for stage in STAGES:
        growth = results.growth(stage)
        for run in results.of(stage):
            ours, twin = best(run.ours), best(run.twin)
            yield (
                f"| {stage} | {run.records:,} | {run.records / ours.seconds:,.0f} | "
                f"{max(c.peak_mib for c in run.ours):,.0f} | {ours.seconds:.1f} | {twin.seconds:.2f} | "
                f"{ratio(run):.1f} | {cpu_ratio(run):.1f} | {f'{growth:.2f}' if growth is not None else ''} |"
            )
        if fixed := results.fixed_seconds(stage):
            yield f"| {stage} | fixed part | | | {fixed:.1f} | | | | |"


def _changes(results: Results) -> Iterable[str]:
    yield "| change | rows of the table | rows changed | rows copied | seconds |"
    yield "|---|---:|---:|---:|---:|"
    for change in results.changes:
        yield (
            f"| {change.kind} | {change.table_rows:,} | {change.changed_rows:,} | {change.copied_rows:,} | "
            f"{best(change.costs).seconds:.1f} |"
        )


def _vanilla(results: Results) -> Iterable[str]:
    yield "| vanilla Presidio | columns | rows of the sample | rows/s |"
    yield "|---|---:|---:|---:|"
    for vanilla in results.vanilla:
        rate = vanilla.rows / vanilla.cost.seconds
        yield f"| {vanilla.way} | {vanilla.column_count} | {vanilla.rows} | {rate:,.0f} |"


def _machine(results: Results) -> Iterable[str]:
    times = " or ".join(str(count) for count in sorted({len(run.ours) for run in results.runs}))
    yield f"{results.cores} cores, load {results.load:.1f} when the run began; each size was measured {times} times."
    yield from (f"\nNot measured: {failure}." for failure in results.failures)


def _size(records: int) -> str:
    return f"{records / 1_000_000:g} M"


TABLES = {
    "goals": _goals,
    "stages": _stages,
    "changes": _changes,
    "vanilla": _vanilla,
    "airflow": _overheads,
    "machine": _machine,
}
