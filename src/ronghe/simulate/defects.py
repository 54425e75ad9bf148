"""Defects: what may be wrong with a record, how often, what becomes of it, and which records get it."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Fate = Literal["accepted", "deduplicated", "quarantined"]
Edit = Callable[[list[str], int, random.Random], None]
Ordinals = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Defect:
    """A kind of defect and the fate the platform owes the record."""

    kind: str
    fate: Fate
    reason: str | None = None


@dataclass(frozen=True)
class Fault:
    """How one defect is made.

    Attributes:
        defect: what the truth says of the record.
        count: how many at scale 1 in 28 days; at least two are made whatever the scale.
        edit: changes the fields in place; is given the day of delivery.
        keeps_original: the record itself stays as it is and a copy is added.
        delay: days by which the (copied) record is delivered late, least and most.
        at_end: it becomes the last record of its file; at most one per day.
        exactly: this many, whatever the scale.
    """

    defect: Defect
    count: int
    edit: Edit | None = None
    keeps_original: bool = False
    delay: tuple[int, int] = (0, 0)
    at_end: bool = False
    exactly: int | None = None

    def wanted(self, factor: float) -> int:
        """Return how many to make at that share of a full run."""
        return max(2, round(self.count * factor)) if self.exactly is None else self.exactly


@dataclass(frozen=True)
class Pick:
    """A record that was chosen for a defect."""

    fault: Fault


def quarantined(kind: str, reason: str, count: int, edit: Edit) -> Fault:
    """Return a defect that sends its record to quarantine for that reason."""
    return Fault(Defect(kind, "quarantined", reason), count, edit)


def duplicates(within: int, resent: int) -> tuple[Fault, Fault]:
    """Return exact copies inside a file, and in the next day's file."""
    return (
        Fault(Defect("duplicate", "deduplicated"), within, keeps_original=True),
        Fault(Defect("duplicate_resent", "deduplicated"), resent, keeps_original=True, delay=(1, 1)),
    )


def set_field(column: int, value: str) -> Edit:
    """Return an edit that writes a fixed value into one column."""

    def edit(row: list[str], _day: int, _rng: random.Random) -> None:
        row[column] = value

    return edit


def choose(
    faults: Sequence[Fault],
    sizes: Sequence[int],
    factor: float,
    rng: np.random.Generator,
    *,
    spared: Mask | None = None,
    only: Mapping[str, Mask] | None = None,
) -> list[dict[int, Pick]]:
    """Choose records for every fault; no record gets two.

    Where a window is too short for a delay, that fault is not made.

    Args:
        faults: what to make.
        sizes: number of records of each day.
        factor: share of a full run.
        rng: chance.
        spared: records (numbered through all days) that stay sound.
        only: by kind of defect, the records that may have it.

    Returns:
        For each day, the chosen records by their index within the day.
    """
    day_of = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    free = np.ones(len(day_of), dtype=bool) if spared is None else ~spared
    pool: Ordinals = rng.permutation(np.flatnonzero(free))
    chosen: list[dict[int, Pick]] = [{} for _ in sizes]
    for fault in sorted(faults, key=lambda f: _hardest_first(f, only or {})):
        fit = day_of[pool] < len(sizes) - fault.delay[0]
        if only is not None and fault.defect.kind in only:
            fit &= only[fault.defect.kind][pool]
        candidates = pool[fit]
        if fault.at_end:
            _, first = np.unique(day_of[candidates], return_index=True)
            candidates = candidates[np.sort(first)]
        taken = candidates[: fault.wanted(factor)]
        pool = pool[~np.isin(pool, taken)]
        for ordinal in taken.tolist():
            day = int(day_of[ordinal])
            chosen[day][ordinal - int(starts[day])] = Pick(fault)
    return chosen


def _hardest_first(fault: Fault, only: Mapping[str, Mask]) -> tuple[bool, bool, int]:
    return (fault.defect.kind not in only, not fault.at_end, -fault.delay[0])
