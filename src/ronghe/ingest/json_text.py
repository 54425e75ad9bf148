"""JSON text and what it means, with numbers as they were written."""

import json
from typing import Any


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Doubled(dict[str, Any]):
    """An object that has a name twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Doubled(found)


def _no_number(name: str) -> Any:
    raise json.JSONDecodeError("no number", name, 0)


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_no_number)


def decoded_json(text: str) -> Any:
    """Return what JSON text means, with its numbers as they were written.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return DECODER.decode(text)
    except RecursionError:
        raise ValueError("too deep") from None


def cell_text(value: Any) -> str | None:
    """Return a value as the text of a cell."""
    if value is None or type(value) is str:
        return value
    return str(value) if isinstance(value, Number) else compact(value)


def compact(value: Any) -> str:
    """Return a value as compact JSON text with its numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(name)}:{compact(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
