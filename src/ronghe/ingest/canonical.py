"""Typed values as text: one spelling for each value, whatever system it comes from.

Whole numbers and decimals have every digit and no exponent; floats are the shortest text that means the same number;
truth values are `true` and `false`; days, times and instants are ISO 8601 with `T`, with an offset where the value has
a zone, and with a fraction only where there is one; durations are seconds as in PT93600S; bytes are UTF-8 text, in
which a byte that does not decode is a lone surrogate; lists and records are compact JSON.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from ronghe.ingest.encodings import ESCAPE

_SPELLINGS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (str, str),
    (bool, lambda value: "true" if value else "false"),
    (int, int.__str__),
    (float, float.__repr__),
    (Decimal, lambda value: format(value, "f")),
    ((datetime, date, time), lambda value: str(value.isoformat())),
    (timedelta, lambda value: f"PT{format(_seconds(value), 'f')}S"),
    ((bytes, bytearray, memoryview), lambda value: bytes(value).decode("utf-8", ESCAPE)),
    ((list, tuple, Mapping), lambda value: json_text(value)),
)


def as_text(value: Any) -> str | None:
    """Return a value as the text of a cell; none stays none."""
    if value is None:
        return None
    return next((spell(value) for kind, spell in _SPELLINGS if isinstance(value, kind)), str(value))


def json_text(value: Any) -> str:
    """Return a value as compact JSON text; what JSON has no type for is written as `as_text` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=as_text)


def _seconds(value: timedelta) -> Decimal:
    """Return a duration in seconds, without zeros at the end."""
    whole = Decimal(value.days * 86_400 + value.seconds)
    return whole + (Decimal(value.microseconds) / 1_000_000).normalize() if value.microseconds else whole
