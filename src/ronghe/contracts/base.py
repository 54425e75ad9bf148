"""What every declaration shares: it is frozen, strict, and its errors name the file and what to do."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

D = TypeVar("D", bound=BaseModel)

# libyaml parses the same YAML ten times faster; the pure loader serves where it is missing.
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice in one mapping, where YAML 1.2 does and PyYAML takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


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


def validated(model: type[D], content: Any, path: Path) -> D:
    """Validate content against a model, turning pydantic's faults into one readable message."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {fault['msg']}" for fault in error.errors()
        )
        raise ContractError(f"{path}: {faults}. Mend the declaration, then ask `ronghe status`.") from None
