"""Land: CSV files become numbered records of text in a raw table."""

import shutil
from pathlib import Path

from bench import feeds
from bench.world import Stage, Task, World
from jobs import land_deliveries
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import raw_column
from ronghe.ingest.deliveries import discover

RAW = "raw.shenzhen__swipe"
# Stands for a cell that is not there; no cell holds it, so an empty cell stays an empty text.
_NO_NULL = "\\N"


def prepare(world: World) -> None:
    """Link the feed's files into the home; they are made once for all repetitions."""
    made = world.home.root.parent / "landing"
    if not made.exists():
        feeds.write_swipes(made, world.records)
    shutil.copytree(made, world.home.landing, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def run(world: World) -> None:
    """Land what lies there."""
    land_deliveries.run(world.context(feeds.FEED))


def task(world: World, out: Path) -> Task:
    """Name the files and the deliveries they are."""
    found = discover(world.catalogue.feed(feeds.FEED), world.home.landing)
    files = [str(world.home.landing / delivery.path) for delivery in found]
    return Task({}, out, files=files, facts={"ids": [delivery.delivery_id for delivery in found]})


def twin(task: Task) -> None:
    """Read each file as text and number its records."""
    connection = task.database()
    names = [f'"{name}" AS "{raw_column(name)}"' for name in catalogue().feed(feeds.FEED).column_names]
    parts = [
        f"SELECT '{delivery}' AS delivery_id, row_number() OVER () AS record_number, NULL::VARCHAR AS defect, "
        f"{', '.join(names)} FROM read_csv('{file}', header = true, all_varchar = true, delim = ',', quote = '\"', "
        f"nullstr = '{_NO_NULL}')"
        for file, delivery in zip(task.files, task.facts["ids"], strict=True)
    ]
    task.write(connection, RAW, " UNION ALL ".join(parts))


STAGE = Stage(
    name="land",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={RAW: ("delivery_id", "record_number", *map(raw_column, catalogue().feed(feeds.FEED).column_names))},
)
