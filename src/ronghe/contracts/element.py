"""Data elements (ISO/IEC 11179): what a column means, once for all tables."""

from pathlib import Path

from pydantic import Field

from ronghe.contracts.base import ContractError, Declaration, read_yaml, repeated, validated
from ronghe.contracts.odcs import LogicalType


class Element(Declaration):
    """A data element; `reference` is the standard that defines it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name_zh: str
    definition: str
    type: LogicalType
    unit: str | None = None
    reference: str | None = None


class _Elements(Declaration):
    elements: tuple[Element, ...]


def read_elements(path: Path) -> tuple[Element, ...]:
    """Read a file of elements.

    Raises:
        ContractError: the file is wrong; names the element and the fault.
    """
    found = validated(_Elements, {"elements": read_yaml(path)}, path).elements
    if twice := repeated([element.id for element in found]):
        raise ContractError(f"{path}: declared twice: {', '.join(twice)}")
    return found
