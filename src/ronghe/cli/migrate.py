"""Bring the tables of the lake under the contracts as they are now, or say what stands against it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import typer

from ronghe import engine, sessions
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.evolution import EvolutionRefused
from ronghe.home import Home
from ronghe.job import JobFailed, alone, without_row_content
from ronghe.lake import Lake


def bring_up(home: Home, *, only_look: bool) -> bool:
    """Print what changed of each table, and do it unless asked only to look; say whether nothing was refused."""
    found = catalogue()
    refused = changed = 0
    with nullcontext() if only_look else sessions.on_engine(home, "migrate") as spark:
        lake = Lake(home, found, spark)
        for table_id in sorted(name for name in found.tables if lake.exists(name)):
            try:
                with nullcontext() if only_look else _in_turn(home, found, table_id):
                    changes = lake.evolve(table_id, only_look=only_look)
            except EvolutionRefused as error:
                refused += 1
                typer.secho(f"! {error}", fg="red")
                continue
            except JobFailed as error:  # of this table, unless the engine is gone
                if not _engine_answers(home):
                    raise
                refused += 1
                typer.secho(f"! {table_id}: {error}", fg="red")
                continue
            changed += bool(changes)
            for change in changes:
                typer.echo(f"{'would change' if only_look else '+'} {table_id}: {change}")
    typer.echo(f"{changed} tables {'would change' if only_look else 'changed'}, {refused} refused")
    return refused == 0


def _engine_answers(home: Home) -> bool:
    return engine.answers(engine.url(home))


@contextmanager
def _in_turn(home: Home, found: Catalogue, table_id: str) -> Iterator[None]:
    """Wait for jobs of the feeds that write a table, and let no error quote its rows."""
    feeds = (feed.id for feed in found.feeds.values() if table_id in (feed.raw_table, feed.target))
    with alone(home, *feeds), without_row_content(home, "migrate"):
        yield
