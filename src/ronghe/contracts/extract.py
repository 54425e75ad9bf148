"""Extracts: which open tables go to which downstream system, in which form and under which licence."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ronghe.contracts.base import ContractError, Declaration

Format = Literal["csv", "parquet"]


class ExtractTable(Declaration):
    """A table of an extract.

    `columns` are the released ones, all without it. `references` says which column holds the key of which other table
    of the extract.
    """

    table: str
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    references: dict[str, str] = Field(default_factory=dict)


class Licence(Declaration):
    """The licence a consumer takes the data under; `name` is an SPDX or Open Definition identifier."""

    name: str
    title: str
    path: str = Field(pattern=r"^https://")


class Contact(Declaration):
    """Who answers questions about an extract."""

    title: str
    email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    path: str | None = Field(default=None, pattern=r"^https://")

    @model_validator(mode="after")
    def _reachable(self) -> "Contact":
        if not (self.email or self.path):
            raise ValueError("a contact needs `email` or `path`")
        return self


class Extract(Declaration):
    """What one kind of consumer is given: tables of the open half as files, and as tables of a database.

    `connection` names the database the extract is loaded into (`RONGHE_CONNECTION_<NAME>`); without it, a SQLite file
    beside the releases. `keep` is how many releases stay on disk.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    purpose: str
    audience: str
    tables: tuple[ExtractTable, ...] = Field(min_length=1)
    formats: tuple[Format, ...] = Field(default=("csv", "parquet"), min_length=1)
    licence: Licence
    contact: Contact
    connection: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    keep: int = Field(default=30, ge=1)

    @property
    def table_ids(self) -> tuple[str, ...]:
        """The tables in the extract's order."""
        return tuple(item.table for item in self.tables)

    @model_validator(mode="after")
    def _said_once(self) -> "Extract":
        for name, values in (("tables", self.table_ids), ("formats", self.formats)):
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` names one twice: {', '.join(values)}")
        return self


def read_extract(path: Path) -> Extract:
    """Read one extract; its id is the file's name.

    Raises:
        ContractError: the file is wrong, or the id differs from the file's name.
    """
    extract = Extract.from_yaml(path)
    if extract.id != path.stem:
        raise ContractError(f"{path}: id {extract.id!r} must be {path.stem!r}, after the file")
    return extract
