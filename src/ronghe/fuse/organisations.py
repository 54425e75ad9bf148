"""Organisations: records with one unified social credit code are one organisation.

The code (GB 32100-2015) is checked while a record is standardised, so equality is exact. Each attribute comes from
the most trusted source that knows it and, within a source, from the newest state.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.records import newest_by_trust
from ronghe.standardise.normalisers import organisation_name
from ronghe.standardise.tokens import tokenise

# Attributes that are merged one by one; a missing value never hides a known one.
ATTRIBUTES = (
    "organisation_name",
    "organisation_kind_code",
    "legal_representative_name",
    "contact_phone",
    "founded_date",
    "registered_capital_cny",
    "division_code",
    "address",
    "registration_status_code",
)
# Second sign of the code: kind of organisation; 92 is a sole trader (GB 32100-2015, registration authority 9).
_SOLE_TRADER_CODE = "92%"


def identified(records: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Return the records that have a code, with the organisation's id.

    The id is a keyed hash of the code: stable over runs, equal for equal codes, and of no use to somebody who tries
    all codes without the key.

    Args:
        records: gathered records with `uscc` and the attributes.
        keys: the key as `tokens.key_frame` gives it.
        key_id: the key's id.

    Returns:
        The records with `organisation_id`, names in one spelling.
    """
    known = records.where(F.col("uscc").isNotNull()).withColumns(
        {"organisation_id": F.col("uscc"), "key_id": F.lit(key_id)}
    )
    tokens = tokenise(known, "organisation_id", "key_id", keys, "organisation_id").drop("key_id")
    return tokens.withColumns(
        {
            "organisation_id": F.concat(F.lit("org_"), F.col("organisation_id")),
            "organisation_name": organisation_name(F.col("organisation_name")),
        }
    )


def links(records: DataFrame) -> DataFrame:
    """Return which table of which source knows each organisation, and with how many records.

    Returns:
        One row per `organisation_id`, `source_code`, `table_name`: `uscc`, `record_count`.
    """
    return records.groupBy("organisation_id", "source_code", "table_name", "uscc").agg(
        F.count("*").alias("record_count")
    )


def merge(records: DataFrame, divisions: DataFrame) -> DataFrame:
    """Merge each organisation's records into one row.

    Args:
        records: records with `organisation_id`, as `identified` gives them.
        divisions: the table of divisions with validity.

    Returns:
        One row per `organisation_id`, as the contract of `fused.organisation` says.
    """
    merged = newest_by_trust(records, ("organisation_id", "uscc"), ATTRIBUTES)
    is_sole_trader = F.coalesce(F.col("organisation_kind_code") == "sole_trader", F.lit(False)) | F.col("uscc").like(
        _SOLE_TRADER_CODE
    )
    return with_division(merged.withColumn("is_sole_trader", is_sole_trader), divisions, "founded_date")


def with_division(frame: DataFrame, divisions: DataFrame, as_of: str | None = None) -> DataFrame:
    """Add the name a division code had on a day, and the code as of today.

    A code may have stood for several divisions, one after the other; validity is in whole years. Without a day the
    newest meaning of the code counts.

    Args:
        frame: rows with `division_code` and the day.
        divisions: `division_code`, `division_name`, `valid_from_year`, `valid_to_year`, `current_code`.
        as_of: the column with the day; none where the rows have no day on which their code was given.

    Returns:
        The rows with `division_name` and `current_division_code`, null where the code was not valid that year.
    """
    meaning = divisions.select(
        F.col("division_code").alias("meant_code"),
        "division_name",
        F.col("current_code").alias("current_division_code"),
        F.coalesce("valid_from_year", F.lit(0)).alias("meant_from"),
        F.coalesce("valid_to_year", F.lit(9999)).alias("meant_to"),
    )
    year = F.year(as_of) if as_of else F.lit(None).cast("int")
    valid = year.isNull() | year.between(F.col("meant_from"), F.col("meant_to"))
    joined = frame.join(F.broadcast(meaning), (F.col("division_code") == F.col("meant_code")) & valid, "left")
    # In a year of change two meanings are valid; the later one stands.
    newest = F.struct("meant_to", "meant_from")
    kept = {name: F.max_by(name, newest).alias(name) for name in ("division_name", "current_division_code")}
    return joined.groupBy(*frame.columns).agg(*kept.values())
