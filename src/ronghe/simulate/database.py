"""Databases of sources that are asked instead of delivering."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine


def write_database(path: Path, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write an SQLite database of one table, whole or not at all; one of an earlier run is replaced.

    Args:
        path: the file; its name without the suffix is the connection's.
        table: the table to make.
        rows: its rows by column, in the order in which the source recorded them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{temporary}")
    try:
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(table.insert(), list(rows))
    finally:
        engine.dispose()
    os.replace(temporary, path)  # noqa: PTH105 - the rename is the point
