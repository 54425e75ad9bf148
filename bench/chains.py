"""Stages in the order in which one leaves what the next reads, run on fresh homes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import agree, columns, fuse, gate, index, land, meter, standardise, texts
from bench.meter import Cost
from bench.world import Stage, World
from ronghe.home import Home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHAINS: tuple[tuple[Stage, ...], ...] = (
    (land.STAGE, standardise.STAGE, gate.STAGE),
    (fuse.STAGE,),
    (columns.STAGE,),
    (index.STAGE,),
    (texts.STAGE,),
)


@dataclass
class Run:
    """A stage at one size: the costs of each repetition, ours and the twin's."""

    stage: str
    records: int
    rows: dict[str, int] = field(default_factory=dict)
    ours: list[Cost] = field(default_factory=list)
    twin: list[Cost] = field(default_factory=list)


def measure_chain(
    chain: tuple[Stage, ...],
    spark: "SparkSession",
    folder: Path,
    records: int,
    repetitions: int,
    leader: int | None = None,
) -> list[Run]:
    """Run the stages of a chain one after the other, each followed by its twin, on a fresh home each time.

    Args:
        chain: the stages.
        spark: a warm session.
        folder: where the homes lie while they are needed.
        records: size of the chain's input.
        repetitions: how often.
        leader: the engine's process, none where it is a child of this one.

    Raises:
        Disagreement: a stage's tables are not what the twin has.
    """
    runs = [Run(stage.name, stage.records(records)) for stage in chain]
    for number in range(repetitions):
        world = World(Home(folder / f"home-{number}").make(), spark, records, leader)
        for stage, run in zip(chain, runs, strict=True):
            _measure(stage, world, run)
        shutil.rmtree(world.home.root)
    return runs


def _measure(stage: Stage, world: World, run: Run) -> None:
    stage.prepare(world)
    with meter.measured(world.leader) as cost:
        stage.run(world)
    out = world.home.root / "twin" / stage.name
    out.mkdir(parents=True)
    twin = meter.apart(stage.twin, stage.task(world, out))
    ours = world.paths(*stage.results)
    run.rows = {
        name: agree.compare(name, ours[name], out / f"{name}.parquet", columns)
        for name, columns in stage.results.items()
    }
    run.ours.append(cost)
    run.twin.append(twin)


def stages() -> Iterator[str]:
    """Return the names of all stages."""
    return (stage.name for chain in CHAINS for stage in chain)
