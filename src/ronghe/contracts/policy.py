"""Policies for free text: what identifies a person in it, how it is found, and what takes its place."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ronghe.contracts.base import ContractError, Declaration, repeated

Check = Literal["resident_id", "uscc", "organisation_code", "luhn", "vin", "hong_kong_id", "even_groups"]
SEPARATOR = r"[ \-·]{0,2}"
# Rules that are more than a pattern; each finds the entities named here by the lists of the same policy.
RULES = {"PERSON", "CN_ADDRESS"}


class TextPattern(Declaration):
    """One spelling of an identifier.

    `pattern` is a Python regular expression over the folded text (half width, digits of any script as 0-9), without
    regard to case; `~` stands for up to two separators (space, hyphen, `·`). A value that fails its `check` keeps
    `failed_score`: it is less sure and never by itself unmasked. Words of `context` around the value raise the score.
    A value that is not `bounded` may follow a letter or digit.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    pattern: str
    score: float = Field(ge=0, le=1)
    check: Check | None = None
    failed_score: float | None = Field(default=None, ge=0, le=1)
    context: tuple[str, ...] = ()
    bounded: bool = True

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            compiled = re.compile(value.replace("~", SEPARATOR))
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        if compiled.groups:
            raise ValueError("use (?:...) for groups: the patterns are fused into one")
        if compiled.match(""):
            raise ValueError("matches the empty text")
        return value

    @model_validator(mode="after")
    def _complete(self) -> "TextPattern":
        if (self.check is None) != (self.failed_score is None):
            raise ValueError("a pattern with a `check` needs `failed_score`, and the other way round")
        return self

    @property
    def expression(self) -> str:
        """The regular expression with its separators."""
        return self.pattern.replace("~", SEPARATOR)


class TextOperator(Declaration):
    """One of Presidio's anonymizers with its parameters."""

    operator: Literal["keep", "redact", "replace", "mask", "hash"]
    params: dict[str, str | int | bool] = Field(default_factory=dict)


class TextEntity(Declaration):
    """A kind of identifier: the standard it follows, its patterns, and what takes its place."""

    entity: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    name_zh: str
    standard: str
    treatment: TextOperator
    patterns: tuple[TextPattern, ...] = ()

    @model_validator(mode="after")
    def _found_somehow(self) -> "TextEntity":
        if bool(self.patterns) == (self.entity in RULES):
            raise ValueError(f"{self.entity} needs patterns; only {sorted(RULES)} are found by rules")
        return self


class PersonRules(Declaration):
    """Lists by which names are found beside the model; see `ronghe.privacy.text.persons`."""

    surnames: str
    compound_surnames: tuple[str, ...]
    labels: tuple[str, ...]
    cues: tuple[str, ...]
    titles: tuple[str, ...]
    followers: tuple[str, ...]
    transliteration: str
    model_score: float = Field(default=0.85, ge=0, le=1)


class AddressRules(Declaration):
    """Lists by which addresses are found; see `ronghe.privacy.text.addresses`."""

    labels: tuple[str, ...]
    cues: tuple[str, ...]
    places: tuple[str, ...]
    streets: tuple[str, ...]
    units: tuple[str, ...]
    starts_after: tuple[str, ...]


class TextPolicy(Declaration):
    """What a treatment `analyze` does with a column of free text.

    `threshold`: least score that counts. `context_window`: signs before a value (a third as many after it) in which a
    context word counts for `context_score`. `innocent`: words that, right before a value that failed its check or has
    no check, say that it is something else (an order, a waybill); they cost `innocent_score`. `latin_cues` may stand
    before a number without anything between, `latin_tails` behind it.
    """

    id: str
    title: str
    threshold: float = Field(ge=0, le=1)
    context_window: int = Field(ge=1)
    context_score: float = Field(ge=0, le=1)
    innocent: tuple[str, ...]
    innocent_score: float = Field(ge=0, le=1)
    latin_cues: tuple[str, ...]
    latin_tails: tuple[str, ...]
    entities: tuple[TextEntity, ...]
    person: PersonRules
    address: AddressRules

    @model_validator(mode="after")
    def _named_once(self) -> "TextPolicy":
        entities = [entity.entity for entity in self.entities]
        patterns = [pattern.name for entity in self.entities for pattern in entity.patterns]
        twice = sorted({name for names in (entities, patterns) for name in repeated(names)})
        if twice:
            raise ValueError(f"declared twice: {twice}")
        return self


def read_policy(path: Path) -> TextPolicy:
    """Read one policy; its id is the file's name.

    Raises:
        ContractError: the file is wrong, or its id is not its name.
    """
    policy = TextPolicy.from_yaml(path)
    if policy.id != path.stem:
        raise ContractError(f"{path}: id {policy.id!r} must be {path.stem!r}, after the file")
    return policy
