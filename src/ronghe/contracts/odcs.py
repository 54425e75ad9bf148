"""The part of the Open Data Contract Standard 3.1 that Ronghe uses, read strictly.

Every file stays valid under `datacontract lint`; a key outside this part is refused with its name, so that nobody
believes in a rule that is not enforced.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ronghe.contracts.base import ContractError, read_yaml, validated

LogicalType = Literal["string", "date", "timestamp", "integer", "number", "boolean"]
Grade = Literal["L1", "L2", "L3", "L4"]
# One way to write each type: another spelling of one would be taken for another type.
PhysicalType = Annotated[
    str, Field(pattern=r"^(STRING|DATE|TIMESTAMP|BOOLEAN|INT|BIGINT|FLOAT|DOUBLE|DECIMAL\([1-9]\d?,\d{1,2}\))$")
]


class _Odcs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class CustomProperty(_Odcs):
    """A name and a value that the standard leaves to the user."""

    property: str
    value: Any


class TypeOptions(_Odcs):
    """Limits of a column's values, as the standard names them."""

    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None


class Property(_Odcs):
    """A column."""

    name: str
    business_name: str | None = None
    logical_type: LogicalType
    physical_type: PhysicalType | None = None
    description: str = Field(min_length=1)
    classification: Grade
    required: bool = False
    primary_key: bool = False
    primary_key_position: int | None = None
    logical_type_options: TypeOptions = TypeOptions()
    custom_properties: tuple[CustomProperty, ...] = ()


class SchemaObject(_Odcs):
    """A table or the record of a feed."""

    name: str
    business_name: str = Field(min_length=1)
    physical_name: str
    logical_type: Literal["object"]
    physical_type: Literal["table"]
    description: str = Field(min_length=1)
    data_granularity_description: str = Field(min_length=1)
    custom_properties: tuple[CustomProperty, ...] = ()
    properties: tuple[Property, ...] = Field(min_length=1)


class Description(_Odcs):
    """Why the data exist and how they may be used."""

    purpose: str
    usage: str
    limitations: str


class ServiceLevel(_Odcs):
    """How long data are kept, in days; `element` names the day column of a table of the lake."""

    property: Literal["retention"]
    value: int = Field(ge=1)
    unit: Literal["d"]
    element: str | None = None


class OpenDataContract(_Odcs):
    """One contract with exactly one schema object."""

    api_version: Literal["v3.1.0"]
    kind: Literal["DataContract"]
    id: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    name: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    status: Literal["draft", "active", "deprecated"]
    domain: str
    description: Description
    schema_: tuple[SchemaObject] = Field(alias="schema")
    sla_properties: tuple[ServiceLevel, ...] = Field(default=(), max_length=1)

    @property
    def retention(self) -> ServiceLevel | None:
        """How long the data are kept, none for as long as anybody needs them."""
        return self.sla_properties[0] if self.sla_properties else None


def read_contract(path: Path) -> OpenDataContract:
    """Read one `*.odcs.yaml` file.

    Raises:
        ContractError: unknown or missing key, wrong type; names the file and each fault.
    """
    return validated(OpenDataContract, read_yaml(path), path)


def custom_values(properties: tuple[CustomProperty, ...], path: Path) -> dict[str, Any]:
    """Return custom properties as a mapping from their names, in snake_case, to their values.

    Raises:
        ContractError: a property stands twice.
    """
    values: dict[str, Any] = {}
    for item in properties:
        key = "".join("_" + c.lower() if c.isupper() else c for c in item.property)
        if key in values:
            raise ContractError(f"{path}: customProperties names {item.property!r} twice")
        values[key] = item.value
    return values
