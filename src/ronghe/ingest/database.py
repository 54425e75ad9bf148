"""A table of a source's database as records, by SQLAlchemy; values have the spelling that Parquet's have."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from ronghe.contracts import ContractError, Feed
from ronghe.ingest.canonical import as_text
from ronghe.ingest.transports import Fetched, SourceUnavailable, as_line

ROWS_AT_A_TIME = 1_000


def rows(feed: Feed, url: str, since: date | None) -> Iterator[Fetched]:
    """Yield the rows of the transport's table from a day on, in the order of days; a row without a day comes too.

    Raises:
        SourceUnavailable: the database does not answer, or breaks off.
        ContractError: the URL is none, or there is no such table or column.
    """
    transport = feed.transport
    if transport is None or transport.table is None:
        raise ContractError(f"{feed.id}: its transport names no table")
    where = f"{feed.id}: connection {transport.connection!r}"
    try:
        engine = sa.create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise ContractError(f"{where} is no URL of a database whose driver is installed: correct it") from None
    try:
        with engine.connect() as connection:
            table = _reflected(connection, transport.table, where)
            if transport.day_column not in table.c:
                raise ContractError(f"{where}: table {transport.table} has no column {transport.day_column!r}")
            yield from _rows(connection, table, table.c[transport.day_column], since)
    except SQLAlchemyError as error:
        # The driver's message may quote rows and the address.
        raise SourceUnavailable(
            f"{where}: the database does not answer or broke off ({type(error).__name__}): see that it runs and that"
            " the address is right; the fetch is tried again"
        ) from None
    finally:
        engine.dispose()


def _rows(connection: sa.Connection, table: sa.Table, day: "sa.Column[Any]", since: date | None) -> Iterator[Fetched]:
    query = sa.select(table).order_by(day, *table.primary_key.columns)
    if since is not None:
        query = query.where(sa.or_(day >= _bound(day, since), day.is_(None)))
    found = connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query)
    for row in found.mappings():
        cells = {name: as_text(value) for name, value in row.items()}
        yield as_line(cells), cells[day.name]


def _bound(day: "sa.Column[Any]", since: date) -> Any:
    """Return the first moment of a day as the column's type has it; text compares as ISO 8601."""
    if isinstance(day.type, sa.DateTime):
        return datetime.combine(since, time())
    return since if isinstance(day.type, sa.Date) else since.isoformat()


def _reflected(connection: sa.Connection, name: str, where: str) -> sa.Table:
    """Return a table, `name` or `schema.name`, as the database describes it."""
    schema, _, table = name.rpartition(".")
    try:
        return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
    except NoSuchTableError:
        raise ContractError(f"{where} has no table {name!r}: correct `table` in the contract's transport") from None
