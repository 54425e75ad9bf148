"""Which place a record speaks of, by the code its source uses."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.lake import Lake, digest

LINKS = "fused.link_place_source"
# Which place a code and name are, not how often they were seen: that changes with every delivery.
_IDENTITY = ("source_code", "place_kind_code", "place_code", "place_name", "place_id")


def basis(lake: Lake, kinds: Sequence[str]) -> str:
    """Return a hash of what marts about some kinds of places take from the links: a new park moves no bus."""
    rows = lake.rows(LINKS, _IDENTITY).to_pylist()
    return digest(sorted((row for row in rows if row["place_kind_code"] in kinds), key=str))


def places_by_code(links: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """Return the place of each code that a source uses for places of some kinds.

    Args:
        links: `fused.link_place_source`.
        kinds: the kinds. One code that means places of two of them stands for the first id.

    Returns:
        One row per `source_code`, `place_code`: `place_id`.
    """
    own = links.where(F.col("place_kind_code").isin(*kinds) & F.col("place_code").isNotNull())
    return own.groupBy("source_code", "place_code").agg(F.min("place_id").alias("place_id"))
