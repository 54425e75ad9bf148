"""Service items: what sources list under one national basic code (GB/T 39554.1) is one item."""

from pyspark.sql import DataFrame

from ronghe.fuse.records import newest_by_trust

# Attributes that are merged one by one; a missing value never hides a known one.
ATTRIBUTES = (
    "item_name",
    "item_kind_code",
    "owner_name",
    "owner_uscc",
    "legal_days",
    "promised_days",
    "online_level_code",
    "item_status_code",
    "version_date",
)


def merge(records: DataFrame) -> DataFrame:
    """Return one row per `item_code`, as the contract of `fused.service_item` says, from gathered records."""
    return newest_by_trust(records, ("item_code",), ATTRIBUTES)
