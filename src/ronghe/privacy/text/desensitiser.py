"""Texts under a policy: analysed in batches by Presidio's analyzer, rewritten by its anonymizer."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import ConflictResolutionStrategy, OperatorConfig
from presidio_anonymizer.entities import RecognizerResult as Finding
from typing_extensions import override

from ronghe.contracts.policy import TextPolicy
from ronghe.privacy.operators import check_operator
from ronghe.privacy.text.addresses import AddressRecognizer
from ronghe.privacy.text.identifiers import IdentifierRecognizer
from ronghe.privacy.text.persons import LacNlpEngine, PersonRecognizer
from ronghe.privacy.text.results import LANGUAGE

_BATCH: Final = 512


class Treated(NamedTuple):
    """A text without what identifies, and how much of what was taken out, by kind."""

    text: str | None
    counts: dict[str, int]


class _ContextIsSeen(ContextAwareEnhancer):
    """Leaves scores as they are: Presidio's own looks for words among tokens, which Chinese text has none of.

    The recognizers weigh the signs around a value themselves.
    """

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    @override
    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: NlpArtifacts,
        recognizers: list[EntityRecognizer],
        context: list[str] | None = None,
    ) -> list[RecognizerResult]:
        """Return the results."""
        return raw_results


class TextDesensitiser:
    """One analyzer and one anonymizer for a policy; made once in each process that treats texts."""

    def __init__(self, policy: TextPolicy) -> None:
        """Load the model and compile the policy.

        Raises:
            ContractError: Presidio refuses an operator of the policy.
        """
        for entity in policy.entities:
            check_operator(entity.treatment.operator, entity.treatment.params)
        engine = LacNlpEngine()
        engine.load()
        registry = RecognizerRegistry(supported_languages=[LANGUAGE])
        registry.add_recognizer(IdentifierRecognizer(policy))
        registry.add_recognizer(PersonRecognizer(policy.person))
        registry.add_recognizer(AddressRecognizer(policy.address))
        self._engine = engine
        self.analyzer = AnalyzerEngine(
            registry,
            engine,
            default_score_threshold=policy.threshold,
            supported_languages=[LANGUAGE],
            context_aware_enhancer=_ContextIsSeen(),
        )
        self._anonymizer = AnonymizerEngine()
        self._entities = [entity.entity for entity in policy.entities]
        self._operators = {
            entity.entity: OperatorConfig(entity.treatment.operator, dict(entity.treatment.params))
            for entity in policy.entities
        }

    def findings(self, texts: Sequence[str]) -> list[list[RecognizerResult]]:
        """Return what Presidio's analyzer finds in each text; spans may overlap."""
        found = []
        for first in range(0, len(texts), _BATCH):
            batch = texts[first : first + _BATCH]
            for text, artifacts in zip(batch, self._engine.artifacts(batch), strict=True):
                found.append(self.analyzer.analyze(text, LANGUAGE, self._entities, nlp_artifacts=artifacts))
        return found

    def treat(self, texts: Sequence[str | None]) -> list[Treated]:
        """Return each text without what identifies; a missing one stays missing."""
        known = [text for text in texts if text]
        results = iter(self.findings(known))
        return [self._rewrite(text, next(results)) if text else Treated(text, {}) for text in texts]

    def _rewrite(self, text: str, results: Sequence[RecognizerResult]) -> Treated:
        findings = [Finding(r.entity_type, r.start, r.end, r.score) for r in results]
        rewritten = self._anonymizer.anonymize(
            text,
            findings,
            self._operators,
            # Where two kinds overlap, the surer one keeps its span and nothing is left between.
            conflict_resolution=ConflictResolutionStrategy.REMOVE_INTERSECTIONS,
            merge_entities_with_spaces=False,
        )
        return Treated(rewritten.text, dict(sorted(Counter(item.entity_type for item in rewritten.items).items())))


def desensitise_texts(values: Sequence[str | None], policy: TextPolicy) -> list[Treated]:
    """Return texts without what identifies a person, each with the number of what was taken out by kind."""
    return desensitiser(policy.model_dump_json()).treat(values)


@cache
def desensitiser(declared: str) -> TextDesensitiser:
    """Return the desensitiser of a policy, given as JSON; made once in a process."""
    return TextDesensitiser(TextPolicy.model_validate_json(declared))
