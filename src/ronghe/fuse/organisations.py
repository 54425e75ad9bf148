"""Organisations: records with one unified social credit code are one organisation.

The code (GB 32100-2015) is checked while a record is standardised, so equality is exact. Each attribute comes from
the most trusted source that knows it and, within a source, from the newest state.

A record without a code is linked by the core of its name where exactly one organisation bears it; a person looks at
the others. A link by name is a trail and no more: it changes nothing about the organisation.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.records import newest_by_trust
from ronghe.standardise.normalisers import organisation_core_name, organisation_name, organisation_province
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
# What tells one record from another.
RECORD = ("table_name", "delivery_id", "record_number", "source_code")
# Second sign of the code: kind of organisation; 92 is a sole trader (GB 32100-2015, registration authority 9).
_SOLE_TRADER_CODE = "92%"


def identified(records: DataFrame, keys: DataFrame, key_id: str) -> DataFrame:
    """Return the records that have a code, with the organisation's id.

    The id is a keyed hash of the code: stable over runs, equal for equal codes, and of no use to somebody who tries
    all codes without the key.

    Args:
        records: gathered records with `uscc` and the attributes.
        keys: the key as `keyed_hash.key_frame` gives it.
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


def match_names(records: DataFrame, known: DataFrame) -> DataFrame:
    """Compare the names of records without a code with those that organisations bear.

    Names are equal when their cores are. A name that speaks of a province is compared with organisations registered
    there (digits three and four of the code). Sole traders are persons and never compared: they bear no legal form,
    and whatever is registered as one is left out.

    Args:
        records: gathered records.
        known: records with `organisation_id`, as `identified` gives them.

    Returns:
        One row per record that has a name and no code: `table_name`, `delivery_id`, `record_number`, `source_code`,
        `candidate_count` (organisations that bear the name), `organisation_id` and `uscc` (null unless it is one)
        and `link_review_reason_code` (null where it is one).
    """
    trader = F.max(F.coalesce(F.col("organisation_kind_code") == "sole_trader", F.lit(False))).alias("trader")
    companies = known.groupBy("organisation_id").agg(trader).where(~F.col("trader")).select("organisation_id")
    # Most records of an organisation bear the same name, and finding its core is what costs.
    names = known.where(~F.col("uscc").like(_SOLE_TRADER_CODE)).select("organisation_id", "uscc", "organisation_name")
    bearers = (
        names.distinct()
        .select("organisation_id", "uscc", organisation_core_name(F.col("organisation_name")).alias("borne_core"))
        .where(F.col("borne_core").isNotNull())
        .distinct()
        .join(companies, "organisation_id", "left_semi")
    )
    nameless = F.col("uscc").isNull() & F.col("organisation_name").isNotNull()
    wanted = records.where(nameless).select(
        *RECORD,
        organisation_core_name(F.col("organisation_name")).alias("core"),
        organisation_province(F.col("organisation_name")).alias("province"),
    )
    there = F.col("province").isNull() | (F.col("province") == F.substring("uscc", 3, 2))
    compared = wanted.join(bearers, (F.col("core") == F.col("borne_core")) & there, "left")
    counted = compared.groupBy(*RECORD, "core").agg(
        F.count_distinct("organisation_id").alias("candidate_count"),
        F.min("organisation_id").alias("organisation_id"),
        F.min("uscc").alias("uscc"),
    )
    found = F.col("candidate_count") == 1
    reason = (
        F.when(F.col("core").isNull(), "no_legal_form")
        .when(F.col("candidate_count") == 0, "unknown")
        .when(F.col("candidate_count") > 1, "ambiguous")
    )
    return counted.select(
        *RECORD,
        "candidate_count",
        *(F.when(found, F.col(name)).alias(name) for name in ("organisation_id", "uscc")),
        reason.alias("link_review_reason_code"),
    )


def links(records: DataFrame, matched: DataFrame) -> DataFrame:
    """Return which table of which source knows each organisation, by which rule, and with how many records.

    Args:
        records: records with `organisation_id`, as `identified` gives them.
        matched: records without a code, as `match_names` gives them.

    Returns:
        One row per `organisation_id`, `source_code`, `table_name`, `link_rule_code`: `uscc`, `record_count`.
    """
    key = ("organisation_id", "source_code", "table_name", "uscc")
    by_code = records.select(*key, F.lit("uscc").alias("link_rule_code"))
    return (
        by_code.unionByName(by_name(matched).select(*key, "link_rule_code"))
        .groupBy(*key, "link_rule_code")
        .agg(F.count("*").alias("record_count"))
    )


def by_name(matched: DataFrame) -> DataFrame:
    """Return the records that were linked by name, as the contract of `fused.link_organisation_record` says."""
    return matched.where(F.col("organisation_id").isNotNull()).withColumn("link_rule_code", F.lit("name"))


def to_review(matched: DataFrame) -> DataFrame:
    """Return the records a person has to look at, as the contract of `meta.link_review` says."""
    return matched.where(F.col("organisation_id").isNull())


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

    A code may have stood for several divisions, one after the other; validity is in whole years. Without a day, and
    where the code was not valid on it (an organisation older than its district, a code still used after its end), the
    newest meaning of the code counts.

    Args:
        frame: rows with `division_code` and the day.
        divisions: `division_code`, `division_name`, `valid_from_year`, `valid_to_year`, `current_code`.
        as_of: the column with the day; none where the rows have no day on which their code was given.

    Returns:
        The rows with `division_name` and `current_division_code`, null where the code is unknown.
    """
    meaning = divisions.select(
        F.col("division_code").alias("meant_code"),
        "division_name",
        F.col("current_code").alias("current_division_code"),
        F.coalesce("valid_from_year", F.lit(0)).alias("meant_from"),
        F.coalesce("valid_to_year", F.lit(9999)).alias("meant_to"),
    )
    joined = frame.join(F.broadcast(meaning), F.col("division_code") == F.col("meant_code"), "left")
    year = F.year(as_of) if as_of else F.lit(None).cast("int")
    valid = F.coalesce(year.between(F.col("meant_from"), F.col("meant_to")), F.lit(False))
    # In a year of change two meanings are valid; the later one stands.
    newest = F.struct(valid, "meant_to", "meant_from")
    kept = {name: F.max_by(name, newest).alias(name) for name in ("division_name", "current_division_code")}
    return joined.groupBy(*frame.columns).agg(*kept.values())
