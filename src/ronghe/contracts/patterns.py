"""Datetime patterns of a feed's columns: what is wrong with one is known without an engine.

The letters are those by which Spark 4 reads text ("Datetime Patterns for Formatting and Parsing" of its reference).
"""

import re

from ronghe.contracts.base import repeated

# Numbers since 1970-01-01 UTC instead of a pattern.
EPOCHS = ("epoch_seconds", "epoch_millis")
# How often a letter may stand in a row, besides V and O. Spark reads no weekday, quarter, or year of weeks.
_LONGEST = dict(zip("GyDMLdaHkhKmsSzXxZ", (4, 6, 3, 4, 4, 2, 1, 2, 2, 2, 2, 2, 2, 9, 4, 5, 5, 5), strict=True))
_LENGTHS = {letter: range(1, longest + 1) for letter, longest in _LONGEST.items()} | {"V": (2,), "O": (1, 4)}
_MEANT = {"Y": "y", "u": "y", "A": "a"}
_RUN = re.compile(r"([A-Za-z])\1*")
_QUOTED = re.compile("'[^']*'")
_OPTIONAL = re.compile(r"\[[^\[\]]*\]")
_OFFSET = frozenset("VzOXxZ")
# Which letters mean nothing without one of others, and what to say of it.
_NEEDS = (
    ("d", "ML", "the month (M) is missing; m is a minute"),
    ("HhkK", "dD", "the day (d) of its hour is missing"),
    ("m", "HhkK", "the hour (H) of its minutes (m) is missing; a month is M"),
    ("s", "m", "the minute (m) of its seconds (s) is missing"),
    ("S", "s", "the second (s) of its fraction (S) is missing"),
    ("hK", "a", "an hour of twelve (h, K) says nothing without a; H is that of a day"),
)


def reads_an_offset(pattern: str) -> bool:
    """Say whether text of a pattern tells its offset or zone, so that no clock needs to be known."""
    return pattern in EPOCHS or not _OFFSET.isdisjoint(_QUOTED.sub("", pattern))


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern by which a day or an instant is read, or none."""
    if pattern in EPOCHS:
        return None
    bare = _QUOTED.sub("", pattern)
    if "'" in bare:
        return "a ' is not closed"
    if reserved := sorted(set(bare) & set("{}#")):
        return f"{reserved[0]} means nothing; write it between two '"
    for run in _RUN.finditer(bare):
        letter = run[1]
        if letter not in _LENGTHS:
            return f"{letter} reads nothing; write {_MEANT.get(letter, repr(letter))} if that is meant"
        if len(run[0]) not in _LENGTHS[letter]:
            return f"{run[0]} reads nothing; write {' or '.join(letter * n for n in _LENGTHS[letter])}"
    return _incomplete(bare)


def _incomplete(bare: str) -> str | None:
    """Return what a pattern lacks, or has twice, to read one day or instant of every text; or none."""
    while (always := _OPTIONAL.sub("", bare)) != bare:
        bare = always
    if "[" in bare or "]" in bare:
        return "[ and ] do not pair"
    runs = [run[1] for run in _RUN.finditer(bare)]
    if twice := repeated(runs):
        return f"{twice[0]} stands twice"
    if "y" not in runs:
        return "the year (y) is missing"
    if "D" in runs and not {"M", "L", "d"}.isdisjoint(runs):
        return "D is the day of the year; that of a month is d"
    lacking = (said for letters, needed, said in _NEEDS if set(letters) & set(runs) and not set(needed) & set(runs))
    return next(lacking, None)
