"""Small tables of the open half, typed as their contracts say and written by delta-rs; no engine runs."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from ronghe.contracts import Extract, catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.release.files import arrow_schema

DAY = date(2026, 11, 1)
AT = datetime(2026, 11, 1, 0, 15, tzinfo=UTC)
Row = dict[str, Any]

FLOW: Row = {
    "source_code": "shenzhen",
    "place_kind_code": "metro_station",
    "service_date": DAY,
    "place_id": "plc_1",
    "window_start_at": AT,
    "grain_code": "15min",
    "in_count": 12,
    "out_count": 11,
}
WHOLE_DAY: Row = {**FLOW, "place_id": None, "window_start_at": None, "grain_code": "all_places", "out_count": None}
SECURITY: Row = {
    "source_code": "nanjing",
    "division_code": "320102",
    "contribution_month": DAY,
    "scheme_code": "110",
    "grain_code": "county",
    "account_count": 15,
    "employer_cny": Decimal("12345678901.57"),
    "individual_cny": Decimal("0.10"),
}
PLACE: Row = {
    "place_id": "plc_1",
    "place_name": "深圳北",
    "place_kind_code": "metro_station",
    "source_code": "shenzhen",
    "longitude": 114.02,
    "latitude": 22.61,
    "code_count": 1,
}
DIVISION: Row = {
    "division_code": "320102",
    "division_name": "玄武区",
    "level_code": "county",
}
COMPANY: Row = {
    "organisation_id": "org_1",
    "uscc": "91520103AA000001A4",
    "organisation_name": "贵阳,“云”有限公司",
    "is_sole_trader": False,
    "legal_representative_name": "",
    "contact_phone": "138********",
    "registered_capital_cny": Decimal("1000000.00"),
    "address": "贵阳市云岩区",
    "source_count": 1,
    "record_count": 2,
}
TRADER: Row = {
    **COMPANY,
    "organisation_id": "org_2",
    "uscc": "<个体工商户>",
    "organisation_name": "<个体工商户>",
    "is_sole_trader": True,
    "contact_phone": "",
    "address": "",
}
LIVELIHOOD: dict[str, list[Row]] = {
    "mart.passenger_flow": [WHOLE_DAY, FLOW],
    "mart.social_security": [SECURITY],
    "safe.place": [PLACE, {**PLACE, "place_id": "plc_2", "place_name": "=HYPERLINK(1)", "longitude": None}],
    "safe.division": [DIVISION],
}


def small_extract(name: str = "livelihood") -> Extract:
    """Return an extract with only those of its tables that are written here."""
    extract = catalogue().extract(name)
    here = tuple(item for item in extract.tables if item.table in (*LIVELIHOOD, "safe.organisation"))
    return extract.model_copy(update={"tables": here})


def write(home: Home, table_id: str, rows: list[Row]) -> None:
    """Replace the rows of a table."""
    schema = arrow_schema(catalogue().table(table_id).columns)
    path = Lake(home, catalogue()).path(table_id)
    data = pa.Table.from_pylist(rows, schema)
    write_deltalake(path, data, mode="overwrite")


def append(home: Home, table_id: str, rows: list[Row]) -> None:
    """Add rows to a table."""
    schema = arrow_schema(catalogue().table(table_id).columns)
    write_deltalake(Lake(home, catalogue()).path(table_id), pa.Table.from_pylist(rows, schema), mode="append")


def write_livelihood(home: Home) -> None:
    """Write the tables of the extract `livelihood`."""
    for table_id, rows in LIVELIHOOD.items():
        write(home, table_id, rows)


def record(lake: Lake, row: Row) -> None:
    """Add a release to `meta.release` as the engine does."""
    row = {**row, "recorded_at": row["recorded_at"].replace(tzinfo=UTC)}
    schema = arrow_schema(lake.catalogue.table("meta.release").columns)
    write_deltalake(lake.path("meta.release"), pa.Table.from_pylist([row], schema), mode="append")
