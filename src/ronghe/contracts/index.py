"""Composite indices: which indicators a score is made of, where they are measured, and how they are brought together.

Plain data, no Spark; `ronghe.risk` carries it out.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ronghe.contracts.base import ContractError, Declaration

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class IndexSource(Declaration):
    """Rows that indicators are counted over.

    `sql` reads the accepted rows of `tables` as views named `<layer>_<table>`, each with the column
    `period_end_date`, and the view `unit` (`unit_code`, `tier_code`, `period_end_date`); it gives `period_end_date`,
    `region_code` and what the indicators ask for. Of `carried` tables the rows of earlier periods are read too: what
    was true as of a period's end. `regions: areas` says that a city's rows are not in its province's and are added to
    them; `units` says that they are.
    """

    name: Name
    tables: tuple[str, ...] = Field(min_length=1)
    carried: tuple[str, ...] = ()
    regions: Literal["areas", "units"]
    sql: str

    @model_validator(mode="after")
    def _carried_are_read(self) -> "IndexSource":
        if unread := sorted(set(self.carried) - set(self.tables)):
            raise ValueError(f"source {self.name} carries {unread} without reading them")
        return self


class Family(Declaration):
    """Indicators of one kind. `pressure` presses on a unit, `capacity` is what it has against it."""

    code: Name
    name_zh: str
    name_en: str
    side: Literal["pressure", "capacity"]
    weight: float = Field(gt=0)


class Goalposts(Declaration):
    """The values that stand for the ends of the scale; fixed, so that scores of different periods compare."""

    minimum: float
    maximum: float

    @model_validator(mode="after")
    def _apart(self) -> "Goalposts":
        if self.minimum >= self.maximum:
            raise ValueError(f"goalposts {self.minimum} and {self.maximum} are no range")
        return self


class Indicator(Declaration):
    """One indicator: `per` times `numerator` by `denominator`, both SQL aggregates over the rows of `source`.

    `direction` 1 raises the risk, -1 lowers it. `small_counts: gamma_poisson` draws rates of few events towards those
    of the tier. `coverage` is a SQL aggregate from 0 to 1; below `minimum_coverage` the value counts as missing.
    """

    code: Name
    name_zh: str
    name_en: str
    family: Name
    direction: Literal[1, -1]
    weight: float = Field(gt=0)
    unit: str
    source: Name
    numerator: str
    denominator: str
    per: float = Field(default=1, gt=0)
    goalposts: Goalposts
    small_counts: Literal["as_is", "gamma_poisson"] = "as_is"
    coverage: str | None = None
    minimum_coverage: float = Field(default=0, ge=0, le=1)
    reference: str = Field(min_length=1)


class RankInterval(Declaration):
    """How ranks are tried: weights drawn within `weight_change` of their own, and each indicator left out once."""

    draws: int = Field(ge=1)
    weight_change: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


class RiskIndex(Declaration):
    """A composite index over the codes of a code set; those ending in 0000 are regions, the others cities.

    Scores are rounded to `decimals` before they are ranked. A unit with less than `minimum_availability` of the
    indicators measured is not ranked.
    """

    id: Name
    name_zh: str
    name_en: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    units: str
    decimals: int = Field(ge=0, le=6)
    minimum_availability: float = Field(gt=0, le=1)
    rank_interval: RankInterval
    sources: tuple[IndexSource, ...] = Field(min_length=1)
    families: tuple[Family, ...] = Field(min_length=1)
    indicators: tuple[Indicator, ...] = Field(min_length=1)

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table the index is measured on, sorted."""
        return tuple(sorted({name for source in self.sources for name in source.tables}))

    @property
    def carried(self) -> frozenset[str]:
        """The tables of which earlier periods count too."""
        return frozenset(name for source in self.sources for name in source.carried)

    @model_validator(mode="after")
    def _consistent(self) -> "RiskIndex":
        kinds = (
            ("source", [s.name for s in self.sources], {i.source for i in self.indicators}),
            ("family", [f.code for f in self.families], {i.family for i in self.indicators}),
        )
        for kind, named, used in kinds:
            if unknown := sorted(used - set(named)):
                raise ValueError(f"there is no {kind} {unknown}")
            if unused := sorted(set(named) - used):
                raise ValueError(f"no indicator uses {kind} {unused}")
        for names in (*(named for _, named, _ in kinds), [i.code for i in self.indicators]):
            if twice := sorted(name for name, count in Counter(names).items() if count > 1):
                raise ValueError(f"named twice: {twice}")
        if len({family.side for family in self.families}) < 2:
            raise ValueError("an index needs families of pressure and of capacity: neither stands for the other")
        return self


def read_index(path: Path) -> RiskIndex:
    """Read one index; its id is the file's name.

    Raises:
        ContractError: the file is wrong or the id differs from the file's name.
    """
    index = RiskIndex.from_yaml(path)
    if index.id != path.stem:
        raise ContractError(f"{path}: id {index.id!r} must be {path.stem!r}, after the file")
    return index
