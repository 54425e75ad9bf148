"""Sources and their feeds: who delivers, in which form, and how each column becomes canonical."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ronghe.contracts.base import ContractError, Declaration, validated
from ronghe.contracts.odcs import Grade, Property, custom_values, read_contract

SUFFIX = ".odcs.yaml"
CoordinateSystem = Literal["WGS-84", "CGCS2000", "GCJ-02", "BD-09"]
# Written in `standardise/normalisers.py`, which needs an engine.
NormaliserName = Literal[
    "half_width",
    "no_space",
    "single_space",
    "upper",
    "digits",
    "phone",
    "seconds_of_day",
    "person_name",
    "resident_id",
    "place_name",
    "organisation_name",
]
# Columns that the standardiser fills by itself.
PROVENANCE: Final = frozenset({"source_code", "business_date", "delivery_id", "record_number"})
# What only readers of some formats ask for.
_ASKED_FOR = {
    "encoding": ("csv", "json", "xml"),
    "delimiter": ("csv",),
    "comment": ("csv",),
    "header": ("csv", "xlsx"),
    "sheet": ("xlsx",),
    "record_tag": ("xml",),
    "records": ("json",),
    "extra": ("json",),
    "member": ("csv", "json", "xml"),
}


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError):
        raise ValueError(f"{name!r} is no time zone of the IANA database") from None
    return name


def _known_encoding(name: str) -> str:
    try:
        b" ".decode(name, "ignore")  # refuses codecs that do not make text, such as base64
    except (LookupError, UnicodeError):
        raise ValueError(f"{name!r} is no encoding of text: name one that Python knows, as UTF-8 or GB18030") from None
    return name


Timezone = Annotated[str, AfterValidator(_known_zone)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]


class Source(Declaration):
    """A body that delivers feeds: a city, an autonomous region or a national monitor.

    With `mixed_clocks` its offices keep different times, so each feed must declare its `timezone`.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9]*$")
    name_zh: str
    name_en: str
    admin_level: Literal["city", "autonomous_region", "nation"]
    division_code: str = Field(pattern=r"^\d{6}$")
    timezone: Timezone
    mixed_clocks: bool = False
    schedule: str
    owner: str


class Reader(Declaration):
    """How the bytes of a delivery become records.

    `header` false means that the columns come in the contract's order. `max_field_characters` bounds one cell.
    `comment` begins lines of delimited text before the header that hold no record. `member` names the file inside a
    ZIP archive; GZIP is recognised by itself. `records` is the dotted path to the array of records in each JSON
    document; without it a document is one record, or an array of them. `extra` says what becomes of names in a JSON
    record that the contract does not know: the file is refused, or they are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    format: Literal["csv", "xml", "xlsx", "json", "parquet"]
    encoding: Encoding = "UTF-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True
    sheet: str | None = None
    record_tag: str | None = None
    comment: str | None = None
    member: str | None = None
    records: str | None = None
    extra: Literal["refuse", "ignore"] = "refuse"
    null_tokens: tuple[str, ...] = ("",)
    max_field_characters: int = 100_000

    @model_validator(mode="after")
    def _complete(self) -> "Reader":
        if self.format == "xml" and not self.record_tag:
            raise ValueError("an XML reader needs `recordTag`")
        for name, formats in _ASKED_FOR.items():
            if self.format not in formats and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"`{to_camel(name)}` is for {', '.join(formats)}, not for {self.format}")
        return self


class Transport(Declaration):
    """How records reach the landing zone where the source does not deliver files.

    `http_pages`: a paged API; `path` below the connection's URL is asked with `page_param` from 1 on and
    `size_param`, until a page of `records` is short. `database`: `table` is read through SQLAlchemy. `day_column`
    tells on which day the source published a record; records are fetched from the newest landed day on, and each day
    becomes a delivery of JSON Lines. `connection` names the address; secrets stand there and never in a contract.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    kind: Literal["http_pages", "database"]
    connection: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    day_column: str
    path: str | None = None
    records: str = "data"
    page_param: str = "page"
    size_param: str = "size"
    since_param: str = "since"
    page_size: int = Field(default=500, ge=1, le=10_000)
    table: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Transport":
        needed = "path" if self.kind == "http_pages" else "table"
        if getattr(self, needed) is None:
            raise ValueError(f"transport {self.kind} needs `{needed}`")
        return self


class UnitFactor(Declaration):
    """A factor that depends on the unit a record names: source column `by`, and the factor `of` each of its values."""

    by: str
    of: dict[str, float] = Field(min_length=1)


class ColumnMap(Declaration):
    """How one source column becomes one canonical column, or why it does not.

    `factor` multiplies a number into the canonical unit, always alike or by the unit the record names. `format` is a
    Spark datetime pattern in the feed's zone, one that reads an offset (`XX`, `XXX`), or `epoch_seconds` or
    `epoch_millis`, a number since 1970-01-01 UTC.
    """

    name: str
    description: str
    classification: Grade
    to: str | None = None
    ignore: str | None = None
    normalise: tuple[NormaliserName, ...] = ()
    format: str | None = None
    factor: float | UnitFactor | None = None

    @model_validator(mode="after")
    def _mapped_or_ignored(self) -> "ColumnMap":
        if (self.to is None) == (self.ignore is None):
            raise ValueError("say either `to` (the canonical column) or `ignore` (the reason), not both")
        return self


class Feed(Declaration):
    """One kind of delivery of one source.

    `frequency_days` says how often a delivery is due. `refuse` names source columns dropped before raw; `constants`
    fills canonical columns the source does not send; `computed` fills them with SQL expressions over the source columns
    (all text) and `business_date`. `coordinate_system` is declared where positions are sent: one that is guessed may be
    600 metres off. A delivery with more than `max_quarantined_pct` of its records
    in quarantine is stopped as a whole. What was delivered is kept for `retention_days` of business time.
    """

    id: str
    source_code: str
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
    landing: str
    reader: Reader
    target: str
    timezone: Timezone
    coordinate_system: CoordinateSystem | None = None
    transport: Transport | None = None
    frequency_days: int = Field(default=1, ge=1)
    lateness_days: int = Field(default=7, ge=0)
    retention_days: int | None = Field(default=None, ge=1)
    max_quarantined_pct: float = Field(default=20, ge=0, le=100)
    refuse: tuple[str, ...] = ()
    constants: dict[str, str] = Field(default_factory=dict)
    computed: dict[str, str] = Field(default_factory=dict)
    columns: tuple[ColumnMap, ...]

    @model_validator(mode="after")
    def _positions_have_a_system(self) -> "Feed":
        filled = {c.to for c in self.columns} | self.computed.keys()
        if filled & {"longitude", "latitude"} and self.coordinate_system is None:
            raise ValueError("declare the `coordinateSystem` of its longitudes and latitudes")
        return self

    @model_validator(mode="after")
    def _delivery_has_a_day(self) -> "Feed":
        if self.landing.count("{business_date}") != 1:
            raise ValueError(f"landing {self.landing!r} needs one {{business_date}} where its files tell their day")
        return self

    @model_validator(mode="after")
    def _refused_have_names(self) -> "Feed":
        if self.refuse and not self.reader.header:
            raise ValueError("without header no column can be refused: list all in order, and `ignore` some")
        return self

    @property
    def raw_table(self) -> str:
        """The table that keeps the feed's records as read."""
        return f"raw.{self.source_code}__{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The source columns kept in raw, in the contract's order."""
        return tuple(column.name for column in self.columns)

    @property
    def mapped(self) -> tuple[ColumnMap, ...]:
        """The source columns that reach a canonical column."""
        return tuple(column for column in self.columns if column.to)


_FEED_KEYS = {
    "landing",
    "reader",
    "target",
    "timezone",
    "transport",
    "frequency_days",
    "coordinate_system",
    "lateness_days",
    "max_quarantined_pct",
    "refuse",
    "constants",
    "computed",
}


def read_feed(path: Path, source: Source) -> Feed:
    """Read one feed's contract; its id is `<source>.<file name>`.

    Raises:
        ContractError: the contract is wrong; names the file, the column and the fault.
    """
    contract = read_contract(path)
    record = contract.schema_[0]
    name = path.name.removesuffix(SUFFIX)
    if contract.id != f"{source.code}.{name}":
        raise ContractError(f"{path}: id {contract.id!r} must be '{source.code}.{name}', after folder and file")
    properties = custom_values(record.custom_properties, path)
    unknown = sorted(set(properties) - _FEED_KEYS)
    if unknown:
        raise ContractError(f"{path}: unknown custom properties {unknown}; known are {sorted(_FEED_KEYS)}")
    if source.mixed_clocks and "timezone" not in properties:
        raise ContractError(f"{path}: offices of {source.code} keep different times: declare the feed's `timezone`")
    _refuse_rules(record.properties, path)
    feed = validated(
        Feed,
        {
            "timezone": source.timezone,
            **properties,
            "id": contract.id,
            "source_code": source.code,
            "name": name,
            "title": contract.name,
            "title_zh": record.business_name,
            "version": contract.version,
            "domain": contract.domain,
            **contract.description.model_dump(),
            "description": record.description,
            "grain": record.data_granularity_description,
            "retention_days": contract.retention.value if contract.retention else None,
            "columns": [_column_map(column, path) for column in record.properties],
        },
        path,
    )
    if record.physical_name != feed.raw_table:
        raise ContractError(f"{path}: physicalName must be {feed.raw_table!r}")
    return feed


def _refuse_rules(columns: Sequence[Property], path: Path) -> None:
    """Check that source columns have no rules of their own: what a source sends is held to those of its target.

    Raises:
        ContractError: names each that looks as if it were in force.
    """
    rules = ("required", "primary_key", "logical_type_options", "physical_type")
    fields = Property.model_fields
    found = [(c.name, to_camel(rule)) for c in columns for rule in rules if getattr(c, rule) != fields[rule].default]
    if said := "; ".join(f"column {name}: {rule}" for name, rule in found):
        raise ContractError(f"{path}: {said}: of a source's column nobody asks that; its target's contract may say it")


def _column_map(column: Property, path: Path) -> dict[str, Any]:
    """Return a source column's own properties beside its custom ones."""
    return {
        "name": column.name,
        "description": column.description,
        "classification": column.classification,
        **custom_values(column.custom_properties, path),
    }
