"""Deliveries: which record goes into which day's file, at which place, and with which defect."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path

from ronghe.simulate.defects import Defect, Pick

AT_END = float("inf")
_STANDARD_DAYS = 28


@dataclass(frozen=True)
class Window:
    """What a run covers: where to, which days, how much, and from which seed.

    `upstream` is where systems that are asked, instead of delivering, keep their records.
    """

    landing: Path
    upstream: Path
    days: tuple[date, ...]
    scale: float
    seed: int

    @property
    def factor(self) -> float:
        """How much of a full-scale run of 28 days this is."""
        return self.scale * len(self.days) / _STANDARD_DAYS

    def busyness(self, weekend: float) -> list[float]:
        """Return each day's weight: 1, or `weekend` on Saturdays and Sundays."""
        return [weekend if day.weekday() >= 5 else 1.0 for day in self.days]

    @property
    def weeks(self) -> tuple[date, ...]:
        """The first day and every seventh after it: when weekly lists are delivered."""
        return self.days[::7]

    def clock(self, day: int, second: int) -> datetime:
        """Return the local time so many seconds into a day of the window."""
        return datetime.combine(self.days[day], time()) + timedelta(seconds=second)


@dataclass(frozen=True)
class Feed:
    """A feed's id and where its files lie."""

    source: str
    name: str
    stem: str
    suffix: str

    @property
    def id(self) -> str:
        """The contract's id."""
        return f"{self.source}.{self.name}"

    def path(self, day: date) -> str:
        """Return the file's path below the landing folder."""
        return f"{self.source}/{self.name}/{day}/{self.stem}_{day:%Y%m%d}.{self.suffix}"


@dataclass(slots=True)
class Entry:
    """A record in a file: its fields, and its defect if it has one."""

    position: float
    row: list[str]
    defect: Defect | None = None

    @property
    def accepted(self) -> bool:
        """Whether the record is fit to be used."""
        return self.defect is None or self.defect.fate == "accepted"


@dataclass
class Sorter:
    """Puts the records of a feed into the files of its days.

    Args:
        sizes: how many records of its own each day has, so that strangers can be placed among them.
        rng: chance for places and delays.
    """

    sizes: Sequence[int]
    rng: random.Random
    _bins: dict[int, list[Entry]] = field(default_factory=dict)

    @cached_property
    def _last(self) -> int:
        return len(self.sizes) - 1

    def put(self, day: int, index: int, row: list[str], pick: Pick | None) -> None:
        """File one record of a day's own, and what its defect makes of it.

        A copy stands behind its original: later in the same file, or anywhere in a later one.
        """
        if pick is None:
            self._add(day, float(index), row, None)
            return
        fault = pick.fault
        if fault.keeps_original:
            self._add(day, float(index), row, None)
        target = day + self._delay(day, fault.delay)
        copy = list(row)
        if fault.edit is not None:
            fault.edit(copy, target, self.rng)
        self._add(target, self._position(day, index, target, pick), copy, fault.defect)

    def take(self, day: int) -> list[Entry]:
        """Return a day's records in the order of its file, and forget them."""
        return sorted(self._bins.pop(day, []), key=lambda entry: entry.position)

    def _add(self, day: int, position: float, row: list[str], defect: Defect | None) -> None:
        self._bins.setdefault(day, []).append(Entry(position, row, defect))

    def _delay(self, day: int, delay: tuple[int, int]) -> int:
        least, most = delay
        return self.rng.randint(least, min(most, self._last - day)) if most else 0

    def _position(self, day: int, index: int, target: int, pick: Pick) -> float:
        if pick.fault.at_end:
            return AT_END
        if target != day:
            return self.rng.uniform(-0.5, self.sizes[target] - 0.5)
        if pick.fault.keeps_original:
            return self.rng.uniform(index + 0.25, self.sizes[day])
        return float(index)
