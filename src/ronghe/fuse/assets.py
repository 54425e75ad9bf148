"""Public assets: records of one source with one kind and code are one asset.

The books of two sources are not compared: what one calls a segment the other may cut in three. Each attribute comes
from the most trusted table that knows it and, within it, from the newest state. The owner is an organisation, where any
source speaks of one under the owner's code.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.organisations import with_division
from ronghe.fuse.records import newest_by_trust
from ronghe.standardise.tokens import tokenise

KEY = ("source_code", "asset_kind_code", "asset_code")
# Attributes that are merged one by one; a missing value never hides a known one.
ATTRIBUTES = (
    *("owner_uscc", "material_code", "diameter_mm", "length_m", "built_year", "division_code"),
    *("longitude", "latitude"),
)


def identified(records: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Return the records with the asset's id.

    The id is a keyed hash of source, kind and code: codes of lifelines stay behind the crossing, and without the key
    nobody can try them all against the ids.

    Args:
        records: gathered records with `source_code`, `asset_kind_code`, `asset_code` and the attributes.
        keys: the key as `tokens.key_frame` gives it.
        key_id: the key's id.

    Returns:
        The records with `asset_id`.
    """
    named = records.withColumns({"asset_id": F.concat_ws("|", *KEY), "key_id": F.lit(key_id)})
    tokens = tokenise(named, "asset_id", "key_id", keys, "asset_id").drop("key_id")
    return tokens.withColumn("asset_id", F.concat(F.lit("ast_"), F.col("asset_id")))


def merge(records: DataFrame, organisations: DataFrame, divisions: DataFrame) -> DataFrame:
    """Merge each asset's records into one row.

    Args:
        records: records with `asset_id`, as `identified` gives them.
        organisations: `uscc`, `organisation_id` of every organisation that a source speaks of; may repeat.
        divisions: the table of divisions with validity.

    Returns:
        One row per `asset_id`, as the contract of `fused.asset` says.
    """
    merged = newest_by_trust(records, ("asset_id", *KEY), ATTRIBUTES).drop("source_count")
    owners = organisations.select(
        F.col("uscc").alias("owner_uscc"), F.col("organisation_id").alias("owner_organisation_id")
    ).distinct()
    owned = merged.join(F.broadcast(owners), "owner_uscc", "left").drop("owner_uscc")
    return with_division(owned, divisions)
