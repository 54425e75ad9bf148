"""The `ronghe` command: make feeds, start and end the services, run the night, look at what came of it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from ronghe.contracts import ContractError
from ronghe.home import Home

app = typer.Typer(
    name="ronghe",
    help="Ronghe (融合): fuse government data, with privacy built in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the errors we know into one sentence that says what to do, and an exit code of 1."""
    from ronghe.engine import EngineError
    from ronghe.jars import JarError
    from ronghe.job import DataStopped, JobFailed
    from ronghe.orchestration.service import AirflowError
    from ronghe.simulate.serve import SourcesError

    try:
        yield
    except (AirflowError, ContractError, DataStopped, EngineError, JarError, JobFailed, SourcesError) as error:
        _end(str(error))
    except OSError as error:
        if error.errno == 28:
            _end(f"The disk is full ({error.filename or Home.find().root}): free some space, or set RONGHE_HOME.")
        if error.errno in (13, 30):
            _end(f"{error.filename} cannot be written: give this user the right, or set RONGHE_HOME.")
        raise


def _end(sentence: str) -> NoReturn:
    typer.secho(sentence, fg="red", err=True)
    raise typer.Exit(1)


@app.command()
def simulate(
    scale: Annotated[float, typer.Option(help="1 makes about a million records; all counts follow.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 20261123,
    days: Annotated[int, typer.Option(min=1, help="Business days, one file of each feed a day.")] = 28,
    last_day: Annotated[str, typer.Option(help="Last business day, YYYY-MM-DD.")] = "2026-11-22",
    if_empty: Annotated[bool, typer.Option(help="Do nothing if the landing zone holds deliveries.")] = False,
) -> None:
    """Make the feeds of six sources in the landing zone, with known defects; the truth is kept aside."""
    from ronghe.contracts import load_sources
    from ronghe.contracts.catalogue import builtin_folder
    from ronghe.simulate import simulate as make
    from ronghe.simulate.serve import connect

    try:
        last = date.fromisoformat(last_day)
    except ValueError:
        _end(f"--last-day: {last_day!r} is no day (2026-11-22)")
    home = Home.find()
    with clear_errors():
        home.make()
        if if_empty and any(path.is_file() for path in home.landing.rglob("*")):
            typer.echo(f"The landing zone holds deliveries: {home.landing}")
            return
        if if_empty and not set(load_sources()) & set(load_sources([builtin_folder()], ())):
            typer.echo(f"No source in force is simulated: put deliveries into {home.landing}")
            return
        summary = make(home.landing, home.truth, scale=scale, seed=seed, days=days, last_day=last)
        connect(home)
        for feed in summary.feeds:
            typer.echo(f"{feed.feed:26} {feed.deliveries:3} deliveries, {feed.read:8,} records")


@app.command()
def up(
    engine: Annotated[
        str | None, typer.Option(help="embedded: one process. cluster: a Spark master and two workers here.")
    ] = None,
) -> None:
    """Start the engine, Airflow and the simulated sources, or leave them as they run."""
    from ronghe.cli.services import start
    from ronghe.engine import KIND_VARIABLE

    if engine:
        # Airflow's tasks start the engine afresh now and then: they inherit the choice.
        os.environ[KIND_VARIABLE] = engine
    with clear_errors():
        start(Home.find().make())


@app.command()
def down() -> None:
    """End Airflow, the engine and the simulated sources, with all their children."""
    from ronghe.cli.services import stop

    with clear_errors():
        stop(Home.find())


@app.command()
def serve(
    what: Annotated[
        str, typer.Argument(help="engine, master, worker, migrate, or a process of Airflow's by its name.")
    ],
) -> None:
    """Be one server in the foreground, as a container is: docker-compose.yaml names them all."""
    from ronghe.cli.services import become

    with clear_errors():
        become(Home.find().make(), what)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow(ctx: typer.Context) -> None:
    """Run a command of Airflow's own with this home's settings: ronghe airflow users create ..."""
    from ronghe.orchestration import service

    with clear_errors():
        service.become(Home.find(), *ctx.args)


@app.command()
def run(
    days: Annotated[str | None, typer.Option(help="Business days 2026-11-01..2026-11-07; none: what is due.")] = None,
) -> None:
    """Run the night's work through Airflow and follow it: ingest, fuse, then the nightly outputs."""
    from ronghe.cli.night import run_night

    with clear_errors():
        if not run_night(Home.find(), days):
            raise typer.Exit(1)


@app.command()
def status(
    json: Annotated[bool, typer.Option("--json", help="For machines: everything as one JSON document.")] = False,
) -> None:
    """Show what ran, what is late, what is in quarantine and why, what was released, and what to do."""
    from ronghe.cli.status import show_status

    with clear_errors():
        show_status(Home.find(), json)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="For machines: every finding as JSON.")] = False,
    security: Annotated[bool, typer.Option("--security", help="Look at what keeps others out instead.")] = False,
) -> None:
    """Look the machine, the lake and the releases over; say what is wrong and what mends it."""
    from ronghe.cli.doctor import examine

    with clear_errors():
        if not examine(Home.find(), as_json=json, security=security):
            raise typer.Exit(1)


@app.command()
def quarantine(
    scope: Annotated[str | None, typer.Argument(help="A source or a feed; none: all.")] = None,
    records: Annotated[bool, typer.Option(help="Show the records too; they hold personal data.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many records.")] = 20,
) -> None:
    """Show which records broke which rule, where they are, and what to do."""
    from ronghe.cli.status import show_quarantine

    with clear_errors():
        show_quarantine(Home.find(), scope, records, limit)


@app.command()
def replay(
    feed: Annotated[str, typer.Argument(help="<source>.<feed>")],
    days: Annotated[str | None, typer.Option(help="Business days 2026-11-01..2026-11-07; none: all.")] = None,
) -> None:
    """Decide a feed's records in quarantine again, after a contract, a code set or a normaliser was mended."""
    from ronghe.cli.replay import replay_feed

    with clear_errors():
        replay_feed(Home.find(), feed, days)


_SQL_HELP = """Ask the open half of the lake in DuckDB's SQL: one query, or a shell without one.

\b
Three to start with:
  ronghe sql --tables
  ronghe sql --schema mart.passenger_flow
  ronghe sql "SELECT place_kind_code, service_date, sum(in_count) AS entries
              FROM mart.passenger_flow GROUP BY ALL ORDER BY ALL"

\b
Into a file, for a spreadsheet or a program:
  ronghe sql -f csv "FROM safe.place" > places.csv

More questions with their SQL: docs/queries.md. Instants are UTC; add INTERVAL 8 HOUR for Beijing time.

\b
Tables:
"""


class _SqlCommand(TyperCommand):
    """A command whose help lists the tables that are declared, read when the help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from ronghe.cli.query import table_list

        with clear_errors():
            self.help = _SQL_HELP + table_list()
        super().format_help(ctx, formatter)


@app.command(cls=_SqlCommand)
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; none: a shell.")] = None,
    output: Annotated[str, typer.Option("--format", "-f", help="table, csv or json.")] = "table",
    tables: Annotated[bool, typer.Option("--tables", help="List the tables that are there, with their rows.")] = False,
    schema: Annotated[str | None, typer.Option("--schema", metavar="TABLE", help="Explain a table.")] = None,
) -> None:
    """Ask the open half of the lake in DuckDB's SQL; list its tables, or explain one."""
    from ronghe.cli.query import QueryError, describe, run_query, shell, tables_there

    home = Home.find()
    with clear_errors():
        try:
            if tables:
                sys.stdout.write(tables_there(home))
            elif schema:
                sys.stdout.write(describe(schema))
            elif query is None:
                shell(home)
            else:
                sys.stdout.write(run_query(home, query, output))
        except QueryError as error:
            _end(str(error))


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; needs no engine.")] = False,
) -> None:
    """Bring the tables of the lake under the contracts as they are now; refuse what would lose rows."""
    from ronghe.cli.migrate import bring_up

    with clear_errors():
        if not bring_up(Home.find(), only_look=dry_run):
            raise typer.Exit(1)


@app.command()
def due() -> None:
    """Say what the next run of maintain_lake destroys under the contracts as they are now; change nothing."""
    from ronghe.cli.due import show_due

    with clear_errors():
        show_due(Home.find())


@app.command()
def reference() -> None:
    """Write `docs/reference/` and the list of decisions anew; `make docs` adds the page of the DAGs."""
    from ronghe import reference as pages
    from ronghe.contracts import catalogue
    from ronghe.contracts.catalogue import builtin_folder

    with clear_errors():
        docs = builtin_folder() / "docs"
        changed = pages.write(docs / "reference", pages.pages(catalogue()))
        (docs / "decisions" / "README.md").write_text(pages.decisions(docs / "decisions"), "utf-8")
        typer.echo(f"docs/reference: {', '.join(changed) or 'up to date'}")


if __name__ == "__main__":
    app()
