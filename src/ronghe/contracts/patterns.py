"""Datetime patterns of a feed's columns: what is wrong with one is known without an engine.

The letters are those by which Spark 4 reads text ("Datetime Patterns for Formatting and Parsing" of its reference).
"""

import re

# Numbers since 1970-01-01 UTC instead of a pattern.
EPOCHS = ("epoch_seconds", "epoch_millis")
# How often a letter may stand in a row. Spark reads no weekday, quarter, or year of weeks.
_LONGEST = dict(zip("GyDMLdaHkhKmsSVzOXxZ", (4, 6, 3, 4, 4, 2, 1, 2, 2, 2, 2, 2, 2, 9, 2, 4, 4, 5, 5, 5), strict=True))
_MEANT = {"Y": "y", "u": "y", "A": "a"}
_QUOTED = re.compile("'[^']*'")
_OFFSET = frozenset("VzOXxZ")


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
    for run in re.finditer(r"([A-Za-z])\1*", bare):
        letter, length = run[1], len(run[0])
        if letter not in _LONGEST:
            return f"{letter} reads nothing; write {_MEANT.get(letter, repr(letter))} if that is meant"
        if length > _LONGEST[letter]:
            return f"{run[0]} is longer than {letter * _LONGEST[letter]}"
    return _incomplete(set(bare))


def _incomplete(signs: set[str]) -> str | None:
    """Return the part that a day needs and a pattern with these signs does not read, or none."""
    if "y" not in signs:
        return "the year (y) is missing"
    if "d" in signs and signs.isdisjoint("ML"):
        return "the month (M) is missing"
    if "m" in signs and signs.isdisjoint("HhkK"):
        return "the hour (H) of its minutes (m) is missing; a month is M"
    if not signs.isdisjoint("hK") and "a" not in signs:
        return "an hour of twelve (h, K) says nothing without a; H is that of a day"
    return None
