"""Named value checks of row rules, as Spark SQL text; pure Python, without Spark.

A predicate is TRUE or FALSE for every string and NULL for NULL (whether a value may be missing is
another rule). It cannot raise under ANSI mode: the shape is tested first, inside CASE, and what
follows uses no function that refuses a value.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS: Final = tuple(pow(3, position, 31) for position in range(17))
_ID_ALPHABET: Final = "0123456789X"
_ID_WEIGHTS: Final = tuple(pow(2, 17 - position, 11) for position in range(17))


def quoted(column: str) -> str:
    """Return a column name as one Spark SQL identifier, whatever characters it holds."""
    return "`" + column.replace("`", "``") + "`"


def uscc(column: str) -> str:
    """Return the predicate for a unified social credit code (GB 32100-2015).

    18 characters: registering authority, kind of organisation, six digits of the region, nine of
    the organisation code, one check character. Letters exclude I, O, S, V and Z. The check
    character makes the sum of value times 3**(i-1), plus its own value, a multiple of 31.
    """
    name = quoted(column)
    letters = "[0-9A-HJ-NPQRTUWXY]"
    checked = _sum_is(name, _USCC_ALPHABET, _USCC_WEIGHTS, modulus=31, remainder=0)
    return _when_shaped(name, f"^{letters}{{2}}[0-9]{{6}}{letters}{{10}}$", checked)


def resident_id(column: str) -> str:
    """Return the predicate for an 18-character resident identity number (GB 11643-1999).

    A birth date that exists, and the ISO 7064 MOD 11-2 check: the sum of digit times 2**(18-i) mod
    11, plus the check digit (X is 10), leaves 1. The region is not checked: numbers outlive
    districts, and someone born before a district was made may carry its code.
    """
    name = quoted(column)
    parts = ", '-', ".join(f"substr({name}, {at}, {size})" for at, size in ((7, 4), (11, 2), (13, 2)))
    # Cast, not try_to_date: its answer does not depend on the session's time parser policy.
    dated = f"try_cast(concat({parts}) AS DATE) IS NOT NULL"
    checked = _sum_is(name, _ID_ALPHABET, _ID_WEIGHTS, modulus=11, remainder=1)
    return _when_shaped(name, "^[0-9]{6}(?!0000)[0-9]{11}[0-9X]$", f"{dated} AND {checked}")


def _when_shaped(name: str, pattern: str, checked: str) -> str:
    """Return a predicate that asks `checked` only of 18 characters that match the pattern.

    The length is asked too, because `$` in Java also matches before a final line break.
    """
    shaped = f"length({name}) = 18 AND {name} RLIKE '{pattern}'"
    return f"(CASE WHEN {shaped} THEN {checked} WHEN {name} IS NOT NULL THEN FALSE END)"


def _sum_is(name: str, alphabet: str, weights: tuple[int, ...], *, modulus: int, remainder: int) -> str:
    """Return the predicate: weighted values, plus the last character's own, leave `remainder`.

    `instr` counts from 1, a character's value from 0: the weights' total is added to the remainder
    instead of subtracting 1 in each term.
    """
    terms = [
        f"{weight} * instr('{alphabet}', substr({name}, {position}, 1))"
        for position, weight in enumerate((*weights, 1), start=1)
    ]
    expected = (remainder + sum(weights) + 1) % modulus
    return f"({' + '.join(terms)}) % {modulus} = {expected}"


CHECKS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType({"uscc": uscc, "resident_id": resident_id})
"""Every check by the name under which a contract asks for it: column name to predicate text."""
