"""Keyed tokens in place of card, device and account numbers, as native Spark expressions."""

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts.checks import quoted
from ronghe.privacy.keyed_hash import hmac_sha256

_TOKEN_HEX_DIGITS: Final = 32

_KEY_ID, _INNER, _OUTER = "__key_id", "__inner_pad", "__outer_pad"


def tokenise(frame: DataFrame, column: str, key_id_column: str, keys: DataFrame, into: str) -> DataFrame:
    """Return the frame with `column` replaced, in its place, by its token under each row's key.

    A token is the first 32 hexadecimal digits (128 bits) of the HMAC: half of it, the least that
    RFC 2104 allows, and enough that among a billion values under one key the odds of any two
    sharing a token are about 1 in 10**21. A null value has a null token.

    Args:
        frame: The rows; `column` is a STRING in canonical form.
        column: Name of the column to replace; it is not in the result unless `into` has its name.
        key_id_column: Name of the column that names each row's key, such as its service day.
        keys: One row per key id, from `keyed_hash.key_frame`.
        into: Name of the column of tokens.

    Returns:
        The rows as they were, with the token. Computing a token whose key id has no key fails the
        query with an error that names the key id and never the value.

    Raises:
        ValueError: If the frame has no such column, letter for letter (it would pass through in
            clear), or if `into` is another column of the frame.
    """
    if column not in frame.columns:
        raise ValueError(f"no column {column} among {', '.join(frame.columns)}")
    if into != column and into in frame.columns:
        raise ValueError(f"the frame has a column {into} already")
    renamed = keys.select(
        F.col("key_id").alias(_KEY_ID),
        F.col("inner_pad").alias(_INNER),
        F.col("outer_pad").alias(_OUTER),
    )
    value, key_id = F.col(quoted(column)), F.col(quoted(key_id_column)).cast("string")
    refusal = F.raise_error(F.concat(F.lit("no key for key id "), F.coalesce(key_id, F.lit("NULL"))))
    token = F.substring(hmac_sha256(value, F.col(_INNER), F.col(_OUTER)), 1, _TOKEN_HEX_DIGITS)
    checked = F.when(value.isNull(), F.lit(None)).when(F.col(_KEY_ID).isNull(), refusal)
    tokens = checked.otherwise(token).alias(into)
    joined = frame.join(F.broadcast(renamed), key_id == F.col(_KEY_ID), "left")
    return joined.select(*(tokens if name == column else F.col(quoted(name)) for name in frame.columns))
