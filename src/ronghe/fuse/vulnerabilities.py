"""Vulnerabilities: what catalogues of exploited ones and predictions say of one CVE number, in one row."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.fuse.records import newest_by_trust

ATTRIBUTES = (
    "vendor_name",
    "product_name",
    "vulnerability_name",
    "added_date",
    "due_date",
    "ransomware_use_code",
    "weakness_text",
    "exploit_probability",
    "exploit_percentile",
)


def merge(records: DataFrame) -> DataFrame:
    """Merge the records of each CVE number, as the contract of `fused.vulnerability` says.

    Args:
        records: gathered records with `cve_code`, the attributes, `updated_date` and `table_name`.

    Returns:
        One row per `cve_code`; `source_count` counts tables, because one source has several.
    """
    tables = records.groupBy("cve_code").agg(F.count_distinct("table_name").alias("source_count"))
    merged = newest_by_trust(records, ("cve_code",), ATTRIBUTES).drop("source_count", "record_count")
    return merged.join(tables, "cve_code").withColumn("is_known_exploited", F.col("added_date").isNotNull())
