"""Social security: accounts and contributions counted by division, month and scheme."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MEASURES = {
    "account_count": "count(*)",
    "employer_cny": "sum(employer_cny)",
    "individual_cny": "sum(individual_cny)",
}


def contributions(accounts: DataFrame) -> DataFrame:
    """Return the standing contribution of each account, scheme and month: the one settled last.

    Args:
        accounts: accepted rows of `std.social_security_account`.

    Returns:
        One row per person, scheme and month: `source_code`, `scheme_code`, `contribution_month`, `province_code`,
        `city_code`, `county_code` (as the source keeps the account), `person_token`, `employer_cny`, `individual_cny`.
    """
    standing = accounts.groupBy("source_code", "person_token", "scheme_code", "contribution_month").agg(
        F.max_by(
            F.struct("division_code", "employer_cny", "individual_cny"),
            F.struct("settled_at", "delivery_id", "record_number"),
        ).alias("last")
    )
    division = F.col("last.division_code")
    return standing.select(
        "source_code",
        "scheme_code",
        "contribution_month",
        F.concat(F.substring(division, 1, 2), F.lit("0000")).alias("province_code"),
        F.concat(F.substring(division, 1, 4), F.lit("00")).alias("city_code"),
        division.alias("county_code"),
        "person_token",
        "last.employer_cny",
        "last.individual_cny",
    )


def as_table(published: DataFrame) -> DataFrame:
    """Return published cells as the contract of `mart.social_security` says."""
    return published.withColumn("division_code", F.coalesce("county_code", "city_code", "province_code"))
