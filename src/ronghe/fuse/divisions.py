"""Divisions: codes with the years they were valid, and the code of today where it is certain."""

from typing import Any

from ronghe.contracts.codeset import CodeSet, Division, divisions


def division_rows(codeset: CodeSet) -> list[dict[str, Any]]:
    """Return one row per code and name, as the contract of `fused.division` says.

    An abolished code leads to its successor if there is exactly one, and so on; a split has several successors, and
    to apportion it would be a guess.
    """
    found = divisions()
    in_force = {d.code for d in found if d.valid_to is None}
    successor = {c.code: c.successors[0] for c in codeset.changes if len(c.successors) == 1}
    return [
        {
            "division_code": d.code,
            "division_name": d.name,
            "level_code": d.level,
            "parent_code": d.parent_code,
            "valid_from_year": d.valid_from,
            "valid_to_year": d.valid_to,
            "current_code": _current(d, in_force, successor),
        }
        for d in found
    ]


def _current(division: Division, in_force: set[str], successor: dict[str, str]) -> str | None:
    """Follow a division to the code it has today."""
    if division.valid_to is None:
        return division.code
    code, seen = successor.get(division.code), {division.code}
    while code is not None and code not in in_force and code not in seen:
        seen.add(code)
        code = successor.get(code)
    if code in in_force:
        return code
    # The same code under a new name is the same area.
    return division.code if division.code in in_force else None
