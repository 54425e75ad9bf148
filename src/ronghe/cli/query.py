"""A DuckDB shell over the open half: tables are read by delta-rs, nothing else can be reached from it."""

import csv
import io
import json
import sys
from typing import Any

import duckdb

from ronghe.contracts import Table, catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.release.files import literal

FORMATS = ("table", "csv", "json")
_FEW_CODES = 20
_EMPTY = "The open half is empty. Run the night first: `make run`, or `ronghe run`."


class QueryError(RuntimeError):
    """A query is wrong; the message is DuckDB's and says where."""


def open_tables(home: Home) -> list[Table]:
    """Return the tables of the open half that exist."""
    lake = Lake(home, catalogue())
    return [t for t in catalogue().tables.values() if t.zone == "open" and lake.exists(t.id)]


def connect(home: Home) -> duckdb.DuckDBPyConnection:
    """Open a database with the open tables in schemas `safe` and `mart`, and no way to files or the network."""
    connection = duckdb.connect(config={"python_enable_replacements": "false"})
    lake = Lake(home, catalogue())
    for table in open_tables(home):
        connection.sql(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        staged = f"{table.layer}__{table.name}"
        connection.register(staged, lake.dataset(table.id))
        connection.sql(f"CREATE VIEW {table.id} AS FROM {staged}")
        connection.sql(f"COMMENT ON VIEW {table.id} IS {literal(table.description)}")
    connection.sql("SET enable_external_access = false")
    connection.sql("SET TimeZone = 'UTC'")
    connection.sql("SET lock_configuration = true")
    return connection


def run_query(home: Home, query: str, output: str = "table") -> str:
    """Run one query and return its result as text.

    Raises:
        QueryError: the query is wrong, the format is unknown, or there is nothing to query yet.
    """
    if output not in FORMATS:
        raise QueryError(f"format {output!r} is none of {', '.join(FORMATS)}")
    if not open_tables(home):
        raise QueryError(_EMPTY)
    return _run(connect(home), query, output)


def _run(connection: duckdb.DuckDBPyConnection, query: str, output: str) -> str:
    """Run a query and write its result; DuckDB computes late, so writing may fail as well as asking."""
    try:
        result = connection.sql(query)
        if result is None:
            return ""
        if output == "table":
            return f"{result}\n"
        names, rows = result.columns, result.fetchall()
    except duckdb.Error as error:
        raise QueryError(f"{error}{_of_the_restricted_half(query)}") from None
    if output == "csv":
        return _csv(names, rows)
    # Days and instants as ISO 8601; amounts as text, because a JSON number loses cents.
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False, default=str) + "\n"


def _of_the_restricted_half(query: str) -> str:
    """Return a line about the restricted tables a query names; nothing where it names none."""
    named = [t.id for t in catalogue().tables.values() if t.zone == "restricted" and t.id in query]
    said = "of the restricted half, which is not asked here; `ronghe sql --tables` lists what is"
    return f"\n{', '.join(named)}: {said}." if named else ""


def _csv(names: list[str], rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()


def table_list() -> str:
    """Return every declared table of the open half with its titles, whether it was built or not."""
    return "\n".join(f"  {t.id:24} {t.title} {t.title_zh}" for t in catalogue().tables.values() if t.zone == "open")


def tables_there(home: Home) -> str:
    """Return the tables of the open half that exist: rows, titles, what a row is.

    Raises:
        QueryError: none was built yet.
    """
    lake, there = Lake(home, catalogue()), open_tables(home)
    if not there:
        raise QueryError(_EMPTY)
    lines = [f"{t.id:24} {lake.size(t.id)[0]:>12,} rows  {t.title} {t.title_zh}: {t.grain}" for t in there]
    return "\n".join(lines) + "\n"


def describe(table_id: str) -> str:
    """Return what a table of the open half and its columns mean, built or not.

    Raises:
        QueryError: the open half has no such table; names those it has.
    """
    known = [t.id for t in catalogue().tables.values() if t.zone == "open"]
    if table_id not in known:
        raise QueryError(f"the open half has no table {table_id!r}; there are {', '.join(known)}")
    return explain(table_id)


def explain(table_id: str) -> str:
    """Return what a table and its columns mean."""
    table = catalogue().table(table_id)
    lines = [f"{table.id}: {table.description}", f"one row: {table.grain}", table.usage]
    for column in table.columns:
        unit = f" [{column.unit}]" if column.unit and column.unit != "1" else ""
        codes = catalogue().codesets[column.codes].codes if column.codes else ()
        known = f" ({', '.join(f'{c.code} {c.name_zh}' for c in codes)})" if codes and len(codes) <= _FEW_CODES else ""
        lines.append(f"  {column.name:28} {column.physical_type:14} {column.description}{unit}{known}")
    return "\n".join(lines) + "\n"


def shell(home: Home) -> None:
    """Read queries from the terminal, one statement up to a semicolon, until `.quit` or the end of the input."""
    if not open_tables(home):
        raise QueryError(_EMPTY)
    connection = connect(home)
    _with_history(home)
    sys.stdout.write("DuckDB over the open half. `.tables` lists, `.schema TABLE` explains, `.quit` leaves.\n")
    statement = ""
    while True:
        try:
            line = input("   ...> " if statement else "ronghe> ")
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            return
        if not statement and line.strip().startswith("."):
            if line.strip() == ".quit":
                return
            sys.stdout.write(_command(home, line.strip()))
            continue
        statement += line + "\n"
        if statement.strip().endswith(";"):
            sys.stdout.write(_answer(connection, statement))
            statement = ""


def _with_history(home: Home) -> None:
    """Give the prompt arrow keys, where the terminal library is there."""
    try:
        import readline
    except ImportError:
        return
    readline.parse_and_bind("tab: complete")
    readline.set_completer(lambda text, n: [*(t.id for t in open_tables(home) if t.id.startswith(text)), None][n])


def _command(home: Home, line: str) -> str:
    name, _, argument = line.partition(" ")
    if name == ".tables":
        return "".join(f"{t.id:28} {t.title_zh}  {t.description}\n" for t in open_tables(home))
    if name == ".schema" and argument.strip() in {t.id for t in open_tables(home)}:
        return explain(argument.strip())
    return f"{line}: .tables, .schema TABLE or .quit\n"


def _answer(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    try:
        return _run(connection, statement, "table")
    except QueryError as error:
        return f"{error}\n"
