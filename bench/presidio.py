"""Vanilla Presidio on the same Spark: analyzer and anonymizer for each cell in `mapInPandas`, on a sample.

That is how Presidio's own guide runs it on Spark. Its Chinese has no model here, so it runs on a blank spaCy: it finds
less than a model would, and it is faster than with one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bench import meter
from bench.meter import Cost

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

LANGUAGE = "zh"


@dataclass
class Vanilla:
    """What vanilla Presidio needs for a sample. `way` is `analyze`, or `anonymize` where the span is given."""

    column_count: int
    way: str
    rows: int
    cost: Cost


def measure(frame: "DataFrame", columns: Sequence[str], way: str, leader: int | None = None) -> Vanilla:
    """Treat columns of a sample cell by cell; the import of Presidio in the workers is left out by a first run.

    Args:
        frame: the sample; some thousand rows, or making the engines would count.
        columns: columns of text.
        way: `analyze` looks for what identifies in each cell; `anonymize` is told that the whole cell does.
        leader: the engine's process.
    """
    sample = frame.select(*columns).repartition(2).localCheckpoint()
    treat = _analysed if way == "analyze" else _told
    treated = sample.mapInPandas(treat, sample.schema)
    treated.limit(2).collect()
    with meter.measured(leader) as cost:
        treated.write.format("noop").mode("overwrite").save()
    return Vanilla(len(columns), way, sample.count(), cost)


def _analysed(batches: "Iterator[pd.DataFrame]") -> "Iterator[pd.DataFrame]":
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_anonymizer import AnonymizerEngine

    # Otherwise it asks the network for the list of suffixes.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    engine = SpacyNlpEngine([{"lang_code": LANGUAGE, "model_name": "blank"}])
    engine.nlp = cast(Any, {LANGUAGE: spacy.blank(LANGUAGE)})
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=[LANGUAGE])
    anonymizer = AnonymizerEngine()

    def cell(text: str | None) -> str | None:
        if text is None:
            return None
        return str(anonymizer.anonymize(text, cast(Any, analyzer.analyze(text, LANGUAGE))).text)

    for batch in batches:
        yield batch.map(cell)


def _told(batches: "Iterator[pd.DataFrame]") -> "Iterator[pd.DataFrame]":
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

    anonymizer = AnonymizerEngine()
    operators = {"DEFAULT": OperatorConfig("mask", {"masking_char": "*", "chars_to_mask": 8, "from_end": True})}

    def cell(text: str | None) -> str | None:
        if text is None:
            return None
        return str(anonymizer.anonymize(text, [RecognizerResult("VALUE", 0, len(text), 1.0)], operators).text)

    for batch in batches:
        yield batch.map(cell)
