"""What happens to a table beside its writes: it follows its contract, loses what must go, and is kept small."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from ronghe import stores
from ronghe.contracts import Catalogue, Column, Table
from ronghe.contracts.checks import quoted
from ronghe.contracts.ddl import evolve_table, fill_value, new_checks, raw_column, stale_checks
from ronghe.contracts.evolution import (
    ADDED,
    REFUSED_NOW,
    Change,
    EvolutionRefused,
    changes,
    leaving_otherwise,
    refuse_major,
    refuse_version,
    renamed_codes,
)
from ronghe.contracts.rules import literal
from ronghe.contracts.shape import SHAPE_PROPERTY, guards_of, recorded_guards, recorded_shape, remembering, shape_of
from ronghe.crash import crash_point

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.schema import Field
    from pyspark.sql import DataFrame, SparkSession

QUARANTINE = "meta.quarantine"
# What a look without an engine cannot tell.
_KEPT_BY_ALL = "if every row keeps it; else it is refused"
_FILLED_IN_ALL = "if it can be worked out for every row; else it is refused"
# Two tasks that make one table at the same time see each other's files, or each other's metadata.
_CONFLICTS = (
    "DELTA_CONCURRENT",
    "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
)


class Overtaken(RuntimeError):
    """Another write came between the look at a table and the write that follows from it."""


def _conflicts(error: BaseException) -> bool:
    """Say whether another commit came first, be it the one that makes the table."""
    if isinstance(error, Overtaken):
        return True
    said = f"{getattr(error, 'getCondition', lambda: None)()} {str(error)[:200]}"
    return any(name in said for name in _CONFLICTS)


again_after_conflict = retry(
    retry=retry_if_exception(_conflicts),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.5, max=10),
    reraise=True,
)


class Upkeep(ABC):
    """The part of a lake that looks after its tables."""

    catalogue: Catalogue

    @property
    @abstractmethod
    def spark(self) -> "SparkSession":
        """The session that reads and writes."""

    @abstractmethod
    def path(self, table_id: str) -> str:
        """Return where a table lies."""

    @abstractmethod
    def exists(self, table_id: str) -> bool:
        """Say whether the table was made."""

    @abstractmethod
    def read(self, table_id: str) -> "DataFrame":
        """Return a table."""

    @abstractmethod
    def _open(self, table_id: str) -> "DeltaTable":
        """Open a table that exists."""

    def evolve(self, table_id: str, *, only_look: bool = False) -> tuple[Change, ...]:
        """Bring a table that was made earlier under its contract as it is now; return what changed.

        Columns are added, and what became optional and the limits of values are set anew. Rows written before have no
        value in a column that was added, unless its contract says what it is filled from. What a feed's contract
        refuses since is taken out of the records read before.

        Args:
            table_id: a table that exists.
            only_look: say what would change, and leave the table as it is.

        Raises:
            EvolutionRefused: the contract asks for more than an addition, its version does not say that it changed, a
                row breaks a limit that was narrowed, or a newer Ronghe made the table.
        """
        table, found = self.catalogue.table(table_id), self._open(table_id)
        properties = found.metadata().configuration
        columns = {f.name: (_sql_type(f), not f.nullable) for f in found.schema().fields}
        refused = self._refused(table_id)
        codesets = self.catalogue.codesets
        shape, wanted = recorded_shape(properties, columns, table.zone, refused), shape_of(table, codesets)
        changed = (
            *changes(shape, wanted, as_read=table.layer == "raw", refused=refused, columns=columns),
            *renamed_codes(shape, table, codesets),
            *leaving_otherwise(recorded_guards(properties), guards_of(table)),
        )
        refuse_major(table_id, changed)
        # What an older Ronghe did not record about a table, it did not hold to its version either.
        before = properties.get("ronghe.contract", "").partition("@")[2] if SHAPE_PROPERTY in properties else ""
        refuse_version(table_id, before, table.version, changed)
        # What a code set or another declaration makes of a limit has no version of the table's.
        limits, stale = new_checks(table, codesets, properties), stale_checks(table, codesets, properties)
        added = {change.column for change in changed if change.what == ADDED}
        filled = [column for column in table.columns if column.name in added and column.filled_from]
        if not only_look:
            kept = remembering(shape, wanted)
            self._refuse_unkept(table, limits, filled)
            self._remove_refused(table, changed, columns)
            for statement in evolve_table(
                table, self.path(table_id), kept, columns, properties, limits, stale, filled, refused
            ):
                self.spark.sql(statement).collect()
        told = [Change(c.name, "is filled from what its contract says", "minor", _FILLED_IN_ALL) for c in filled]
        told += [Change("", f"limit {name} is set anew", "minor", _KEPT_BY_ALL) for name in sorted(limits)]
        over = set(stale) - {name.lower() for name in limits}
        return (*changed, *told, *(Change("", f"limit {name} is dropped", "minor") for name in sorted(over)))

    def _refused(self, table_id: str) -> frozenset[str]:
        """Return the columns of a raw table that its feeds refuse."""
        feeds = (feed for feed in self.catalogue.feeds.values() if feed.raw_table == table_id)
        return frozenset(raw_column(name) for feed in feeds for name in feed.refuse)

    def _refuse_unkept(self, table: Table, limits: Mapping[str, str], filled: Sequence[Column]) -> None:
        """Check over the rows, before anything is done, whatever could fail over them: fills and limits.

        Raises:
            EvolutionRefused: a column cannot be filled, or rows break a limit.
        """
        for column in filled:
            self._refuse_unfilled(table.id, column)
        for name, check in limits.items():
            if broken := self.read(table.id).where(f"NOT ({check})").count():
                raise EvolutionRefused(
                    f"{table.id}: the limit {name} was narrowed, and {broken} rows written before break it. Widen it "
                    "again; a code that is used no longer is kept, with a `valid_to`. Nothing was changed."
                )

    def _remove_refused(self, table: Table, changed: Sequence[Change], columns: Collection[str]) -> None:
        """Take out of the records read before what their feed refuses now."""
        gone = {change.column: "NULL" for change in changed if change.what == REFUSED_NOW and change.column in columns}
        if gone:
            self.blank(table.id, gone, "true")
            self.forget(table.id)
            self._refuse_in_quarantine(table.id, sorted(gone))

    def _refuse_unfilled(self, table_id: str, column: Column) -> None:
        """Check that what a column is filled from can be worked out for every row.

        Raises:
            EvolutionRefused: it cannot; the engine's own words may quote rows, so only their condition is told.
        """
        from pyspark.errors import AnalysisException, ArithmeticException, DateTimeException, NumberFormatException

        rows = self.spark.read.format("delta").load(self.path(table_id))
        try:
            # A hash asks for each value; whether a value is there would be known of some without asking.
            rows.where(f"xxhash64({fill_value(column)}) = 0").count()
        except (AnalysisException, ArithmeticException, DateTimeException, NumberFormatException) as error:
            raise EvolutionRefused(
                f"{table_id}: column {column.name} cannot be worked out from its `filledFrom` for every row "
                f"({error.getCondition() or type(error).__name__}). Mend it. Nothing was changed; see "
                "docs/recipes/change-a-contract.md."
            ) from None

    def _refuse_in_quarantine(self, raw_table: str, columns: Sequence[str]) -> None:
        """Take columns out of the records that quarantine keeps of the feeds behind a raw table."""
        feeds = [feed.id for feed in self.catalogue.feeds.values() if feed.raw_table == raw_table]
        fields, names = "from_json(record, 'MAP<STRING, STRING>')", ", ".join(literal(name) for name in columns)
        left = f"to_json(map_filter({fields}, (name, value) -> name NOT IN ({names})))"
        self.blank(QUARANTINE, {"record": left}, f"feed_id IN ({', '.join(literal(feed) for feed in feeds)})")
        self.forget(QUARANTINE)

    def destroy(self, table_id: str, where: str) -> None:
        """Delete rows for good; `forget` takes them out of the older versions. A table that is not there has none.

        Args:
            table_id: the table.
            where: predicate of the rows.
        """
        if self.exists(table_id):
            self._alter(f"DELETE FROM delta.{quoted(self.path(table_id))} WHERE {where}")  # noqa: S608 - of our own
            crash_point(f"{table_id}:destroyed")

    def blank(self, table_id: str, values: Mapping[str, str], where: str) -> None:
        """Put other values, given as SQL, in the place of some that must go; see `destroy`."""
        if self.exists(table_id):
            put = ", ".join(f"{quoted(name)} = {value}" for name, value in values.items())
            self._alter(f"UPDATE delta.{quoted(self.path(table_id))} SET {put} WHERE {where}")  # noqa: S608 - of our own
            crash_point(f"{table_id}:blanked")

    @again_after_conflict
    def _alter(self, statement: str) -> None:
        self.spark.sql(statement).collect()

    def forget(self, table_id: str) -> None:
        """Remove every file that only older versions need, so that nobody travels back to what was destroyed.

        Readers of an older version fail, and succeed when they are run again.
        """
        if self.exists(table_id):
            stores.forget(self.path(table_id))
            crash_point(f"{table_id}:forgotten")

    def maintain(self, table_id: str) -> None:
        """Compact small files, and remove files no version of the retention period needs."""
        where = f"delta.{quoted(self.path(table_id))}"
        self._alter(f"OPTIMIZE {where}")
        self._alter(f"VACUUM {where}")


def _sql_type(field: "Field") -> str:
    """Return the type of a column of the lake as contracts write it."""
    names = {"long": "BIGINT", "integer": "INT", "short": "SMALLINT", "byte": "TINYINT"}
    said = str(json.loads(field.to_json())["type"])
    return names.get(said, said.upper())
