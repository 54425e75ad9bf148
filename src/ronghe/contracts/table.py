"""Tables of the lake: their columns, limits, sensitivity and what must happen before a value leaves."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ronghe.contracts.base import ContractError, Declaration, validated
from ronghe.contracts.gate import GatePolicy
from ronghe.contracts.odcs import Grade, LogicalType, Property, ServiceLevel, TypeOptions, custom_values, read_contract

Layer = Literal["raw", "std", "fused", "safe", "mart", "meta"]
Zone = Literal["restricted", "open"]
Counted = Literal["persons", "things"]
Operator = Literal["keep", "drop", "count", "redact", "replace", "mask", "hash", "analyze"]


class Treatment(Declaration):
    """What must happen to a value before it leaves the restricted half, in Presidio's words.

    `keep`, `redact`, `replace`, `mask` and `hash` are Presidio operators with their own parameters; `analyze` is its
    analyzer under the policy for free text that its parameter `policy` names. `drop` means that the column does not
    leave; `count` means that it leaves only inside a count that passed the gate. `when` names a
    boolean column of the same table: the treatment applies to its rows, `otherwise` to the others.
    """

    operator: Operator
    params: dict[str, str | int | bool] = Field(default_factory=dict)
    when: str | None = None
    otherwise: "Treatment | None" = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"operator": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> "Treatment":
        if (self.when is None) != (self.otherwise is None):
            raise ValueError("a treatment with `when` needs `otherwise`, and the other way round")
        if (self.operator == "analyze") != (self.policy is not None) or (self.policy and len(self.params) > 1):
            raise ValueError("`analyze`, and only it, has one parameter: `policy`, the name of a policy for text")
        return self

    @property
    def policy(self) -> str | None:
        """The policy for text that the treatment names, if it does."""
        named = self.params.get("policy")
        return str(named) if named is not None else None

    @property
    def policies(self) -> frozenset[str]:
        """The policies for text of the treatment and of the one for the other rows."""
        own = frozenset({self.policy} if self.policy else ())
        return own | (self.otherwise.policies if self.otherwise else frozenset())


class Tokenise(Declaration):
    """A column that holds a keyed token instead of the value.

    `service_day`: a random key of the row's service day (`day_column`), so nothing links two days.
    `purpose`: one key for a declared purpose inside one service.
    """

    key: Literal["service_day", "purpose"]
    day_column: str | None = None
    purpose: str | None = None


class Retention(Declaration):
    """For how many days of business time a table keeps its rows, counted from the day in one of its columns."""

    days: int
    day_column: str


class Column(Declaration):
    """A canonical column. `codes` names a code set, `check` a named check, `unit` a UCUM or ISO 4217 unit.

    `filled_from` is a SQL expression over columns the table had before that gives the value where there is none, in
    rows written before and in rows to come. That is the plan by which a column gets another name, type or unit.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    logical_type: LogicalType
    physical_type: str
    classification: Grade
    required: bool
    options: TypeOptions
    element: str
    treatment: Treatment
    unit: str | None = None
    codes: str | None = None
    check: str | None = None
    not_after_delivery: bool = False
    tokenise: Tokenise | None = None
    filled_from: str | None = None


class Table(Declaration):
    """One table of the lake.

    `id` is `<layer>.<noun>`; `crosses` is the restricted table a safe table is made from; `counts` says whether a
    mart's figures are about persons, which must pass a gate, or about things.
    """

    id: str
    layer: Layer
    name: str
    title: str
    title_zh: str
    version: str
    domain: str
    purpose: str
    usage: str
    limitations: str
    description: str
    grain: str
    zone: Zone
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    any_of: tuple[tuple[str, ...], ...] = ()
    crosses: str | None = None
    counts: Counted | None = None
    gate: GatePolicy | None = None
    retention: Retention | None = None

    @property
    def tokenised(self) -> tuple[Column, ...]:
        """The columns that hold keyed tokens of persons, cards or devices."""
        return tuple(column for column in self.columns if column.tokenise)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns in the contract's order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return a column by name.

        Raises:
            ContractError: there is none; names the table and its columns.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(f"{self.id} has no column {name!r}; it has {', '.join(self.column_names)}")


_TABLE_KEYS = {"zone", "any_of", "crosses", "counts", "gate"}


def read_table(path: Path) -> Table:
    """Read one table's contract; its id is `<folder>.<file name>`.

    Raises:
        ContractError: the contract is wrong; names the file, the column and the fault.
    """
    contract = read_contract(path)
    record = contract.schema_[0]
    layer, name = path.parent.name, path.name.removesuffix(".odcs.yaml")
    if contract.id != f"{layer}.{name}" or record.physical_name != contract.id:
        raise ContractError(f"{path}: id and physicalName must be '{layer}.{name}', after folder and file")
    properties = custom_values(record.custom_properties, path)
    unknown = sorted(set(properties) - _TABLE_KEYS)
    if unknown:
        raise ContractError(f"{path}: unknown custom properties {unknown}; known are {sorted(_TABLE_KEYS)}")
    keys = sorted((p for p in record.properties if p.primary_key), key=lambda p: p.primary_key_position or 0)
    return validated(
        Table,
        {
            **properties,
            "id": contract.id,
            "layer": layer,
            "name": name,
            "title": contract.name,
            "title_zh": record.business_name,
            "version": contract.version,
            "domain": contract.domain,
            **contract.description.model_dump(),
            "description": record.description,
            "grain": record.data_granularity_description,
            "columns": [_column(column, path) for column in record.properties],
            "primary_key": [key.name for key in keys],
            "retention": _retention(contract.retention, path),
        },
        path,
    )


def _retention(level: ServiceLevel | None, path: Path) -> dict[str, Any] | None:
    if level is None:
        return None
    if level.element is None:
        raise ContractError(f"{path}: slaProperties: `element` must name the column with the day a row is kept from")
    return {"days": level.value, "day_column": level.element}


def _column(column: Property, path: Path) -> dict[str, Any]:
    """Return a column's own properties beside its custom ones."""
    if column.physical_type is None:
        raise ContractError(f"{path}: column {column.name} needs a physicalType")
    return {
        "name": column.name,
        "description": column.description,
        "logical_type": column.logical_type,
        "physical_type": column.physical_type,
        "classification": column.classification,
        "required": column.required,
        "options": column.logical_type_options,
        **custom_values(column.custom_properties, path),
    }
