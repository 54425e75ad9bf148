"""Check digits of the identifiers the feeds carry, after the national standards."""

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUE = {character: value for value, character in enumerate(USCC_ALPHABET)}
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"


def with_uscc_check(first_17: str) -> str:
    """Return the unified social credit code (GB 32100-2015) that begins with 17 characters."""
    total = sum(_USCC_VALUE[c] * w for c, w in zip(first_17, _USCC_WEIGHTS, strict=True))
    return first_17 + USCC_ALPHABET[-total % 31]


def with_organisation_check(first_8: str) -> str:
    """Return the organisation code (GB 11714-1997) that begins with 8 characters."""
    total = sum(int(c, 36) * w for c, w in zip(first_8, _ORGANISATION_WEIGHTS, strict=True))
    return first_8 + "0123456789X"[-total % 11]


def with_resident_check(first_17: str) -> str:
    """Return the resident identity number (GB 11643-1999) that begins with 17 digits."""
    total = sum(int(c) * w for c, w in zip(first_17, _RESIDENT_WEIGHTS, strict=True))
    return first_17 + _RESIDENT_CHECKS[total % 11]


def to_15(resident_id: str) -> str:
    """Return the 15-digit form of before 1999: the year in two digits, no check digit."""
    return resident_id[:6] + resident_id[8:17]


def to_18(short_id: str) -> str:
    """Return the 18-digit form; the 15-digit form was given only to those born in the 1900s."""
    return with_resident_check(f"{short_id[:6]}19{short_id[6:]}")


def break_check(code: str, alphabet: str) -> str:
    """Return the code with a wrong last character."""
    return code[:-1] + alphabet[(alphabet.index(code[-1]) + 1) % len(alphabet)]
