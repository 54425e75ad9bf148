"""A lake with a few rows in it, put there as the ingest and the fusion would have."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from ronghe import stores
from ronghe.contracts.ddl import schema_ddl
from ronghe.fuse.divisions import division_rows
from ronghe.job import JobContext
from ronghe.ledger import LEDGER

_NOW = datetime(2026, 11, 2, tzinfo=UTC)


def put(ctx: JobContext, table_id: str, *rows: dict[str, Any]) -> None:
    """Add rows to a table; columns that a row does not name are empty."""
    table = ctx.catalogue.table(table_id)
    assert all(row.keys() <= set(table.column_names) for row in rows)
    values = [tuple(row.get(name) for name in table.column_names) for row in rows]
    frame = ctx.spark.createDataFrame(values, schema_ddl(table))
    ctx.lake.append(table_id, frame, f"{table_id} {ctx.lake.version(table_id)} {rows}")


def stores_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Let a folder, with one for each bucket, stand for the object store of `stores`; Spark does not see it."""
    folder.mkdir()
    store = SubTreeFileSystem(str(folder), LocalFileSystem())
    asked = stores._arrow
    patch.setattr(stores, "_arrow", lambda remote: store if remote else asked(remote))
    return folder


def accept(ctx: JobContext, feed_id: str, *delivery_ids: str) -> None:
    """Say in the ledger that deliveries of a feed were accepted."""
    given = {"business_date": date(2026, 11, 2), "path": "p", "content_sha256": "0", "byte_count": 1}
    event = given | {"event_code": "accepted", "feed_id": feed_id, "contract_version": "1.0.0", "recorded_at": _NOW}
    source = feed_id.partition(".")[0]
    put(ctx, LEDGER, *({"delivery_id": one, "source_code": source} | event for one in delivery_ids))


def put_divisions(ctx: JobContext, *prefixes: str) -> None:
    """Put the divisions in whose codes begin with one of the prefixes."""
    rows = division_rows(ctx.catalogue.codeset("division"))
    put(ctx, "fused.division", *(row for row in rows if row["division_code"].startswith(prefixes)))
