"""A release as tables of a database: all in one transaction, so a reader sees the old release or the new one."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from ronghe.contracts import Catalogue, Column, Extract, Table
from ronghe.contracts.extract import ExtractTable
from ronghe.crash import crash_point
from ronghe.home import Home
from ronghe.ingest.connections import connection_url, declared
from ronghe.job import JobFailed
from ronghe.release.descriptor import released_columns, resource_path
from ronghe.release.files import arrow_schema, read_file

MARKER = "ronghe_release"
_BATCH_ROWS = 5_000
# SQLite keeps a decimal as a double, which is exact to so many digits.
_SQLITE_DIGITS = 15


def address(home: Home, extract: Extract) -> str:
    """Return the URL of the database an extract is loaded into; it may hold a password, so it is never told.

    `RONGHE_RELEASE_URL_<EXTRACT>` comes first, then the extract's `connection`, or without one `release_<extract>` in
    `connections.yaml`, then a SQLite file beside the releases.

    Raises:
        ContractError: nothing gives the connection the extract names, or others may read `connections.yaml`.
    """
    if url := os.environ.get(f"RONGHE_RELEASE_URL_{extract.id.upper()}"):
        return url
    if extract.connection:
        return connection_url(extract.connection, home)
    return declared(home).get(f"release_{extract.id}") or f"sqlite:///{home.releases / f'{extract.id}.sqlite'}"


def load(url: str, extract: Extract, catalogue: Catalogue, package: Path, release_id: str) -> bool:
    """Make the tables of a database equal to a package, or leave them if they are.

    On PostgreSQL the tables stand in a schema named after the extract, elsewhere in the default one. They are called
    `<layer>_<name>`, typed from the contracts, with keys and comments. `ronghe_release` says which release is loaded.

    Args:
        url: SQLAlchemy's URL of the database.
        extract: what the package holds.
        catalogue: the contracts of its tables.
        package: the folder of an audited release.
        release_id: the release's id.

    Returns:
        Whether anything was loaded: the same release twice is nothing to do.

    Raises:
        JobFailed: the database cannot be reached or refuses; the old rows stay. The message holds no row and no secret.
    """
    try:
        engine = _engine(url)
        metadata = sa.MetaData(schema=extract.id if engine.dialect.name == "postgresql" else None)
        marker = _marker(metadata)
        items = {_table(metadata, item, catalogue): item for item in extract.tables}
        try:
            with engine.begin() as connection:
                if _loaded(connection, marker, extract) == release_id:
                    return False
                _prepare(connection, metadata, marker)
                crash_point(f"release.{extract.id}:emptied")
                # Tables that others refer to come first.
                for target in (table for table in metadata.sorted_tables if table in items):
                    _fill(connection, target, extract, items[target], catalogue, package)
                connection.execute(marker.delete().where(marker.c.extract_id == extract.id))
                loaded = {"extract_id": extract.id, "release_id": release_id, "loaded_at": datetime.now(UTC)}
                connection.execute(marker.insert(), loaded)
                crash_point(f"release.{extract.id}:filled")
            crash_point(f"release.{extract.id}:loaded")
        finally:
            engine.dispose()
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, JobFailed):
            raise cause from None
        # The error's own text may quote the URL or a row.
        raise JobFailed(
            f"loading {extract.id} into its database failed ({type(cause).__name__}); the old rows stay. "
            "See docs/runbooks/release-failed.md."
        ) from None
    return True


def _engine(url: str) -> sa.Engine:
    """Return a database whose errors show no parameters and whose transactions cover table definitions too."""
    engine = sa.create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        # Python's driver commits before a CREATE and after it unless it is told to leave transactions alone.
        @sa.event.listens_for(engine, "connect")
        def _no_own_transactions(raw: Any, _: Any) -> None:
            raw.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _marker(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        MARKER,
        metadata,
        sa.Column("extract_id", sa.Text, primary_key=True, comment="Extract"),
        sa.Column("release_id", sa.Text, nullable=False, comment="Release that is loaded: SHA-256 of its manifest"),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False, comment="Instant it was loaded (UTC)"),
        comment="Which release the tables hold",
    )


def _table(metadata: sa.MetaData, item: ExtractTable, catalogue: Catalogue) -> sa.Table:
    """Return a released table as the database has it."""
    table = catalogue.table(item.table)
    columns = released_columns(item, table)
    required = {column.name for column in columns if column.required}
    constraints: list[Any] = [_key(table, required)]
    for name, other in item.references.items():
        target = ".".join(filter(None, (metadata.schema, table_name(other), catalogue.table(other).primary_key[0])))
        constraints.append(sa.ForeignKeyConstraint([name], [target]))
    return sa.Table(
        table_name(table.id),
        metadata,
        *(sa.Column(c.name, _type(c), nullable=not c.required, comment=_comment(c)) for c in columns),
        *constraints,
        comment=f"{table.description} One row: {table.grain}. {table.limitations}",
    )


def table_name(table_id: str) -> str:
    """Return what a table of the lake is called in a database."""
    return table_id.replace(".", "_")


def _key(table: Table, required: set[str]) -> sa.Constraint:
    """Return the key; one with cells that may be missing is unique, missing cells being equal on PostgreSQL."""
    if set(table.primary_key) <= required:
        return sa.PrimaryKeyConstraint(*table.primary_key)
    return sa.UniqueConstraint(*table.primary_key, postgresql_nulls_not_distinct=True)


_TYPES: dict[str, Any] = {
    "STRING": sa.Text,
    "DATE": sa.Date,
    "BIGINT": sa.BigInteger,
    "INT": sa.Integer,
    "DOUBLE": sa.Double,
    "FLOAT": sa.Float,
    "BOOLEAN": sa.Boolean,
}


def _type(column: Column) -> Any:
    """Return a column's type: exact decimals, instants with their zone where the database has them."""
    if column.physical_type == "TIMESTAMP":
        return sa.DateTime(timezone=True)
    if column.physical_type.startswith("DECIMAL"):
        precision, scale = (int(part) for part in column.physical_type[8:-1].split(","))
        return sa.Numeric(precision, scale).with_variant(_SqliteDecimal(precision, scale), "sqlite")
    return _TYPES[column.physical_type]()


class _SqliteDecimal(sa.types.TypeDecorator[Decimal]):
    """A decimal as SQLite's NUMERIC, refused where a double would change it."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale, asdecimal=False)

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's
        if value is None:
            return None
        if len(value.normalize().as_tuple().digits) > _SQLITE_DIGITS:
            raise JobFailed("an amount has more digits than SQLite keeps: load this extract into PostgreSQL")
        return float(value)


def _comment(column: Column) -> str:
    unit = f" [{column.unit}]" if column.unit and column.unit != "1" else ""
    return f"{column.description}{unit}"


def _loaded(connection: sa.Connection, marker: sa.Table, extract: Extract) -> str | None:
    """Return the release of an extract that the tables hold, none before the first load."""
    if not sa.inspect(connection).has_table(marker.name, schema=marker.schema):
        return None
    return connection.scalar(sa.select(marker.c.release_id).where(marker.c.extract_id == extract.id))


def _prepare(connection: sa.Connection, metadata: sa.MetaData, marker: sa.Table) -> None:
    """Make the tables, empty. One that is still as the contract says is emptied and keeps its rights and views.

    One that is not is made anew, and so is what refers to it.
    """
    if metadata.schema:
        connection.execute(sa.schema.CreateSchema(metadata.schema, if_not_exists=True))
    inspector = sa.inspect(connection)
    # Those that others refer to come first.
    there = [t for t in metadata.sorted_tables if t is not marker and inspector.has_table(t.name, schema=t.schema)]
    stale = set[str]()
    for table in there:
        found = _form_there(inspector, table)
        if found != _form_declared(table, connection.dialect) or {other for _, other in found.references} & stale:
            stale.add(table.name)
    for table in reversed(there):
        if table.name in stale:
            table.drop(connection)
        else:
            connection.execute(table.delete())
    metadata.create_all(connection)


class _Form(NamedTuple):
    """What makes a table of a database another one: columns by name, type and whether they may be empty, and keys."""

    columns: tuple[tuple[str, str, bool], ...]
    primary_key: frozenset[str]
    unique: frozenset[frozenset[str]]
    references: frozenset[tuple[frozenset[str], str]]


def _form_there(inspector: sa.Inspector, table: sa.Table) -> _Form:
    where: dict[str, Any] = {"table_name": table.name, "schema": table.schema}
    return _Form(
        tuple((c["name"], _said(c["type"], inspector.dialect), c["nullable"]) for c in inspector.get_columns(**where)),
        frozenset(inspector.get_pk_constraint(**where)["constrained_columns"]),
        frozenset(frozenset(key["column_names"]) for key in inspector.get_unique_constraints(**where)),
        frozenset(
            (frozenset(key["constrained_columns"]), key["referred_table"])
            for key in inspector.get_foreign_keys(**where)
        ),
    )


def _form_declared(table: sa.Table, dialect: sa.Dialect) -> _Form:
    unique = (c for c in table.constraints if isinstance(c, sa.UniqueConstraint))
    return _Form(
        tuple((c.name, _said(c.type, dialect), bool(c.nullable)) for c in table.columns),
        frozenset(table.primary_key.columns.keys()),
        frozenset(frozenset(constraint.columns.keys()) for constraint in unique),
        frozenset((frozenset(k.column_keys), k.referred_table.name) for k in table.foreign_key_constraints),
    )


def _said(kind: Any, dialect: sa.Dialect) -> str:
    return str(kind.compile(dialect=dialect))


def _fill(
    connection: sa.Connection,
    target: sa.Table,
    extract: Extract,
    item: ExtractTable,
    catalogue: Catalogue,
    package: Path,
) -> None:
    """Add a package's rows to an empty table."""
    kind = "parquet" if "parquet" in extract.formats else extract.formats[0]
    schema = arrow_schema(released_columns(item, catalogue.table(item.table)))
    for batch in _batches(read_file(package / resource_path(item.table, kind), kind, schema)):
        connection.execute(target.insert(), batch)


def _batches(reader: Any) -> Iterator[list[dict[str, date | Decimal | str | None]]]:
    for batch in reader:
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(start, _BATCH_ROWS).to_pylist()
