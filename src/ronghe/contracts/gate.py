"""The declaration of a disclosure gate: minimum count, who is counted, aspects and the ladder of rungs.

Plain data, no Spark; `ronghe.privacy.gate` carries it out and says what it guarantees.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from ronghe.contracts.base import Declaration

SUPPRESSED = "suppressed"
GATE_RUNG = "gate_rung"
GRAIN_CODE = "grain_code"

ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RungName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


class Rung(Declaration):
    """One step of the ladder.

    Attributes:
        name: Published as `grain_code`, e.g. `15min`.
        keys: Columns whose values make a cell of this rung.
    """

    name: RungName
    keys: tuple[ColumnName, ...] = Field(min_length=1)


class GateAspects(Declaration):
    """Counts that are published side by side, each of which must be large enough by itself.

    Attributes:
        column: Tells a row's aspect, e.g. `direction`.
        kind: Key column, on every rung, that tells which aspects are measured, e.g. `kind`.
        measured: Aspects measured per kind, e.g. `{metro_station: [in, out], bus_stop: [in]}`.
            A row of another kind or aspect is an error, as nothing would protect it.
    """

    column: ColumnName
    kind: ColumnName
    measured: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Every aspect of any kind, in a stable order."""
        return tuple(sorted({name for names in self.measured.values() for name in names}))


class GatePolicy(Declaration):
    """How the contributions to one published table pass the gate.

    Attributes:
        minimum_count: Least number of persons of a published cell.
        contributor: Column with the token of the person; null for none. Each person counts once in a cell.
        weight: Instead of `contributor`: column with the number of persons a row speaks for, where rows come
            counted already and no person is in two of them.
        aspects: Counts to be held apart; without it, a cell's size is its persons.
        rungs: The ladder, finest rung first.
    """

    minimum_count: int = Field(ge=2)
    contributor: ColumnName | None = None
    weight: ColumnName | None = None
    aspects: GateAspects | None = None
    rungs: tuple[Rung, ...] = Field(min_length=1)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Every rung's key columns, those of the finest rung first."""
        return tuple(dict.fromkeys(key for rung in self.rungs for key in rung.keys))

    @property
    def rung_names(self) -> tuple[str, ...]:
        """Names of the rungs, finest first."""
        return tuple(rung.name for rung in self.rungs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the gate reads."""
        counted = tuple(name for name in (self.contributor, self.weight) if name)
        aspect = (self.aspects.column,) if self.aspects else ()
        return (*self.key_columns, *counted, *aspect)

    def last_rung_with(self, key: str) -> int:
        """Return the position of the coarsest rung that has `key`; finer rungs determine it."""
        return max(i for i, rung in enumerate(self.rungs) if key in rung.keys)

    @model_validator(mode="after")
    def _check_ladder(self) -> Self:
        names = (*self.rung_names, SUPPRESSED)
        if len(set(names)) < len(names):
            raise ValueError(f"rung names must differ, also from '{SUPPRESSED}': {names}")
        for finer, coarser in pairwise(self.rungs):
            if set(finer.keys) <= set(coarser.keys):
                raise ValueError(f"rung '{coarser.name}' is not coarser than '{finer.name}'")
        return self

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if (self.contributor is None) == (self.weight is None):
            raise ValueError("say either `contributor` (a token per person) or `weight` (persons per row)")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("contributor or weight, aspect column and keys must be different columns")
        if taken := sorted({GATE_RUNG, GRAIN_CODE} & set(self.columns)):
            raise ValueError(f"reserved for the gate: {taken}")
        for rung in self.rungs:
            if self.aspects and self.aspects.kind not in rung.keys:
                raise ValueError(f"rung '{rung.name}' needs the key '{self.aspects.kind}'")
        return self
