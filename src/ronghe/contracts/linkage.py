"""Linkages: which records speak of the same thing, and which of them to believe."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ronghe.contracts.base import ContractError, Declaration


class LinkageInput(Declaration):
    """Records of one table; `columns` gives each linkage column as a SQL expression over the table."""

    table: str
    trust: int = Field(ge=0, le=100)
    columns: dict[str, str]


class Linkage(Declaration):
    """How the records of several tables become one row of `target`.

    `exact_key`: equal keys are one thing. `key_or_name`: so they are, and a record without a key links by name where
    exactly one thing bears it. `code_or_name`: an equal code, or an equal normalised name within
    `name_radius_metres`, links. `own_code`: every record has a code of its own in its source, and is keyed to the
    nearest place within `name_radius_metres` or to the one of its name.
    """

    id: str
    target: str
    rule: Literal["exact_key", "key_or_name", "code_or_name", "own_code"]
    inputs: tuple[LinkageInput, ...] = Field(min_length=1)
    name_radius_metres: float = Field(default=0, ge=0)


def read_linkage(path: Path) -> Linkage:
    """Read one linkage; its id is the file's name.

    Raises:
        ContractError: the file is wrong or the id differs from the file's name.
    """
    linkage = Linkage.from_yaml(path)
    if linkage.id != path.stem:
        raise ContractError(f"{path}: id {linkage.id!r} must be {path.stem!r}, after the file")
    return linkage
