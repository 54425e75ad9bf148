"""Service requests: counted by division, topic and day of receipt."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# As many persons as the gate asks for; the answered and the open ones of a cell are groups of their own.
MINIMUM_COUNT = 10
_ANSWERED = "count(DISTINCT CASE WHEN hours_to_answer IS NOT NULL THEN requester_token END)"
_OPEN = "count(DISTINCT CASE WHEN hours_to_answer IS NULL THEN requester_token END)"
_TELLABLE = (
    f"(count(hours_to_answer) = 0 OR {_ANSWERED} >= {MINIMUM_COUNT})"
    f" AND (count(hours_to_answer) = count(*) OR {_OPEN} >= {MINIMUM_COUNT})"
)
REQUEST = ("source_code", "request_number")
MEASURES = {
    "request_count": "count(*)",
    "answered_count": f"CASE WHEN {_TELLABLE} THEN count(hours_to_answer) END",
    "mean_hours_to_answer": f"CASE WHEN {_ANSWERED} >= {MINIMUM_COUNT} THEN avg(hours_to_answer) END",
}


def contributions(requests: DataFrame) -> DataFrame:
    """Return each request once, in its newest state.

    The requester's token is that of the first state: a later one may carry another key.

    Args:
        requests: accepted rows of `std.service_request`.

    Returns:
        One row per request: `source_code`, `received_date`, `city_code`, `county_code`, `request_topic_code`,
        `requester_token` (null where nobody left a number) and `hours_to_answer` (null while there is no answer).
    """
    order = F.struct("updated_at", "delivery_id", "record_number")
    state = F.struct("division_code", "request_topic_code", "received_at", "answered_at")
    standing = requests.groupBy(*REQUEST).agg(
        F.min_by(F.struct("received_date", "requester_token"), order).alias("first"),
        F.max_by(state, order).alias("last"),
    )
    hours = (F.unix_seconds("last.answered_at") - F.unix_seconds("last.received_at")) / 3600
    return standing.select(
        "source_code",
        "first.received_date",
        F.concat(F.substring("last.division_code", 1, 4), F.lit("00")).alias("city_code"),
        F.col("last.division_code").alias("county_code"),
        "last.request_topic_code",
        "first.requester_token",
        F.when(hours >= 0, hours).alias("hours_to_answer"),
    )


def as_table(published: DataFrame) -> DataFrame:
    """Return published cells as the contract of `mart.service_request` says."""
    return published.withColumn("division_code", F.coalesce("county_code", "city_code"))
