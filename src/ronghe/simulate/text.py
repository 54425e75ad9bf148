"""Spellings: the widths and spaces in which the same text arrives."""

import random

_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()} | {0x3000: 0x20}


def full_width(text: str) -> str:
    """Return the text with every ASCII character in its full-width form."""
    return text.translate(_WIDE)


def canonical(text: str) -> str:
    """Return the text half-width and without spaces, as the contracts' normalisers leave it."""
    return "".join(text.translate(_NARROW).split())


def wide_brackets(text: str) -> str:
    """Return the text with full-width round brackets."""
    return text.replace("(", "（").replace(")", "）")


def spell_code(code: str, rng: random.Random, *, odd: float = 0.04) -> str:
    """Return a code as typed: mostly plain, now and then in lower case or full width."""
    if rng.random() >= odd:
        return code
    return code.lower() if rng.random() < 0.5 else full_width(code)


def spell_name(name: str, rng: random.Random) -> str:
    """Return an organisation's canonical name as typed: brackets of either width, stray spaces."""
    spelt = wide_brackets(name) if rng.random() < 0.5 else name
    if rng.random() < 0.03:
        cut = rng.randrange(2, len(spelt) - 1)
        spelt = f"{spelt[:cut]}{rng.choice(' 　')}{spelt[cut:]}"
    return spelt
