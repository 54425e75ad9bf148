"""A page of a real interface of card records, taken in by a declaration of the reader's own: no line of code for it."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import accept_deliveries, land_deliveries, standardise_deliveries
from ronghe.contracts.catalogue import builtin_folder, load_catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake

PAGE = Path(os.environ.get("RONGHE_SHARED_DATA", "/work/shared/data")) / "feeds" / "szt_card" / "api_page1x100.json"
DAY = "2018-09-01"

pytestmark = [pytest.mark.spark, pytest.mark.skipif(not PAGE.is_file(), reason=f"{PAGE} is not there")]

SOURCE = """
{code: portal, name_zh: 门户, name_en: Portal, admin_level: city, division_code: "440300", timezone: Asia/Shanghai,
 schedule: "0 1 * * *", owner: the portal}
"""
# Fares are in hundredths of a yuan; what no canonical column takes is ignored with its reason.
FEED = """
apiVersion: v3.1.0
kind: DataContract
id: portal.swipe
name: Card swipes of a portal
version: 1.0.0
status: active
domain: transportation
description: {purpose: passenger_flow_statistics, usage: A test., limitations: One page.}
schema:
  - name: swipe
    businessName: 门户刷卡记录
    physicalName: raw.portal__swipe
    logicalType: object
    physicalType: table
    description: One row per swipe, as the interface serves it page by page.
    dataGranularityDescription: one swipe
    customProperties:
      - {property: landing, value: "swipe/{business_date}/*.json"}
      - {property: reader, value: {format: json, records: data}}
      - {property: target, value: std.swipe}
    properties:
"""
MAPPED = {
    "card_no": "{property: to, value: card_token}",
    "deal_date": '{property: to, value: swiped_at}, {property: format, value: "yyyy-MM-dd HH:mm:ss"}',
    "close_date": '{property: to, value: service_date}, {property: format, value: "yyyy-MM-dd HH:mm:ss"}',
    "deal_type": "{property: to, value: swipe_kind_code}",
    "company_name": "{property: to, value: line_name}",
    "station": "{property: to, value: place_name}, {property: normalise, value: [half_width]}",
    "equ_no": "{property: to, value: device_code}",
    "deal_money": "{property: to, value: fare_cny}, {property: factor, value: 0.01}",
    "deal_value": "{property: ignore, value: the price before the discount}",
    "car_no": "{property: ignore, value: the gate or the bus; the device says more}",
    "conn_mark": "{property: ignore, value: follows from the swipes before it}",
}


@pytest.fixture(scope="module")
def ctx(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> JobContext:
    """A home in which the page was delivered and taken in."""
    folder = tmp_path_factory.mktemp("portal")
    own = folder / "own" / "schemas" / "sources" / "portal"
    own.mkdir(parents=True)
    columns = (
        f"      - {{name: {name}, logicalType: string, classification: L2, description: x,\n"
        f"         customProperties: [{how}]}}\n"
        for name, how in MAPPED.items()
    )
    (own / "source.yaml").write_text(SOURCE, "utf-8")
    (own / "swipe.odcs.yaml").write_text(FEED + "".join(columns), "utf-8")
    found, home = load_catalogue((builtin_folder(), folder / "own")), Home(folder / "home").make()
    delivery = home.landing / "portal" / "swipe" / DAY / PAGE.name
    delivery.parent.mkdir(parents=True)
    delivery.write_bytes(PAGE.read_bytes())
    ctx = JobContext(home, found, spark, Lake(home, found, spark), "portal.swipe")
    assert [job.run(ctx) for job in (land_deliveries, standardise_deliveries, accept_deliveries)] == [1, 1, 1]
    return ctx


def test_every_record_of_the_page_has_its_fate(ctx: JobContext) -> None:
    events = {row["event_code"]: row for row in ctx.lake.rows("meta.delivery").to_pylist()}
    accepted = events["accepted"]
    counts = [accepted[f"{fate}_count"] for fate in ("read", "accepted", "deduplicated", "quarantined")]
    assert counts == [100, 98, 0, 2]
    reasons = [row["reasons"] for row in ctx.lake.rows("meta.quarantine").to_pylist()]
    assert reasons == ["any_of:place_code,place_name"] * 2


def test_rows_are_canonical(ctx: JobContext) -> None:
    rows = ctx.lake.rows("std.swipe").to_pylist()
    first = next(row for row in rows if row["record_number"] == 1)
    assert (first["swipe_kind_code"], first["place_name"], first["device_code"]) == ("metro_in", "布吉", "263032105")
    assert first["swiped_at"].isoformat() == "2018-08-31T14:14:50+00:00"
    assert str(first["service_date"]) == DAY
    # Counted in the file itself.
    assert {
        kind: sum(row["swipe_kind_code"] == kind for row in rows) for kind in ("metro_in", "metro_out", "bus_in")
    } == {
        "metro_in": 64,
        "metro_out": 24,
        "bus_in": 10,
    }
    assert max(row["fare_cny"] for row in rows) < 20
