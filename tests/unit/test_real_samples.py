"""Real public files, read by declarations alone: the right number of records, and none of them broken."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ronghe.contracts.source import Reader
from ronghe.ingest.records import RejectedFile, open_records

DATA = Path(os.environ.get("RONGHE_SHARED_DATA", "/work/shared/data"))
GTFS = ("stop_id", "stop_name", "stop_lat", "stop_lon")
STOP_TIMES = ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence")


def read(
    file: str, reader: dict[str, Any], columns: tuple[str, ...], refuse: tuple[str, ...] = (), torn: int = 0
) -> list[Any]:
    """Return the records of a file without their numbers, having seen that none has a defect but those in `torn`."""
    path = DATA / file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows: list[Any] = []
    defects: list[str | None] = []
    for batch in open_records(path, Reader(**reader), columns, refuse):
        defects += batch["defect"].to_pylist()
        rows += batch.select(list(columns)).to_pylist()
    assert [defect for defect in defects if defect] == ["torn"] * torn
    return rows


@pytest.mark.parametrize(
    ("archive", "member", "columns", "count", "torn"),
    [
        ("calitp_schedule", "stops.txt", GTFS, 35, 0),
        ("calitp_schedule", "stop_times.txt", STOP_TIMES, 1600, 0),
        ("google_sample_feed_1", "stops.txt", GTFS, 9, 0),
        # 13 lines end before the header does. A line that was cut looks the same, so they are torn.
        ("google_sample_feed_1", "stop_times.txt", STOP_TIMES, 28, 13),
    ],
)
def test_timetables(archive: str, member: str, columns: tuple[str, ...], count: int, torn: int) -> None:
    file = f"feeds/gtfs/{archive}.zip"
    if not (DATA / file).is_file():
        pytest.skip(f"{file} is not there")
    with zipfile.ZipFile(DATA / file) as opened:
        header = opened.read(member).decode("utf-8-sig").splitlines()[0].split(",")
    others = tuple(name for name in header if name not in columns)
    rows = read(file, {"format": "csv", "member": member}, columns, others, torn)
    assert len(rows) == count
    assert sum(bool(row["stop_id"]) for row in rows) == count - torn


def test_table_with_a_mark_windows_line_ends_and_some_quotes() -> None:
    columns = ("stop_id", "stop_code", "stop_name", "stop_lat", "stop_lon")
    others = ("stop_desc", "zone_id", "stop_url", "location_type", "parent_station", "stop_timezone")
    rows = read("feeds/hostile/octa-windows-byte-order-marker-stops.csv", {"format": "csv"}, columns, others)
    assert len(rows) == 5246
    assert rows[0] == dict(zip(columns, ("0002", "0002", "HASTER-ORANGEWOOD", "33.795838", "-117.906313"), strict=True))


def test_table_with_pipes() -> None:
    columns = ("participant_id", "amount", "authorisation_timestamp_utc", "channel")
    others = ("aggregation_id", "acquirer_code", "request_type", "currency_code", "retrieval_reference_number")
    others += ("littlepay_reference_number", "external_reference_number", "response_code", "status")
    others += ("record_updated_timestamp_utc", "request_created_timestamp_utc")
    [row] = read("feeds/hostile/littlepay-stub.psv", {"format": "csv", "delimiter": "|"}, columns, others)
    assert row == dict(zip(columns, ("atn", "0.00", "2025-10-24T00:00:00.000Z", "TRANSIT"), strict=True))


def test_page_of_an_interface() -> None:
    columns = ("card_no", "deal_date", "station", "car_no")
    rows = read("feeds/szt_card/api_page1x100.json", {"format": "json", "records": "data", "extra": "ignore"}, columns)
    assert len(rows) == 100
    assert [row["station"] for row in rows].count(None) == 2


def test_alerts_in_one_array() -> None:
    columns = ("timestamp", "flow_id", "alert.signature", "alert.severity", "flow.bytes_toserver", "vars")
    file = "suricata/wrccdc-2018-alerts.json"
    rows = read(file, {"format": "json", "extra": "ignore"}, columns)
    assert len(rows) == 207
    assert rows[0]["alert.signature"] == "ET SCAN Potential SSH Scan"
    assert rows[0]["flow_id"] == "928532049924531"
    with pytest.raises(RejectedFile, match=r"unexpected: .*alert\.action"):
        read(file, {"format": "json"}, columns)


def test_catalogue_of_vulnerabilities() -> None:
    columns = ("cveID", "vendorProject", "product", "dateAdded", "cwes", "dueDate", "knownRansomwareCampaignUse")
    others = ("vulnerabilityName", "shortDescription", "requiredAction", "notes")
    file = "kev/known_exploited_vulnerabilities.json"
    rows = read(file, {"format": "json", "records": "vulnerabilities"}, columns, others)
    assert len(rows) == 1404
    assert (rows[0]["cveID"], rows[0]["cwes"][:6]) == ("CVE-2025-48384", '["CWE-')


@pytest.mark.parametrize(("file", "count"), [("apt1", 76), ("indicator-for-c2-ip-address", 1)])
def test_bundles_of_objects_of_many_kinds(file: str, count: int) -> None:
    reader = {"format": "json", "records": "objects", "extra": "ignore"}
    rows = read(f"stix/{file}.json", reader, ("type", "id", "created", "pattern"))
    assert len(rows) == count
    assert all(row["type"] and row["id"].startswith(row["type"]) for row in rows)
