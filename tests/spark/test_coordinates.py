"""Coordinate systems, against a forward transform written here in numpy and published pairs."""

import contextlib
import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ronghe.standardise.coordinates import with_wgs84

pytestmark = pytest.mark.spark

Grid = NDArray[np.float64]
Point = tuple[float | None, float | None]

METRES_PER_DEGREE = 111_320.0


def to_gcj02(lon: Grid, lat: Grid) -> tuple[Grid, Grid]:
    """The de facto forward formula, as its many ports write it."""
    x, y = lon - 105, lat - 35
    pi, sin = np.pi, np.sin
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x))
    north += (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3
    north += (20 * sin(y * pi) + 40 * sin(y / 3 * pi)) * 2 / 3
    north += (160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x))
    east += (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3
    east += (20 * sin(x * pi) + 40 * sin(x / 3 * pi)) * 2 / 3
    east += (150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3
    a, ee = 6378245.0, 0.00669342162296594323
    radians = lat / 180 * pi
    magic = 1 - ee * sin(radians) ** 2
    north = north * 180 / ((a * (1 - ee)) / (magic * np.sqrt(magic)) * pi)
    east = east * 180 / (a / np.sqrt(magic) * np.cos(radians) * pi)
    return lon + east, lat + north


def to_bd09(lon: Grid, lat: Grid) -> tuple[Grid, Grid]:
    """GCJ-02 to BD-09, the de facto formula."""
    wave = np.pi * 3000 / 180
    radius = np.sqrt(lon * lon + lat * lat) + 0.00002 * np.sin(lat * wave)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * wave)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def grid() -> tuple[Grid, Grid]:
    """About 5,000 points over China, at odd steps so that the waves are met in every phase.

    Also the meridian of 105 degrees, where the formula's root makes the iteration slowest.
    """
    east = np.append(np.arange(73.5, 135, 0.713), [104.9999, 105.0, 105.00001])
    lon, lat = np.meshgrid(east, np.arange(18.1, 53.6, 0.617))
    return lon.ravel(), lat.ravel()


def converted(spark: SparkSession, points: list[Point], system: str) -> list[Point]:
    rows = [(i, *point) for i, point in enumerate(points)]
    frame = spark.createDataFrame(rows, "i int, lon double, lat double")
    return [(r.lon, r.lat) for r in sorted(with_wgs84(frame, "lon", "lat", system).collect())]


def metres(found: list[Point], lon: Grid, lat: Grid) -> Grid:
    east, north = np.array(found, dtype=float).T - np.array([lon, lat])
    return np.hypot(east * np.cos(np.radians(lat)), north) * METRES_PER_DEGREE


@pytest.mark.parametrize("system", ["GCJ-02", "BD-09"])
def test_round_trip_is_nearer_than_a_millimetre(spark: SparkSession, system: str) -> None:
    lon, lat = grid()
    shifted = to_gcj02(lon, lat)
    if system == "BD-09":
        shifted = to_bd09(*shifted)
    points = [(float(x), float(y)) for x, y in zip(*shifted, strict=True)]
    assert metres(points, lon, lat).min() > 50
    error = metres(converted(spark, points, system), lon, lat)
    assert error.max() < 1e-3


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        # Test vectors of eviltransform, and the README of coordtransform for the last.
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
        ((116.404, 39.915), (116.41024449916938, 39.91640428150164)),
    ],
)
def test_gcj02_known_pairs(spark: SparkSession, wgs84: Point, gcj02: Point) -> None:
    assert converted(spark, [gcj02], "GCJ-02") == [pytest.approx(wgs84, abs=1e-8)]


def test_bd09_known_pair(spark: SparkSession) -> None:
    """WGS-84 (116.404, 39.915) is this point in BD-09, by coordtransform's own forward functions."""
    found = converted(spark, [(116.41662724378733, 39.922699552216216)], "BD-09")
    assert found == [pytest.approx((116.404, 39.915), abs=1e-8)]


@pytest.mark.parametrize("system", ["WGS-84", "CGCS2000"])
def test_identity_systems_change_nothing(spark: SparkSession, system: str) -> None:
    frame = spark.createDataFrame([(113.9, 22.5)], "lon double, lat double")
    assert with_wgs84(frame, "lon", "lat", system) is frame


@pytest.mark.parametrize("system", ["GCJ-02", "BD-09"])
def test_points_outside_china_are_unchanged(spark: SparkSession, system: str) -> None:
    tokyo, zero, edge, bad = (139.767, 35.681), (0.0, 0.0), (137.9, 35.0), (500.0, -1e300)
    poles = [(110.0, 90.0), (110.0, -90.0), (math.inf, 30.0)]
    points: list[Point] = [tokyo, zero, edge, bad, *poles]
    assert converted(spark, points, system) == points
    [(lon, lat)] = converted(spark, [(math.nan, 30.0)], system)
    assert lon is not None
    assert math.isnan(lon)
    assert lat == 30.0


def test_half_a_point_is_none(spark: SparkSession) -> None:
    points: list[Point] = [(None, None), (113.9, None), (None, 22.5)]
    assert converted(spark, points, "GCJ-02") == [(None, None)] * 3


def test_other_columns_and_their_order_stay(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [("甲", 22.540796131694766, 113.9171764808363, 7)],
        "`a.b` string, `lat``x` double, `经度` double, n int",
    )
    result = with_wgs84(frame, "经度", "lat`x", "GCJ-02")
    assert result.columns == frame.columns
    assert result.dtypes == frame.dtypes
    assert result.first()[:] == ("甲", pytest.approx(22.543847), pytest.approx(113.912316), 7)


def test_unknown_system_names_the_known_ones(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="'WGS84' is unknown; known: WGS-84, CGCS2000, GCJ-02"):
        with_wgs84(spark.range(1), "id", "id", "WGS84")


def test_unknown_column_is_named(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="no column lat among id"):
        with_wgs84(spark.range(1), "id", "lat", "GCJ-02")


def test_bounds_on_the_result_do_not_multiply_the_plan(spark: SparkSession) -> None:
    """A check on the converted columns must not repeat the iteration (see the note in the code)."""
    frame = spark.createDataFrame([(113.9, 22.5)], "lon double, lat double")
    result = with_wgs84(frame, "lon", "lat", "BD-09")
    inside = result.where(F.col("lon").between(73, 136) & F.col("lat").between(18, 54))

    def plan_size(of: object) -> int:
        with contextlib.redirect_stdout(io.StringIO()) as text:
            of.explain("extended")
        return len(text.getvalue())

    assert plan_size(inside) < plan_size(result) * 1.2
