"""Service requests: each in its newest state, keyed to the service item and the division it is about."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.organisations import with_division
from ronghe.standardise.tokens import tokenise

_STATE = (
    "received_at",
    "received_date",
    "channel_code",
    "request_topic_code",
    "item_code",
    "division_code",
    "request_text",
    "request_status_code",
    "answered_at",
    "satisfaction_code",
)


def newest(requests: DataFrame) -> DataFrame:
    """Return each request in the state that holds since last.

    Args:
        requests: accepted rows of `std.service_request`. Who asked is left behind here.

    Returns:
        One row per `source_code` and `request_number`, with the columns of the state and `hours_to_answer`.
    """
    order = F.struct("updated_at", "delivery_id", "record_number")
    last = requests.groupBy("source_code", "request_number").agg(F.max_by(F.struct(*_STATE), order).alias("last"))
    hours = (F.unix_seconds("answered_at") - F.unix_seconds("received_at")) / 3600
    return last.select("source_code", "request_number", "last.*").withColumn(
        "hours_to_answer", F.when(hours >= 0, hours.cast("DECIMAL(12,2)"))
    )


def identified(requests: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Return the requests with `request_id`, a keyed hash of source and number.

    The number is what the requester was told; without the key nobody finds his request by it.

    Args:
        requests: rows with `source_code`, `request_number`.
        keys: the key as `tokens.key_frame` gives it.
        key_id: the key's id.
    """
    named = requests.withColumns(
        {"request_id": F.concat_ws("|", "source_code", "request_number"), "key_id": F.lit(key_id)}
    )
    return (
        tokenise(named, "request_id", "key_id", keys, "request_id")
        .withColumn("request_id", F.concat(F.lit("req_"), F.col("request_id")))
        .drop("key_id")
    )


def fuse(requests: DataFrame, items: DataFrame, divisions: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Return one row per request, as the contract of `fused.service_request` says.

    Args:
        requests: accepted rows of `std.service_request`.
        items: `fused.service_item`; a code it does not know becomes null.
        divisions: `fused.division`.
        keys: see `identified`.
        key_id: see `identified`.
    """
    rows = identified(newest(requests), keys, key_id)
    known = F.broadcast(items.select(F.col("item_code").alias("known_code")))
    keyed = rows.join(known, F.col("item_code") == F.col("known_code"), "left").withColumn(
        "item_code", F.col("known_code")
    )
    return with_division(keyed.drop("known_code"), divisions, "received_date")
