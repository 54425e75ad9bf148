"""What is said of a datetime pattern without an engine is what Spark does with it."""

import string

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ronghe.contracts.patterns import pattern_fault
from ronghe.standardise.instants import read_instant

pytestmark = pytest.mark.spark

# Letters that Spark reads, and that its reference does not name.
UNDOCUMENTED = "gv"


def read(spark: SparkSession, text: str, pattern: str) -> object:
    return spark.range(1).select(read_instant(F.lit(text), pattern, "UTC").cast("string")).collect()[0][0]


def spark_takes(spark: SparkSession, pattern: str) -> bool:
    try:
        read(spark, "x", pattern)
    except PySparkException:
        return False
    return True


@pytest.mark.parametrize("letter", [letter for letter in string.ascii_letters if letter not in UNDOCUMENTED])
def test_a_letter_is_taken_in_the_lengths_that_spark_takes(spark: SparkSession, letter: str) -> None:
    # The rest is whole, so that only the letter is judged; what is optional may stand twice.
    patterns = [f"yyyy MM dd HH mm ss a [{letter * length}]" for length in range(1, 11)]
    taken = [len(pattern) for pattern in patterns if pattern_fault(pattern) is None]
    assert taken == [len(pattern) for pattern in patterns if spark_takes(spark, pattern)]


@pytest.mark.parametrize(
    ("pattern", "text", "read_as"),
    [
        ("yyyy-mm-dd", "2024-05-06", "2024-01-06 00:05:00"),
        ("MM-dd", "05-06", "1970-05-06 00:00:00"),
        ("yyyy-MM-dd mm:ss", "2024-05-06 07:08", "2024-05-06 00:07:08"),
        ("yyyy-MM-dd hh:mm", "2024-05-06 07:08", "2024-05-06 07:08:00"),
        ("yyyy-MM-dd HH:mm:SS", "2024-05-06 07:08:09", "2024-05-06 07:08:00.09"),
    ],
)
def test_what_spark_would_read_as_another_day_or_hour_is_refused(
    spark: SparkSession, pattern: str, text: str, read_as: str
) -> None:
    assert read(spark, text, pattern) == read_as
    assert pattern_fault(pattern) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "read_as"),
    [
        ("yyyyMM", "202405", "2024-05-01 00:00:00"),
        ("yyyy-DDD", "2024-032", "2024-02-01 00:00:00"),
        ("yyyy年M月d日 HH时", "2024年5月6日 07时", "2024-05-06 07:00:00"),
        ("d/M/yy h:mm a", "6/5/24 7:08 PM", "2024-05-06 19:08:00"),
        ("yyyy-MM-dd HH:mm[:ss][XXX][X]", "2024-05-06 07:08", "2024-05-06 07:08:00"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-05-06T07:08:09.250+08:00", "2024-05-05 23:08:09.25"),
        ("epoch_millis", "1714950489250", "2024-05-05 23:08:09.25"),
    ],
)
def test_a_pattern_that_is_taken_reads(spark: SparkSession, pattern: str, text: str, read_as: str) -> None:
    assert pattern_fault(pattern) is None
    assert read(spark, text, pattern) == read_as
