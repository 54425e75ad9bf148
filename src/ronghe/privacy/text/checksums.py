"""Check digits of identifiers in text; separators, brackets and case do not count."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from stdnum import luhn
from stdnum.cn import ric, uscc

_VIN_VALUES: Final = dict(
    zip(
        "0123456789ABCDEFGHJKLMNPRSTUVWXYZ", [*range(10), *range(1, 9), 1, 2, 3, 4, 5, 7, 9, *range(2, 10)], strict=True
    )
)
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_GROUPS: Final = re.compile(r"[0-9]+")


def _plain(value: str) -> str:
    return "".join(sign for sign in value if sign.isascii() and sign.isalnum()).upper()


def resident_id(value: str) -> bool:
    """Say whether the 18 characters in a value have the check of GB 11643-1999; the region is not asked for."""
    plain = _plain(value).lstrip("GJL")[:18]
    return len(plain) == 18 and plain[:17].isdigit() and ric.calc_check_digit(plain) == plain[17]


def _uscc(value: str) -> bool:
    return bool(uscc.is_valid(_plain(value)))


def organisation_code(value: str) -> bool:
    """Say whether a code of nine characters has the check of GB 11714-1997."""
    plain = _plain(value)
    total = sum(int(sign, 36) * weight for sign, weight in zip(plain, _ORGANISATION_WEIGHTS, strict=False))
    return len(plain) == 9 and "0123456789X"[-total % 11] == plain[8]


def _luhn(value: str) -> bool:
    return bool(luhn.is_valid(_plain(value)))


def vin(value: str) -> bool:
    """Say whether 17 characters have the check of GB 16735-2019 at their ninth place."""
    total = sum(_VIN_VALUES.get(sign, 0) * weight for sign, weight in zip(value.upper(), _VIN_WEIGHTS, strict=True))
    return "0123456789X"[total % 11] == value.upper()[8]


def hong_kong_id(value: str) -> bool:
    """Say whether one or two letters, six digits and a check digit fit together (modulus 11)."""
    plain = _plain(value).rjust(9)
    values = [36 if sign == " " else int(sign, 36) for sign in plain[:8]]
    total = sum(number * weight for number, weight in zip(values, range(9, 1, -1), strict=True))
    return "0123456789A"[-total % 11] == plain[8]


def even_groups(value: str) -> bool:
    """Say whether the digits are grouped as people group one number: not at all, singly, or in longer groups.

    `138 1234 5678` is one number; `15-3-201 15-3-202` is two flats.
    """
    single = [len(group) == 1 for group in _GROUPS.findall(value)]
    return all(single) or sum(single) < 2


CHECKSUMS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "resident_id": resident_id,
        "uscc": _uscc,
        "organisation_code": organisation_code,
        "luhn": _luhn,
        "vin": vin,
        "hong_kong_id": hong_kong_id,
        "even_groups": even_groups,
    }
)
