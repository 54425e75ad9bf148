"""Feeds of rows: defects chosen, records sorted into deliveries, files written, fates noted. And rows as JSON."""

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from ronghe.simulate.defects import Defect, Fault, Mask, Pick, choose
from ronghe.simulate.delivery import AT_END, Entry, Feed, Sorter, Window
from ronghe.simulate.files import write_atomically
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.truth import TruthLog

Rows = Sequence[list[str]]
_REPEATED = Pick(Fault(Defect("repeated", "deduplicated"), 0))


def weekly(window: Window) -> tuple[date, ...]:
    """Return the days of a feed that is delivered once a week: the window's last, and every seventh before it."""
    return tuple(sorted(window.days[::-1][::7]))


def write_records(
    window: Window,
    log: TruthLog,
    feed: Feed,
    days: Sequence[date],
    rows: Sequence[Rows],
    faults: Sequence[Fault],
    encode: Callable[[Sequence[Entry], random.Random], bytes],
    *,
    repeated: int = 0,
    only: Mapping[str, Mask] | None = None,
) -> None:
    """Write a file per day and note its truth.

    Args:
        window: where to, and the seed.
        log: takes the fates.
        feed: the feed.
        days: its business days.
        rows: each day's records, without defects.
        faults: what may be wrong with them.
        encode: makes a day's file of its records.
        repeated: so many records at the beginning of each day are the same on all days, and free of defects.
        only: by kind of defect, the records (numbered through all days) that may have it.
    """
    sizes = [len(day) for day in rows]
    spared = np.concatenate([np.arange(size) < repeated for size in sizes])
    picks = choose(
        faults, sizes, window.factor, vector_stream(window.seed, f"{feed.name} defects"), spared=spared, only=only
    )
    for later in picks[1:]:
        later.update(dict.fromkeys(range(repeated), _REPEATED))
    rng = stream(window.seed, f"{feed.name} rows")
    sorter = Sorter(sizes, rng)
    for number, day in enumerate(days):
        for index, row in enumerate(rows[number]):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        write_atomically(window.landing / feed.path(day), encode(entries, rng))
        log.add_delivery(feed, day, entries)


def document(columns: Sequence[str], row: Sequence[str], typed: Collection[str]) -> dict[str, Any]:
    """Return a row as a JSON object: a dotted column is a nested key, an empty cell is no key.

    Args:
        columns: names of the cells.
        row: the cells, all text.
        typed: cells that are JSON themselves, as numbers are; one that cannot be read as such stays text.
    """
    found: dict[str, Any] = {}
    for name, cell in zip(columns, row, strict=True):
        if cell == "":
            continue
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(cell) if name in typed else cell
    return found


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def json_lines(columns: Sequence[str], typed: Collection[str]) -> Callable[[Sequence[Entry], random.Random], bytes]:
    """Return an encoder into one JSON object a line; a torn one is cut, and has no line end if it is the last."""

    def encode(entries: Sequence[Entry], rng: random.Random) -> bytes:
        lines = []
        for entry in entries:
            line = json.dumps(document(columns, entry.row, typed), ensure_ascii=False, separators=(",", ":"))
            if entry.defect and entry.defect.kind == "torn":
                line = line[: rng.randint(len(line) // 3, len(line) - 2)]
            lines.append(line)
        torn_off = bool(entries) and entries[-1].position == AT_END
        return "\n".join(lines).encode() + (b"" if torn_off else b"\n")

    return encode
