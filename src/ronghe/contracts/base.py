"""What every declaration shares: it is frozen, strict, and its errors name the file and what to do."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

D = TypeVar("D", bound=BaseModel)

# libyaml parses the same YAML ten times faster; the pure loader serves where it is missing.
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# What the things in a list are called by.
_NAMES = ("name", "id", "code", "property", "table", "grade")
_WORDS = {"extra_forbidden": "is not known here", "missing": "is missing"}


class _Loader(_SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice in one mapping, as YAML 1.2 does; PyYAML takes the last."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _refuse_twice(node, set())
        return node


def _refuse_twice(node: Any, seen: set[int]) -> None:
    """Look for keys that stand twice below a node; one that several places point at is looked at once."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    keys = set()
    for part in node.value:
        below = part if isinstance(node, yaml.MappingNode) else (part,)
        if len(below) == 2 and isinstance(key := below[0], yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key.value!r} stands twice", key.start_mark
                )
            keys.add((key.tag, key.value))
        for each in below:
            _refuse_twice(each, seen)


class ContractError(ValueError):
    """A declaration is wrong; the message names the file, the place in it and the rule."""


class Declaration(BaseModel):
    """Base of everything read from `schemas/` and `expectations/`: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self) -> str:
        """Return a SHA-256 of the declaration's content, equal for equal content."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read one declaration.

        Raises:
            ContractError: the file is no YAML, or not of this form; names every fault.
        """
        return validated(cls, read_yaml(path), path)


@cache
def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file (cached: declarations do not change while a process runs).

    Raises:
        ContractError: the file is not readable YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ContractError(f"{path}: cannot be read as YAML: {error}") from error


def repeated(names: Sequence[str]) -> list[str]:
    """Return the names that stand more than once, each once and in order."""
    return sorted(name for name, times in Counter(names).items() if times > 1)


def validated(model: type[D], content: Any, path: Path) -> D:
    """Validate content against a model, turning pydantic's faults into one readable message."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{_place(content, fault['loc'])}: {_said(fault)}" for fault in error.errors())
        raise ContractError(f"{path}: {faults}. Mend the declaration, then ask `ronghe status`.") from None


def _place(content: Any, where: tuple[int | str, ...]) -> str:
    """Return where a fault is; what stands in a list is called by its name, or counted from one."""
    said = []
    for part in where:
        if isinstance(content, list | tuple) and isinstance(part, int):
            content = content[part]
            named = [content[key] for key in _NAMES if key in content] if isinstance(content, dict) else []
            said.append(str(named[0] if named else part + 1))
        else:
            # What is no key is pydantic's own: the member of a union, a missing key.
            content = content[part] if isinstance(content, dict) and part in content else content
            said.append(str(part))
    return ".".join(said) or "the file"


def _said(fault: Any) -> str:
    """Return what is wrong, in words of a declaration where pydantic's are those of a function."""
    return _WORDS.get(fault["type"], str(fault["msg"]).removeprefix("Value error, "))
