"""Roads and timetables: what an hour at a place comes to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from ronghe.contracts import catalogue
from ronghe.livelihood import places, road_traffic, transit_supply

pytestmark = pytest.mark.spark

DAY = date(2026, 11, 2)
EIGHT = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)  # eight o'clock at a site in UTC+6
COUNT = (
    "source_code STRING, place_code STRING, direction_code STRING, window_start_at TIMESTAMP, traffic_date DATE, "
    "window_minutes INT, vehicle_count BIGINT, mean_speed_kmh DOUBLE, occupancy_pct DOUBLE"
)
STOP_TIME = (
    "source_code STRING, feed_date DATE, trip_code STRING, stop_sequence INT, stop_code STRING, departure_seconds INT"
)
PLACES = "place_id STRING, source_code STRING, place_kind_code STRING, place_code STRING, place_name STRING"
HOUR = 3600


def frame(spark: SparkSession, schema: str, rows: list[dict[str, Any]]) -> DataFrame:
    names = [part.split()[0] for part in schema.split(", ")]
    assert all(row.keys() <= set(names) for row in rows)
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], schema)


def linked(spark: SparkSession, kind: str, *codes: tuple[str, str], source: str = "s") -> DataFrame:
    """The links of places: id and code."""
    rows = [
        {"place_id": place, "source_code": source, "place_kind_code": kind, "place_code": code} for place, code in codes
    ]
    return frame(spark, PLACES, rows)


# Roads ---------------------------------------------------------------------------------------------------------------


def count(minute: int, vehicles: int, speed: float | None, site: str = "A", **other: Any) -> dict[str, Any]:
    """A quarter of an hour at detector A, so many minutes after eight."""
    return {
        "source_code": "s",
        "place_code": site,
        "direction_code": "east",
        "window_start_at": EIGHT + timedelta(minutes=minute),
        "traffic_date": DAY,
        "window_minutes": 15,
        "vehicle_count": vehicles,
        "mean_speed_kmh": speed,
        "occupancy_pct": 10.0,
        **other,
    }


def traffic(spark: SparkSession, *counts: dict[str, Any]) -> list[Row]:
    sites = places.places_by_code(linked(spark, "road_site", ("p1", "A"), ("p1", "B"), ("p2", "C")), ["road_site"])
    found = road_traffic.hours(road_traffic.windows(frame(spark, COUNT, list(counts)), sites))
    assert set(found.columns) == set(catalogue().table("mart.road_traffic").column_names)
    return found.orderBy("place_id", "direction_code", "hour_start_at").collect()


def test_hour_sums_vehicles_and_weights_speed_by_them(spark: SparkSession) -> None:
    (row,) = traffic(spark, count(0, 10, 60.0), count(15, 30, 20.0), count(30, 0, None), count(45, 0, None))
    assert (row["vehicle_count"], row["mean_speed_kmh"], row["coverage_share"]) == (40, 30.0, 1.0)


def test_hours_are_the_instants_and_days_the_sites_own(spark: SparkSession) -> None:
    rows = traffic(spark, count(45, 1, 50.0), count(60, 2, 50.0))
    assert [row["vehicle_count"] for row in rows] == [1, 2]
    assert {row["traffic_date"] for row in rows} == {DAY}


def test_free_flow_is_the_85th_percentile_of_the_days_windows(spark: SparkSession) -> None:
    """Eleven speeds, 10, 20 ... 110: 85 % of the way from the first to the last is 95."""
    rows = traffic(spark, *(count(15 * n, 1, 10.0 * (n + 1)) for n in range(11)))
    assert [row["free_flow_speed_kmh"] for row in rows] == pytest.approx([95.0, 95.0, 95.0])
    assert [row["congestion_index"] for row in rows] == pytest.approx([95 / 25, 95 / 65, 95 / 100])


def test_hour_without_vehicles_has_no_speed_and_no_index(spark: SparkSession) -> None:
    first, second = traffic(spark, count(0, 0, None), count(60, 5, 50.0))
    assert (first["vehicle_count"], first["mean_speed_kmh"], first["congestion_index"]) == (0, None, None)
    assert second["congestion_index"] == 1.0


def test_vehicles_of_unknown_speed_count_and_weigh_nothing(spark: SparkSession) -> None:
    (row,) = traffic(spark, count(0, 10, 40.0), count(15, 1000, None))
    assert (row["vehicle_count"], row["mean_speed_kmh"]) == (1010, 40.0)


def test_coverage_is_the_share_of_the_hour_and_two_detectors_cover_no_more(spark: SparkSession) -> None:
    (row,) = traffic(spark, count(0, 1, 50.0), count(0, 2, 50.0, "B"), count(15, 4, 50.0))
    assert (row["vehicle_count"], row["coverage_share"]) == (7, 0.5)


def test_directions_and_places_are_told_apart_and_unknown_sites_left_out(spark: SparkSession) -> None:
    rows = traffic(
        spark,
        count(0, 1, 50.0),
        count(0, 2, 50.0, direction_code="west"),
        count(0, 4, 50.0, "C"),
        count(0, 8, 50.0, "?"),
    )
    found = {(row["place_id"], row["direction_code"]): row["vehicle_count"] for row in rows}
    assert found == {("p1", "east"): 1, ("p1", "west"): 2, ("p2", "east"): 4}


# Timetables ----------------------------------------------------------------------------------------------------------


def trip(code: str, *stops: tuple[str, int | None], feed_date: date = DAY) -> list[dict[str, Any]]:
    """A trip's stops with their departures in seconds of the service day."""
    return [
        {
            "source_code": "s",
            "feed_date": feed_date,
            "trip_code": code,
            "stop_sequence": number,
            "stop_code": stop,
            "departure_seconds": second,
        }
        for number, (stop, second) in enumerate(stops, 1)
    ]


def supply(spark: SparkSession, *trips: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[int, float | None]]:
    links = linked(spark, "bus_stop", ("p1", "1a"), ("p1", "1b"), ("p2", "2"))
    known = places.places_by_code(links.union(linked(spark, "park", ("green", "2"))), transit_supply.KINDS)
    times = frame(spark, STOP_TIME, [row for rows in trips for row in rows])
    found = transit_supply.hours(transit_supply.departures(times, known))
    assert set(found.columns) == set(catalogue().table("mart.transit_supply").column_names)
    return {(r["place_id"], r["service_hour"]): (r["departure_count"], r["headway_minutes"]) for r in found.collect()}


def test_last_stop_of_a_trip_is_no_departure(spark: SparkSession) -> None:
    assert supply(spark, trip("t", ("1a", 8 * HOUR), ("2", 8 * HOUR + 300))) == {("p1", 8): (1, None)}


def test_headway_is_the_time_since_the_departure_before_at_the_same_platform(spark: SparkSession) -> None:
    found = supply(
        spark,
        trip("a", ("1a", 8 * HOUR), ("2", 8 * HOUR + 300)),
        trip("b", ("1a", 8 * HOUR + 600), ("2", 9 * HOUR)),
        trip("c", ("1a", 8 * HOUR + 2400), ("2", 9 * HOUR)),
        # The other side of the road runs by itself.
        trip("d", ("1b", 8 * HOUR + 60), ("2", 9 * HOUR)),
        trip("e", ("1b", 9 * HOUR), ("2", 9 * HOUR + 60)),
    )
    assert found == {("p1", 8): (4, 20.0), ("p1", 9): (1, 59.0)}


def test_hours_go_on_after_midnight(spark: SparkSession) -> None:
    found = supply(spark, trip("t", ("1a", 24 * HOUR - 1), ("2", 24 * HOUR), ("1b", 25 * HOUR), ("2", 26 * HOUR)))
    assert sorted(hour for _, hour in found) == [23, 24, 25]


def test_stop_without_a_time_and_one_nobody_lists_are_not_counted(spark: SparkSession) -> None:
    found = supply(spark, trip("t", ("1a", None), ("nowhere", 8 * HOUR), ("2", 8 * HOUR), ("1b", 9 * HOUR)))
    assert found == {("p2", 8): (1, None)}


def test_timetables_do_not_mix(spark: SparkSession) -> None:
    times = [*trip("t", ("2", HOUR), ("1a", HOUR)), *trip("t", ("2", HOUR), ("1a", HOUR), feed_date=DAY + timedelta(7))]
    known = places.places_by_code(linked(spark, "bus_stop", ("p2", "2")), transit_supply.KINDS)
    found = transit_supply.departures(frame(spark, STOP_TIME, times), known)
    assert [tuple(row) for row in found.groupBy("feed_date").agg(F.count("*")).orderBy("feed_date").collect()] == [
        (DAY, 1),
        (DAY + timedelta(7), 1),
    ]
