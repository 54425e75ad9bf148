"""Results of our recognizers, with the reason that Presidio's decision log shows."""

from typing import Final

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

LANGUAGE: Final = "zh"


def result(
    recognizer: EntityRecognizer, entity: str, span: tuple[int, int], score: float, rule: str, why: str = ""
) -> RecognizerResult:
    """Return a result.

    Args:
        recognizer: who found it.
        entity: the kind of identifier.
        span: places of its first sign and of the one after its last.
        score: how sure it is, from 0 to 1.
        rule: name of the pattern or rule.
        why: what raised or lowered the score.
    """
    name = type(recognizer).__name__
    explanation = AnalysisExplanation(name, score, pattern_name=rule, textual_explanation=why)
    metadata = {
        RecognizerResult.RECOGNIZER_NAME_KEY: name,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: recognizer.id,
    }
    return RecognizerResult(entity, span[0], span[1], score, explanation, metadata)
