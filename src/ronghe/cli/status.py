"""What ran, what is there, what waits for a person; read from the tables and the services, without the engine."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as Grid

from ronghe import engine
from ronghe.contracts import ContractError, catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.orchestration import service

# What an operator does about a reason, by the rule before the colon.
ADVICE = {
    "torn": "the record breaks off: ask the source to deliver the file again",
    "undecodable": "bytes are no text in the declared encoding: ask the source",
    "oversized": "a cell is longer than the contract allows",
    "required": "a value that must be there is missing: ask the source",
    "format": "a value is not written as the contract says: ask the source, or mend `format`",
    "unit": "a number comes in a unit the contract does not know: ask the source, or add its factor",
    "code": "a value is in no code set: ask the source, or add an alias to the code set",
    "check": "a check digit is wrong: ask the source",
    "range": "a value is outside its limits: ask the source",
    "future": "a day lies after the delivery: ask the source",
    "any_of": "none of the values is there of which one must be: ask the source",
    "pattern": "a value is not of the contract's pattern: ask the source",
}


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


def show_status(home: Home) -> None:
    """Print services, deliveries of each feed, tables and quarantine."""
    running, airflow = engine.state(home), service.state(home)
    typer.echo(f"home     {home.root}")
    typer.echo(f"engine   {f'localhost:{running.port}' if running else 'down (ronghe up)'}")
    typer.echo(f"airflow  {f'http://localhost:{airflow.port}' if airflow else 'down (ronghe up)'}\n")
    _print(_deliveries(home))
    _show_held_back(home)
    show_built(home)
    if Lake(home, catalogue()).exists("meta.quarantine"):
        show_quarantine(home, None, False, 0)


def _deliveries(home: Home) -> Grid:
    """Return, for each feed, what was delivered, what became of its records and how new the newest day is."""
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in Lake(home, catalogue()).rows("meta.delivery").to_pylist():
        events[row["feed_id"]].append(row)
    grid = _grid(
        "Deliveries", "feed", "# accepted", "# waiting", "# held back", "newest day", "# records", "# quarantined"
    )
    for feed_id in catalogue().feeds:
        rows = events.get(feed_id, [])
        by_event = {code: {r["delivery_id"] for r in rows if r["event_code"] == code} for code in _EVENTS}
        accepted = [row for row in rows if row["event_code"] == "accepted"]
        grid.add_row(
            feed_id,
            str(len(by_event["accepted"])),
            str(len(by_event["landed"] - by_event["accepted"])),
            str(len(by_event["rejected"] | (by_event["stopped"] - by_event["accepted"]))),
            max((row["business_date"].isoformat() for row in accepted), default="-"),
            f"{sum(row['accepted_count'] for row in accepted):,}",
            f"{sum(row['quarantined_count'] for row in accepted):,}",
        )
    return grid


_EVENTS = ("landed", "accepted", "rejected", "stopped")


def _show_held_back(home: Home) -> None:
    """Print the deliveries that were rejected or stopped, with the reason."""
    rows = Lake(home, catalogue()).rows("meta.delivery").to_pylist()
    accepted = {row["delivery_id"] for row in rows if row["event_code"] == "accepted"}
    for row in rows:
        if row["event_code"] in ("rejected", "stopped") and row["delivery_id"] not in accepted:
            typer.secho(f"{row['event_code']}: {row['path']}: {row['reason']}", fg="yellow")


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
    rows = [r for r in Lake(home, catalogue()).rows("meta.quarantine").to_pylist() if r["feed_id"] in feeds]
    counts = Counter((row["feed_id"], reason) for row in rows for reason in row["reasons"].split())
    grid = _grid("Quarantine", "feed", "reason", "# records", "what to do")
    for (feed_id, reason), count in sorted(counts.items()):
        grid.add_row(feed_id, reason, str(count), ADVICE.get(reason.partition(":")[0], ""))
    _print(grid)
    if limit and rows and scope:
        _show_records(home, rows, records, limit)


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
        typer.echo(f"{path_of[row['delivery_id']]} record {row['record_number']}: {row['reasons']}{said}")
    if len(ordered) > limit:
        typer.echo(f"... and {len(ordered) - limit} more (--limit)")
