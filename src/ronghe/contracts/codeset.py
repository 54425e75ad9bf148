"""Code sets: the canonical codes of a thing, the names sources use for them, and divisions with validity."""

import re
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ronghe.contracts.base import ContractError, Declaration


class Code(Declaration):
    """A canonical code, its Chinese name and the other spellings that mean it.

    `valid_from` and `valid_to` are the first and last day on which the code was given; null for no limit. Records of
    the past keep codes that are no longer given, so they are read all the same.
    """

    code: str
    name_zh: str
    aliases: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Code":
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError(f"code {self.code!r} ends on {self.valid_to}, before it begins on {self.valid_from}")
        return self


class DivisionChange(Declaration):
    """A division that was abolished and the one or more that took its place."""

    code: str
    year: int
    successors: tuple[str, ...]


class CodeSet(Declaration):
    """A code set. `kind: division` takes its codes from the packaged history of GB/T 2260."""

    id: str
    name_zh: str
    source: str
    version: str
    kind: Literal["list", "division"] = "list"
    codes: tuple[Code, ...] = ()
    changes: tuple[DivisionChange, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> "CodeSet":
        spellings = [spelling for spelling, _ in self.spellings()]
        twice = sorted({s for s in spellings if spellings.count(s) > 1}) if self.kind == "list" else []
        if twice:
            raise ValueError(f"spellings that mean two codes: {twice}")
        return self

    def spellings(self) -> tuple[tuple[str, str], ...]:
        """Return (spelling, code) pairs: the code itself, its name and its aliases."""
        if self.kind == "division":
            return tuple((code, code) for code in sorted({d.code for d in divisions()}))
        return tuple(
            (spelling, code.code)
            for code in self.codes
            for spelling in dict.fromkeys((code.code, code.name_zh, *code.aliases))
        )


class Division(Declaration):
    """An administrative division under one code and name, valid in whole years (GB/T 2260).

    `valid_to` is the year in which the code was given up, null while it is in force.
    """

    code: str
    name: str
    level: Literal["province", "city", "county"]
    parent_code: str | None
    valid_from: int | None
    valid_to: int | None


_ENTRY = re.compile(r"(?:\[(?P<start>\d{4})?-(?P<end>\d{4})?\])?(?P<name>[^,\[]+)")


def divisions() -> tuple[Division, ...]:
    """Return every division since 1980, with validity, from python-stdnum's copy of GB/T 2260's history.

    Raises:
        ContractError: the packaged file is not of the known form.
    """
    text = resources.files("stdnum.cn").joinpath("loc.dat").read_text(encoding="utf-8")
    found: list[Division] = []
    province = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        key, _, rest = line.strip().partition(" ")
        value = re.search(r'"([^"]*)"', rest)
        if value is None:
            raise ContractError(f"stdnum/cn/loc.dat: unreadable line {line!r}")
        if not line.startswith(" "):
            province = key
            continue
        found.extend(_entries(province + key, value.group(1)))
    return tuple(found)


def _entries(code: str, text: str) -> list[Division]:
    """Return the divisions one code stood for, one after the other."""
    level: Literal["province", "city", "county"] = (
        "province" if code.endswith("0000") else "city" if code.endswith("00") else "county"
    )
    parent = {"province": None, "city": f"{code[:2]}0000", "county": f"{code[:4]}00"}[level]
    return [
        Division(
            code=code,
            name=entry["name"],
            level=level,
            parent_code=parent,
            valid_from=int(entry["start"]) if entry["start"] else None,
            valid_to=int(entry["end"]) if entry["end"] else None,
        )
        for entry in _ENTRY.finditer(text)
    ]


def read_codeset(path: Path) -> CodeSet:
    """Read one code set; its id is the file's name.

    Raises:
        ContractError: the file is wrong, a spelling means two codes, or the id differs from the file's name.
    """
    codeset = CodeSet.from_yaml(path)
    if codeset.id != path.stem:
        raise ContractError(f"{path}: id {codeset.id!r} must be {path.stem!r}, after the file")
    return codeset
