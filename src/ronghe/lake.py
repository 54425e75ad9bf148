"""The only reader and writer of tables: name -> path and zone, and effects that happen once.

Only Spark writes; reading for people and for bookkeeping goes through delta-rs, which needs no engine. Tables are
addressed by path, without a metastore. Every write carries a fingerprint: the Delta transaction id with version 1, in
the same commit as the data, so a write that was done is never done again, whoever was killed in between.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ronghe import __version__, merging, stores
from ronghe.contracts import Catalogue, Column, Table
from ronghe.contracts.base import Declaration
from ronghe.contracts.checks import quoted
from ronghe.contracts.ddl import create_table, schema_ddl
from ronghe.contracts.evolution import EvolutionRefused, refuse_newer
from ronghe.contracts.rules import literal
from ronghe.crash import crash_point
from ronghe.home import Home
from ronghe.upkeep import Overtaken, Upkeep, again_after_conflict

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

# Commits that rewrite files or settings, never rows; and those that destroy rows or values whose time is over: what was
# built from them stands.
_MAINTENANCE = (
    *("DELETE", "UPDATE"),
    *("OPTIMIZE", "VACUUM", "REORG", "CREATE TABLE", "SET TBLPROPERTIES", "ADD COLUMNS", "CHANGE COLUMN"),
    *("UPDATE COLUMN METADATA", "ADD CONSTRAINT", "DROP CONSTRAINT"),
)


@dataclass(frozen=True)
class Part:
    """The rows of a table whose `column` has one of `values`: what a write replaces."""

    column: str
    values: tuple[str, ...]

    def predicate(self) -> str:
        """Return the part as a SQL predicate (texts compare with dates too)."""
        return f"{quoted(self.column)} IN ({', '.join(literal(value) for value in self.values)})"


@dataclass(frozen=True)
class Snapshot:
    """A table as it stands at one moment: `version` is the last one that changed rows."""

    version: int
    rows: int
    dataset: "ds.Dataset"


@dataclass
class Accesses:
    """What was read and written through a lake: the table's version at its first read, and after its last write."""

    read: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)


# The rooms whose code decides what a row says; a change elsewhere rebuilds nothing.
_ROW_MAKERS = ("contracts", "ingest", "standardise", "fuse", "privacy", "livelihood", "risk")


@cache
def code_version(*rooms: str) -> str:
    """Return the package's version and a hash of the code that makes rows, or of the given rooms' code.

    A changed rule is a new fingerprint.
    """
    content = hashlib.sha256()
    for room in rooms or _ROW_MAKERS:
        for path in sorted((Path(__file__).parent / room).rglob("*.py")):
            content.update(path.read_bytes())
    return f"{__version__}+{content.hexdigest()[:16]}"


def digest(*parts: Any) -> str:
    """Return a SHA-256 over JSON-able parts, equal for equal parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Lake(Upkeep):
    """The tables of one home. Reading metadata needs no session; `read` and the writers do."""

    def __init__(
        self,
        home: Home,
        catalogue: Catalogue,
        spark: "SparkSession | None" = None,
        accesses: Accesses | None = None,
    ) -> None:
        self.home = home
        self.catalogue = catalogue
        self._spark = spark
        self.accesses = accesses or Accesses()

    @property
    def spark(self) -> "SparkSession":
        """The session that reads and writes."""
        if self._spark is None:
            raise RuntimeError("this lake was opened without an engine; it can only look up")
        return self._spark

    def path(self, table_id: str) -> str:
        """Return where a table lies; its contract's zone decides in which half."""
        table = self.catalogue.table(table_id)
        return f"{self.home.lake_root(table.zone)}/{table.layer}/{table.name}"

    # -- looking up, without an engine ------------------------------------------------------------------------

    def exists(self, table_id: str) -> bool:
        """Say whether the table was made."""
        return stores.is_table(self.path(table_id))

    def rows(self, table_id: str, columns: Sequence[str] | None = None) -> "pa.Table":
        """Return a small table as Arrow, empty where it was not made yet."""
        import pyarrow as pa

        wanted = list(columns or self.catalogue.table(table_id).column_names)
        if not self.exists(table_id):
            return pa.table({name: pa.array([], pa.string()) for name in wanted})
        table = self._open(table_id)
        self.accesses.read.setdefault(table_id, int(table.version()))
        there = {field.name for field in table.schema().fields}
        found = stores.rows(table, [name for name in wanted if name in there])
        for position, name in enumerate(wanted):
            if name not in there:  # added to the contract since the table was last written
                if self.catalogue.table(table_id).column(name).filled_from:
                    raise EvolutionRefused(f"{table_id}: column {name} is not filled yet. Run `ronghe migrate` first.")
                found = found.add_column(position, name, pa.nulls(found.num_rows))
        return found

    def dataset(self, table_id: str) -> "ds.Dataset":
        """Return a table as an Arrow dataset, read as far as it is asked for."""
        table = self._open(table_id)
        self.accesses.read.setdefault(table_id, int(table.version()))
        return stores.dataset(table)

    def snapshot(self, table_id: str) -> Snapshot:
        """Return a table at its newest version, held there while it is read: later writes do not show."""
        table = self._open(table_id)
        newest = int(table.version())
        self.accesses.read.setdefault(table_id, newest)
        commits = (commit for commit in table.history() if int(commit["version"]) <= newest)
        return Snapshot(_version(_last_change(commits)), int(table.count()), stores.dataset(table))

    def size(self, table_id: str) -> tuple[int, int]:
        """Return a table's number of rows, from its log, and its newest version."""
        table = self._open(table_id)
        return int(table.count()), int(table.version())

    def version(self, table_id: str) -> int:
        """Return the last version that changed rows, or -1: maintenance does not make a table newer."""
        return _version(self._changed(table_id))

    def state(self, table_id: str) -> str:
        """Name what a table holds: its version and the write that made it, so that versions are not taken for equal.

        A table that was taken away and made anew counts its versions from the beginning. Lakes that had the same writes
        have the same states.
        """
        last = self._changed(table_id)
        return f"{_version(last)} {(last or {}).get('userMetadata', '')}"

    def _changed(self, table_id: str) -> "dict[str, Any] | None":
        return _last_change(self._open(table_id).history()) if self.exists(table_id) else None

    def is_done(self, table_id: str, fingerprint: str) -> bool:
        """Say whether a write with this fingerprint is in the table."""
        if not self.exists(table_id):
            return False
        return self._open(table_id).transaction_version(fingerprint) is not None

    def is_current(self, table_id: str, fingerprint: str) -> bool:
        """Say whether a whole table is as the write with this fingerprint left it.

        A write that was followed by another is done and no longer in force: a change that is taken back is written
        again.
        """
        if not self.exists(table_id):
            return False
        history = self._open(table_id).history()
        rows = (c for c in history if not str(c.get("operation")).startswith(_MAINTENANCE))
        return any(c.get("userMetadata") == _note(fingerprint) for c in islice(rows, 1))

    def fingerprint(
        self,
        table_id: str,
        scope: object = None,
        inputs: Iterable[str] = (),
        declarations: Iterable[Declaration] = (),
    ) -> str:
        """Return the fingerprint of a write.

        Args:
            table_id: the table written.
            scope: the days, deliveries or states the write is for.
            inputs: tables read; their states count.
            declarations: what steers the work beside the table's own contract.
        """
        states = sorted((name, self.state(name)) for name in set(inputs))
        contracts = [self.catalogue.table(table_id).fingerprint(), *(d.fingerprint() for d in declarations)]
        return digest(table_id, scope, states, contracts, code_version())

    # -- reading and writing through the engine ---------------------------------------------------------------

    def read(self, table_id: str) -> "DataFrame":
        """Return a table; one that was declared and not yet written is empty."""
        if not self.exists(table_id):
            return self.spark.createDataFrame([], schema_ddl(self.catalogue.table(table_id)))
        if table_id not in self.accesses.read:
            self.accesses.read[table_id] = self._newest(table_id)
        frame = self.spark.read.format("delta").load(self.path(table_id))
        return _with_added(frame, self.catalogue.table(table_id))

    def append(self, table_id: str, frame: "DataFrame", fingerprint: str) -> bool:
        """Add rows; say whether they were not there yet."""
        return self._write(table_id, frame, fingerprint, "append", {})

    def replace(self, table_id: str, frame: "DataFrame", fingerprint: str, part: Part | None = None) -> bool:
        """Put rows in the place of a part of the table, or of all of it, in one commit.

        Returns:
            Whether anything was done: an equal fingerprint means that it is there already.

        Raises:
            pyspark.errors.AnalysisException: a row lies outside the part or breaks a constraint.
        """
        options = {"replaceWhere": part.predicate()} if part else {}
        return self._write(table_id, frame, fingerprint, "overwrite", options)

    @again_after_conflict
    def _write(self, table_id: str, frame: "DataFrame", fingerprint: str, mode: str, options: dict[str, str]) -> bool:
        whole = mode == "overwrite" and not options
        if self.is_current(table_id, fingerprint) if whole else self.is_done(table_id, fingerprint):
            return False
        table = self._make(table_id)
        transaction = self._transaction(table_id, fingerprint) if whole else fingerprint
        crash_point(f"{table_id}:before")
        (
            _conform(frame, table)
            .write.format("delta")
            .mode(mode)
            .options(txnAppId=transaction, txnVersion="1", userMetadata=_note(fingerprint), **options)
            .save(self.path(table_id))
        )
        crash_point(f"{table_id}:after")
        self.accesses.written[table_id] = self._newest(table_id)
        return True

    @again_after_conflict
    def merge(self, table_id: str, frame: "DataFrame", fingerprint: str) -> bool:
        """Make the table equal to the frame by its primary key, touching only files with rows that differ.

        Which rows those are is found first, so that Delta merges them and not the whole table: given the whole it
        would write every file again. An empty table is simply written.

        Returns:
            Whether anything was done: an equal fingerprint means that it is there already.
        """
        if self.is_current(table_id, fingerprint):
            return False
        table = self._make(table_id)
        if self.size(table_id)[0] == 0:
            return self._write(table_id, frame, fingerprint, "overwrite", {})
        transaction = self._transaction(table_id, fingerprint)
        seen = self._newest(table_id)
        changed = merging.differences(_conform(frame, table), self.read(table_id), table).localCheckpoint()
        crash_point(f"{table_id}:before")
        if self._newest(table_id) != seen:
            raise Overtaken(f"{table_id} was written again and again while a merge compared it. Run the job again.")
        once = {"write.txnAppId": transaction, "write.txnVersion": "1", "commitInfo.userMetadata": _note(fingerprint)}
        merging.apply(changed, self.path(table_id), table, f"merge_{digest(fingerprint)[:16]}", once)
        crash_point(f"{table_id}:after")
        self.accesses.written[table_id] = self._newest(table_id)
        return True

    def _transaction(self, table_id: str, fingerprint: str) -> str:
        """Return the transaction id of a whole table's write; Delta skips one it has seen, whatever came after."""
        return digest(fingerprint, self.version(table_id)) if self.is_done(table_id, fingerprint) else fingerprint

    def _make(self, table_id: str) -> Table:
        """Make the table from its contract if there is none; return the contract."""
        table = self.catalogue.table(table_id)
        if self.exists(table_id):
            self.evolve(table_id)
        else:
            made = create_table(table, self.path(table_id), self.catalogue.codesets, self._refused(table_id))
            self.spark.sql(made).collect()
        return table

    def _open(self, table_id: str) -> "DeltaTable":
        """Open a table that exists.

        Raises:
            EvolutionRefused: a newer Ronghe made it.
        """
        found = stores.open_table(self.path(table_id))
        refuse_newer(table_id, found.metadata().configuration)
        return found

    def _newest(self, table_id: str) -> int:
        return int(self._open(table_id).version())

    def written_rows(self, table_id: str, version: int) -> int | None:
        """Return how many rows the commit of a version wrote, none where Delta does not say."""
        for commit in self._open(table_id).history(20):
            if int(commit["version"]) == version:
                count = (commit.get("operationMetrics") or {}).get("numOutputRows")
                return int(count) if count is not None else None
        return None


def _last_change(commits: "Iterable[dict[str, Any]]") -> "dict[str, Any] | None":
    """Return the newest commit that changed rows, none of a table that was never written; commits come newest first.

    Delta cleans its log: where the write lies before what is left of it, that is the first commit that is left.
    """
    commit = None
    for commit in commits:
        if not str(commit.get("operation")).startswith(_MAINTENANCE) and not _changed_nothing(commit):
            return commit
    return commit if commit and int(commit["version"]) > 0 else None


def _version(commit: "dict[str, Any] | None") -> int:
    return int(commit["version"]) if commit else -1


def _changed_nothing(commit: dict[str, Any]) -> bool:
    """Say whether a commit is a MERGE that found nothing to do; Delta writes it all the same."""
    metrics = commit.get("operationMetrics") or {}
    changes = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")
    return commit.get("operation") == "MERGE" and all(str(metrics.get(name, "")) == "0" for name in changes)


def _with_added(frame: "DataFrame", table: Table) -> "DataFrame":
    """Give a frame the columns its contract has got since the table was last written, all empty."""
    from pyspark.sql import functions as F

    there = set(frame.columns)
    added = {
        c.name: F.expr(c.filled_from or "NULL").cast(c.physical_type) for c in table.columns if c.name not in there
    }
    return frame.withColumns(added) if added else frame


def _conform(frame: "DataFrame", table: Table) -> "DataFrame":
    """Bring a frame to the table's columns, their order and types."""
    from pyspark.sql import functions as F

    def value(column: Column) -> Any:
        own = F.col(quoted(column.name))
        return F.coalesce(own, F.expr(column.filled_from)) if column.filled_from else own

    return frame.select(*(value(c).cast(c.physical_type).alias(c.name) for c in table.columns))


def _note(fingerprint: str) -> str:
    return json.dumps({"fingerprint": fingerprint})
