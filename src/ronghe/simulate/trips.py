"""How people move: who swipes where and when, for all days at once, as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ronghe.simulate.delivery import Window
from ronghe.simulate.randomness import vector_stream
from ronghe.simulate.stations import (
    FIRST_STOP,
    METRO,
    STOP_COUNT,
    TINY_STOP,
    distances_km,
    work_weights,
    zipf,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

METRO_IN, METRO_OUT, BUS_IN = range(3)
_OPENING, _CLOSING = 6 * 3600, 25 * 3600
_FEWEST_CARDS = 24

# Shares of the commuters' and visitors' cards in use on a working day and at the weekend. With 3,800 and 4,000
# cards this gives about 17,500 and 10,000 swipes a day.
_COMMUTERS, _COMMUTING = 3800, (0.829, 0.329)
_VISITORS, _VISITING = 4000, (0.225, 0.425)
_BOARDING = (0.397, 0.205)


@dataclass(frozen=True)
class Swipes:
    """Swipes of the whole window, by day and then time. `second` counts from the service day's midnight."""

    cards: tuple[str, ...]
    sizes: tuple[int, ...]
    card: Ints
    second: Ints
    kind: Ints
    stop: Ints
    reader: Ints
    fare_cents: Ints


def travel(window: Window) -> Swipes:
    """Let everyone travel through the window's days."""
    rng = vector_stream(window.seed, "swipes")
    city = _City(rng, window.scale)
    days = [city.day(int(day.weekday() >= 5)) for day in window.days]
    columns = np.concatenate(days, axis=1)
    return Swipes(city.cards, tuple(day.shape[1] for day in days), *columns)


class _City:
    """The cards and their homes and places of work."""

    def __init__(self, rng: np.random.Generator, scale: float) -> None:
        self._rng = rng
        self._commuters = max(_FEWEST_CARDS, round(_COMMUTERS * scale))
        self._visitors = max(_FEWEST_CARDS, round(_VISITORS * scale))
        self.cards = _card_numbers(rng, self._commuters + self._visitors)
        self._homes = zipf(len(METRO), 0.75)
        self._goals = work_weights()
        self._kilometres = distances_km()
        self._home, self._work = self._draw_ends(self._commuters)

    def day(self, weekend: int) -> Ints:
        """Return one day's swipes as rows card, second, kind, stop, reader, fare; sorted by time."""
        parts = [
            *self._commutes(_COMMUTING[weekend]),
            self._outings(_VISITING[weekend]),
            self._boardings(_BOARDING[weekend]),
        ]
        swipes: Ints = np.concatenate(parts, axis=1)
        return swipes[:, np.lexsort((swipes[0], swipes[1]))]

    def _commutes(self, share: float) -> list[Ints]:
        rng = self._rng
        who = rng.choice(self._commuters, round(self._commuters * share), replace=False)
        leave = _within(rng, rng.normal(8 * 3600, 2100, len(who)), _OPENING, 10.5 * 3600)
        back = _within(rng, rng.normal(18.5 * 3600, 3300, len(who)), 12 * 3600, 22 * 3600)
        late = rng.random(len(who)) < 0.05
        back[late] = rng.uniform(22 * 3600, _CLOSING - 3060, int(late.sum()))
        return [
            self._rides(who, self._home[who], self._work[who], leave),
            self._rides(who, self._work[who], self._home[who], back),
        ]

    def _outings(self, share: float) -> Ints:
        rng = self._rng
        who = rng.choice(self._visitors, round(self._visitors * share), replace=False)
        start = rng.uniform(7 * 3600, 23.5 * 3600, len(who))
        return self._rides(who + self._commuters, *self._draw_ends(len(who)), start)

    def _rides(self, card: Ints, origin: Ints, goal: Ints, start: Floats) -> Ints:
        """Return an entry and an exit for each ride; it takes 20 to 50 minutes."""
        rng = self._rng
        kilometres = self._kilometres[origin, goal]
        slow = np.clip(kilometres / 30 + rng.normal(0, 0.1, len(card)), 0, 1)
        entered = start.astype(np.int64)
        left = entered + (1200 + 1800 * slow).astype(np.int64)
        fare = _fare_cents(kilometres, rng.random(len(card)) < 0.6)
        return np.concatenate(
            [
                self._rows(card, entered, METRO_IN, origin, np.zeros_like(card)),
                self._rows(card, left, METRO_OUT, goal, fare),
            ],
            axis=1,
        )

    def _boardings(self, share: float) -> Ints:
        """Return at most one boarding per card; the tiny stop has three to seven, whatever the scale."""
        rng = self._rng
        everyone = self._commuters + self._visitors
        who = rng.choice(everyone, round(everyone * share), replace=False)
        stop = rng.choice(TINY_STOP, len(who), p=zipf(TINY_STOP, 0.8))
        stop[: int(rng.integers(3, 8))] = TINY_STOP
        peak = rng.choice(np.array([8.0, 18.3]) * 3600, len(who))
        spread = np.where(rng.random(len(who)) < 0.6, 2700.0, 14400.0)
        second = _within(rng, rng.normal(peak, spread), _OPENING, 23.5 * 3600).astype(np.int64)
        fare = rng.choice([160, 200, 250], len(who))
        return self._rows(who, second, BUS_IN, stop + len(METRO), fare)

    def _rows(self, card: Ints, second: Ints, kind: int, place: Ints, fare: Ints) -> Ints:
        stop = FIRST_STOP[place] + self._rng.integers(0, STOP_COUNT[place])
        reader = self._rng.integers(1, 13, len(card))
        return np.stack([card, second, np.full_like(card, kind), stop, reader, fare])

    def _draw_ends(self, count: int) -> tuple[Ints, Ints]:
        origin = self._rng.choice(len(METRO), count, p=self._homes)
        goal = self._rng.choice(len(METRO), count, p=self._goals)
        goal = np.where(goal == origin, (goal + 1) % len(METRO), goal)
        return origin, goal


def _card_numbers(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    found: dict[int, None] = {}
    while len(found) < count:
        found.update(dict.fromkeys(rng.integers(0, 10**12, count - len(found)).tolist()))
    return tuple(f"3104{number:012d}" for number in found)


def _within(rng: np.random.Generator, seconds: Floats, first: float, last: float) -> Floats:
    """Draw again, evenly, what falls outside the hours, so that nobody piles up at their edges."""
    outside = (seconds < first) | (seconds >= last)
    return np.where(outside, rng.uniform(first, last, len(seconds)), seconds)


def _fare_cents(kilometres: Floats, discount: npt.NDArray[np.bool_]) -> Ints:
    """Return the fare: 2 yuan, one more per 5 km on rails, at most 14; five per cent off for most cards."""
    yuan = np.minimum(2 + np.floor(kilometres * 1.3 / 5), 14)
    cents: Ints = np.round(yuan * np.where(discount, 95, 100)).astype(np.int64)
    return cents
