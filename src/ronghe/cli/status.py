"""What ran, what is there, what waits for a person; read from the tables and the services, without the engine."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as Grid

from ronghe.cli.health import Health, Reason, collect, quarantine_reasons
from ronghe.contracts import ContractError, catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.ledger import quarantined_rows
from ronghe.monitoring.freshness import feed_states


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        justify: JustifyMethod = "right" if column.startswith("#") else "left"
        grid.add_column(column.removeprefix("# "), justify=justify, header_style="bold", no_wrap=True)
    return grid


def _print(grid: Grid) -> None:
    # Names are for copying: a narrow terminal wraps lines, and never cuts them.
    console = Console()
    console.width = max(console.width, Measurement.get(console, console.options.update(width=400), grid).maximum)
    console.print(grid, soft_wrap=True)
    typer.echo("")


def show_status(home: Home, as_json: bool = False) -> None:
    """Print how the platform stands, and in the end what to do."""
    health = collect(home)
    if as_json:
        typer.echo(json.dumps(health.as_json(), ensure_ascii=False, indent=1))
        return
    typer.echo(f"home     {health.home}")
    typer.echo(f"engine   {health.engine or 'down (ronghe up)'}")
    typer.echo(f"airflow  {health.airflow or 'down (ronghe up)'}")
    layers = ", ".join(f"{count} {layer}" for layer, count in health.tables.items())
    typer.echo(f"tables   {layers or 'none yet'}\n")
    if health.runs:
        _print(_runs(health))
    _print(_feeds_grid(health))
    for held in health.held_back:
        typer.secho(f"{held.event}: {held.path}: {held.reason}", fg="yellow")
    if health.quarantine:
        _print(_reasons_in_short(health.quarantine))
    _print(_releases(health))
    to_do = health.to_do()
    typer.secho("What to do", bold=True)
    typer.echo("\n".join(f"  {line}" for line in to_do) if to_do else "  nothing: all is well")
    typer.echo('\nThe tables: ronghe sql --tables; one of them: ronghe sql "SELECT * FROM mart.passenger_flow LIMIT 5"')


def _runs(health: Health) -> Grid:
    grid = _grid("Newest runs", "dag", "state", "started", "# seconds")
    for run in health.runs or ():
        started = (run.started_at or "-")[:16].replace("T", " ")
        grid.add_row(run.dag, run.state, started, f"{run.seconds:.0f}" if run.seconds is not None else "-")
    return grid


def _feeds_grid(health: Health) -> Grid:
    grid = _grid(
        "Feeds", "feed", "newest day", "# late", "# accepted", "# waiting", "# held", "# records", "# quarant."
    )
    for feed in health.feeds:
        late = f"{feed.late_days} d" if feed.late_days else "never" if feed.is_late else "-"
        counts = (feed.accepted, feed.waiting, feed.held_back, feed.records, feed.quarantined)
        grid.add_row(feed.feed, feed.newest_business_date or "-", late, *(f"{count:,}" for count in counts))
    return grid


def _releases(health: Health) -> Grid:
    grid = _grid("Releases", "extract", "# number", "# rows", "up since", "release id", "state")
    for release in health.releases:
        state = "current" if release.is_current else "waits for its tables" if release.waits_for else "tables changed"
        grid.add_row(
            release.extract,
            str(release.release_number or "-"),
            f"{release.rows:,}" if release.rows is not None else "-",
            release.recorded_at or "-",
            (release.release_id or "-")[:12],
            state,
        )
    return grid


def _reasons_in_short(reasons: Iterable[Reason]) -> Grid:
    """Return what fits beside the rest, a line for each feed; `ronghe quarantine` tells every reason and what helps."""
    grid = _grid(
        "Quarantine (all of it, and what helps: ronghe quarantine)", "feed", "most often", "# times", "# rules"
    )
    by_feed: dict[str, list[Reason]] = defaultdict(list)
    for item in reasons:
        by_feed[item.feed].append(item)
    for feed, found in by_feed.items():
        worst = max(found, key=lambda item: item.count)
        grid.add_row(feed, worst.reason, f"{worst.count:,}", str(len(found)))
    return grid


def _reasons(reasons: Iterable[Reason]) -> Grid:
    grid = _grid("Quarantine", "feed", "reason", "# records", "what to do")
    for item in reasons:
        grid.add_row(item.feed, item.reason, f"{item.count:,}", item.advice)
    return grid


def show_late(home: Home) -> None:
    """Print the feeds the night went on without."""
    for state in feed_states(Lake(home, catalogue())):
        if state.is_late:
            typer.secho(f"late: {state.said()}", fg="yellow")


# The way of the data.
_LAYERS = ("raw", "std", "fused", "safe", "mart", "meta")


def show_built(home: Home) -> None:
    """Print every table that exists, its rows, and where it lies."""
    lake = Lake(home, catalogue())
    grid = _grid("Tables", "table", "# rows", "# version", "half", "what it is")
    for table in sorted(catalogue().tables.values(), key=lambda t: (_LAYERS.index(t.layer), t.id)):
        if lake.exists(table.id):
            count, version = lake.size(table.id)
            grid.add_row(table.id, f"{count:,}", str(version), table.zone, table.title)
    _print(grid)
    typer.echo('Query the open half:  ronghe sql "SELECT * FROM mart.passenger_flow LIMIT 5"')
    typer.echo(f"Its files:            {home.open_lake}\n")


def show_quarantine(home: Home, scope: str | None, records: bool, limit: int) -> None:
    """Print how many records each rule holds back in each feed, and on request where they are and what they say.

    Raises:
        ContractError: the scope is neither a source nor a feed.
    """
    feeds = _feeds(scope)
    lake = Lake(home, catalogue())
    _print(_reasons(quarantine_reasons(lake, feeds)))
    if not (limit and scope):
        return
    rows = quarantined_rows(lake, "record_number", "reasons", "record", *_OTHER_SIDE)
    _show_records(home, [row for row in rows if row["feed_id"] in feeds], records, limit)


_OTHER_SIDE = ("other_delivery_id", "other_record_number")


def _feeds(scope: str | None) -> set[str]:
    found = {f.id for f in catalogue().feeds.values() if scope in (None, f.id, f.source_code)}
    if not found:
        raise ContractError(f"{scope!r} is no source and no feed; there are {', '.join(catalogue().feeds)}")
    return found


def _show_records(home: Home, rows: Iterable[dict[str, Any]], records: bool, limit: int) -> None:
    events = Lake(home, catalogue()).rows("meta.delivery", ["delivery_id", "path"]).to_pylist()
    path_of = {event["delivery_id"]: event["path"] for event in events}
    ordered = sorted(rows, key=lambda row: (path_of[row["delivery_id"]], row["record_number"]))
    for row in ordered[:limit]:
        said = f"  {row['record']}" if records else ""
        other = path_of.get(row["other_delivery_id"])
        against = f" with {other} record {row['other_record_number']}" if other else ""
        typer.echo(f"{path_of[row['delivery_id']]} record {row['record_number']}: {row['reasons']}{against}{said}")
    if len(ordered) > limit:
        typer.echo(f"... and {len(ordered) - limit} more (--limit)")
