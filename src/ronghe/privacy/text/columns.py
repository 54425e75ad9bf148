"""Columns of free text: each distinct text is analysed once, and not again in later nights."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue
from ronghe.contracts.checks import quoted
from ronghe.contracts.policy import TextPolicy
from ronghe.lake import Lake, code_version, digest
from ronghe.privacy.keyed_hash import hmac_sha256, key_frame
from ronghe.privacy.keys import KeyStore

if TYPE_CHECKING:
    from pyspark.sql.pandas._typing import ArrowMapIterFunction

MEMORY: Final = "meta.text_treatment"
KEY_ID: Final = "purpose-text_treatment"
# What finds and treats beside our own code: another one of them may find more.
_LIBRARIES: Final = ("presidio-analyzer", "presidio-anonymizer", "python-stdnum", "lac")
_TREATED: Final = "original string, treated_text string, entity_counts string"
_ARROW: Final = pa.schema([(name, pa.string()) for name in ("original", "treated_text", "entity_counts")])


class Texts(Protocol):
    """Where columns get their treated texts from."""

    def treat(self, frame: DataFrame, columns: Sequence[str], policy_id: str, suffix: str) -> DataFrame:
        """Return the rows with a column more for each named one, by its name and the suffix; null stays null."""


class FreshTexts:
    """Analyses every distinct text, when the frame is computed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def treat(self, frame: DataFrame, columns: Sequence[str], policy_id: str, suffix: str) -> DataFrame:
        """Return the rows with the treated texts beside the originals; see `Texts`."""
        treated = analysed(distinct_texts(frame, columns), self._catalogue.policy(policy_id))
        return _beside(frame, columns, treated.select("original", "treated_text"), suffix)


class RememberedTexts:
    """Analyses texts that were not seen before under the same policy and keeps the result, not the text."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def treat(self, frame: DataFrame, columns: Sequence[str], policy_id: str, suffix: str) -> DataFrame:
        """Return the rows with the treated texts beside the originals; see `Texts`. Analyses at once what is new."""
        policy = self._lake.catalogue.policy(policy_id)
        version = treatment_version(policy)
        texts = self.digested(frame, columns)
        known = self._lake.read(MEMORY).where(F.col("treatment_version") == version)
        new = texts.join(known, "text_digest", "left_anti").localCheckpoint()
        if count := new.count():
            made = new.join(analysed(new.select("original"), policy), "original")
            scope = [version, count, self._lake.state(MEMORY)]
            rows = made.withColumn("treatment_version", F.lit(version))
            self._lake.append(MEMORY, rows, digest(MEMORY, scope))
            known = self._lake.read(MEMORY).where(F.col("treatment_version") == version)
        treated = texts.join(known, "text_digest").select("original", "treated_text")
        return _beside(frame, columns, treated, suffix)

    def digested(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """Return every text of some columns once, as `original`, with its `text_digest`.

        The key comes as a row and stands in no plan.
        """
        texts = distinct_texts(frame, columns)
        keys = key_frame(texts.sparkSession, KeyStore(self._lake.home.keys).ensure([KEY_ID])).drop("key_id")
        message = hmac_sha256(F.col("original"), F.col("inner_pad"), F.col("outer_pad"))
        return texts.crossJoin(F.broadcast(keys)).select("original", message.alias("text_digest"))


def distinct_texts(frame: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Return every text of some columns once, as `original`."""
    cells = F.explode(F.array(*(F.col(quoted(name)) for name in columns))).alias("original")
    return frame.select(cells).where(F.col("original").isNotNull()).distinct()


def analysed(texts: DataFrame, policy: TextPolicy) -> DataFrame:
    """Return texts under a policy.

    Args:
        texts: `original`, one row per text.
        policy: what is taken out, and what takes its place.

    Returns:
        `original`, `treated_text`, and `entity_counts`: how much was taken out by kind, as JSON.
    """
    # A number of its own, or the optimiser would make one part of few texts, and leave all cores but one idle.
    parts = int(str(texts.sparkSession.conf.get("spark.sql.shuffle.partitions", "4")))
    return texts.select("original").repartition(max(1, parts // 2)).mapInArrow(_analyser(policy), _TREATED)


def _analyser(policy: TextPolicy) -> "ArrowMapIterFunction":
    """Return what a worker does with its batches; the policy goes along, so the worker reads no declarations."""
    declared = policy.model_dump_json()

    def analyse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Loaded by the worker, once in its life: the analyser takes seconds to import.
        from ronghe.privacy.text.desensitiser import desensitiser

        for batch in batches:
            originals = batch.column(0).to_pylist()
            treated = desensitiser(declared).treat(originals)
            counts = [json.dumps(row.counts) for row in treated]
            yield pa.RecordBatch.from_arrays(
                [
                    batch.column(0).cast(pa.string()),
                    pa.array([row.text for row in treated], pa.string()),
                    pa.array(counts, pa.string()),
                ],
                schema=_ARROW,
            )

    return analyse


def _beside(frame: DataFrame, columns: Sequence[str], treated: DataFrame, suffix: str) -> DataFrame:
    """Return the rows with the treated text of each column; rows without a text keep null."""
    for name in columns:
        own = treated.select(F.col("original").alias(f"_original{suffix}"), F.col("treated_text").alias(name + suffix))
        frame = frame.join(own, F.col(quoted(name)) == F.col(f"_original{suffix}"), "left").drop(f"_original{suffix}")
    return frame


def treatment_version(policy: TextPolicy) -> str:
    """Return a digest of a policy and of all code that follows it: under another one texts are analysed anew."""
    return digest(policy.fingerprint(), _code())


@cache
def _code() -> str:
    """Return a digest of our rooms that find and treat, and of the libraries they ask."""
    return digest(code_version("privacy", "contracts"), [(name, version_of(name)) for name in _LIBRARIES])
