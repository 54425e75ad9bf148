"""HMAC-SHA256 as a native Spark expression.

HMAC-SHA256 (RFC 2104, FIPS 198-1) is two SHA-256 over the message and two pads made of the key.
The pads come as columns, from a small frame joined by key id: a key written as a literal would be
in every plan, event log and error message.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

_BLOCK_BYTES: Final = 64


def key_pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and outer pad of a key (RFC 2104, section 2), 64 bytes each.

    A key longer than a SHA-256 block is hashed first. A pad gives its key away, so it is as secret.
    """
    block = sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    block = block.ljust(_BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def key_frame(spark: SparkSession, keys: Mapping[str, bytes]) -> DataFrame:
    """Return one row per key: `key_id` STRING, `inner_pad` BINARY, `outer_pad` BINARY.

    The frame is secret: it is joined, never shown, cached or written.

    Raises:
        ValueError: If a key is empty, which would make its tokens anybody's to compute.
    """
    if empty := sorted(key_id for key_id, key in keys.items() if not key):
        raise ValueError(f"empty key for {', '.join(empty)}")
    rows = [(key_id, *key_pads(key)) for key_id, key in keys.items()]
    return spark.createDataFrame(rows, "key_id string, inner_pad binary, outer_pad binary")


def hmac_sha256(message: Column, inner_pad: Column, outer_pad: Column) -> Column:
    """Return HMAC-SHA256 of a message as 64 lower-case hexadecimal digits.

    Args:
        message: STRING, of which the UTF-8 bytes count, or BINARY.
        inner_pad: BINARY, from `key_pads`.
        outer_pad: BINARY, from `key_pads`.
    """
    inner = F.sha2(F.concat(inner_pad, message.cast("binary")), 256)
    return F.sha2(F.concat(outer_pad, F.unhex(inner)), 256)
