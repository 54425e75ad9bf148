"""One measured home: its lake, the session that works on it, and what a stage's twin needs to know of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ronghe import stores
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.ddl import schema_ddl
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake, digest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A Monday's week, so that the risk index has one week that is whole.
DAYS = tuple(date(2026, 11, day) for day in (19, 20, 21, 22))
THREADS = 2


@dataclass(frozen=True)
class Task:
    """What a twin reads and where it writes; simple enough to go to another process.

    Attributes:
        tables: Parquet files of the tables it reads, by table.
        keys: token keys by id.
        files: other files it reads, in order.
        facts: whatever else both sides know, such as delivery ids.
        out: folder of its results, `<table>.parquet` each.
    """

    tables: Mapping[str, Sequence[str]]
    out: Path
    keys: Mapping[str, bytes] = field(default_factory=dict)
    files: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def database(self) -> duckdb.DuckDBPyConnection:
        """Open DuckDB with the tables as views `layer_name`."""
        connection = duckdb.connect(config={"threads": THREADS, "temp_directory": str(self.out / "spill")})
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        for name, files in self.tables.items():
            connection.read_parquet(list(files)).create_view(name.replace(".", "_"))
        return connection

    def write(self, connection: duckdb.DuckDBPyConnection, table_id: str, query: str) -> None:
        """Write a query's rows as the result that stands against a table."""
        connection.execute(f"COPY ({query}) TO '{self.out / table_id}.parquet' (FORMAT parquet, COMPRESSION zstd)")


@dataclass(frozen=True)
class World:
    """A home, a session on its lake, and how many records a stage gets."""

    home: Home
    spark: "SparkSession"
    records: int
    leader: int | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The declarations in force."""
        return catalogue()

    def context(self, feed_id: str | None = None) -> JobContext:
        """Return what a job gets."""
        return JobContext(self.home, self.catalogue, self.spark, self.lake, feed_id)

    @property
    def lake(self) -> Lake:
        """The home's lake."""
        return Lake(self.home, self.catalogue, self.spark)

    def files(self, *table_ids: str) -> dict[str, list[str]]:
        """Return the Parquet files of tables at their newest version."""
        return {name: stores.dataset(stores.open_table(self.lake.path(name))).files for name in table_ids}

    def paths(self, *table_ids: str) -> dict[str, list[str]]:
        """Return the full paths of the Parquet files of tables at their newest version."""
        return {
            name: [f"{self.lake.path(name)}/{file.removeprefix('/')}" for file in files]
            for name, files in self.files(*table_ids).items()
        }

    def put(self, table_id: str, query: str) -> None:
        """Write the rows of a DuckDB query into a table of the lake, as if an earlier stage had made them.

        Columns that the query leaves out are null.
        """
        staged = self.home.engine / f"{table_id}.parquet"
        duckdb.execute(f"COPY ({query}) TO '{staged}' (FORMAT parquet)")
        from pyspark.sql import functions as F

        frame = self.spark.read.parquet(str(staged))
        table = self.catalogue.table(table_id)
        missing = {c.name: F.lit(None) for c in table.columns if c.name not in frame.columns}
        self.lake.append(table_id, frame.withColumns(missing) if missing else frame, digest(table_id, query))
        staged.unlink()

    def accept(self, feed_id: str, delivery_ids: Iterable[str], day: date = DAYS[-1]) -> None:
        """Say in the ledger that deliveries of a feed were accepted."""
        rows = [
            {
                "delivery_id": delivery,
                "event_code": "accepted",
                "feed_id": feed_id,
                "source_code": feed_id.partition(".")[0],
                "business_date": day,
                "path": delivery,
                "content_sha256": delivery,
                "byte_count": 0,
                "contract_version": self.catalogue.feed(feed_id).version,
                "recorded_at": datetime.now(UTC).replace(tzinfo=None),
            }
            for delivery in delivery_ids
        ]
        ledger = "meta.delivery"
        ddl = schema_ddl(self.catalogue.table(ledger))
        names = self.catalogue.table(ledger).column_names
        whole = [{name: row.get(name) for name in names} for row in rows]
        self.lake.append(ledger, self.spark.createDataFrame(whole, ddl), digest(feed_id, [r["path"] for r in rows]))


@dataclass(frozen=True)
class Stage:
    """A stage of the way of the data, as it is measured.

    Attributes:
        name: what it is called on the command line and in the report.
        prepare: lays out what the stage reads; not measured.
        run: the stage, through the functions that its job calls.
        task: says, after the run, what the twin needs.
        twin: the DuckDB program; a function of a module, since it runs in a process of its own.
        results: the tables that both sides must agree on, each with the columns that are compared.
        records: how many records a run works on, of as many as the feeds have.
    """

    name: str
    prepare: Callable[[World], None]
    run: Callable[[World], None]
    task: Callable[[World, Path], Task]
    twin: Callable[[Task], None]
    results: Mapping[str, Sequence[str]]
    records: Callable[[int], int] = lambda n: n
