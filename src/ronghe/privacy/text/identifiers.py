r"""Identifiers with a shape: every pattern of a policy in one expression, one pass over the text.

A recognizer of Presidio like any other. Why not one `PatternRecognizer` each: thirty passes, and anchors (`\b`) that
no Chinese text has, since a Han sign counts as part of a word.
"""

import re
from collections.abc import Sequence
from typing import Final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from typing_extensions import override

from ronghe.contracts.policy import TextPattern, TextPolicy
from ronghe.privacy.text.checksums import CHECKSUMS
from ronghe.privacy.text.folding import fold
from ronghe.privacy.text.results import LANGUAGE, result

# What is sold or counted is no telephone: 15000000000.00元.
_NO_AMOUNT: Final = r"(?!(?:\.\d+)?[ ,]?(?:万元|亿元|元|万|亿|美元|%|块钱))"
_BETWEEN: Final = re.compile(r"[\s:;,.()\[\]'\"<>《》、是为叫:-]+$")


class IdentifierRecognizer(EntityRecognizer):
    """Finds the identifiers that a policy declares by patterns."""

    def __init__(self, policy: TextPolicy) -> None:
        """Compile the patterns of a policy, in its order."""
        self._policy = policy
        self._patterns: list[tuple[str, TextPattern]] = [
            (entity.entity, pattern) for entity in policy.entities for pattern in entity.patterns
        ]
        self._from: dict[int, re.Pattern[str]] = {}
        entities = list(dict.fromkeys(entity for entity, _ in self._patterns))
        super().__init__(supported_entities=entities, supported_language=LANGUAGE)

    @override
    def load(self) -> None:
        """Nothing to load."""

    @override
    def analyze(
        self, text: str, entities: Sequence[str] | None = None, nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what is found, in the order of the text; a match below the threshold gives way to the next pattern."""
        folded, at, found = fold(text), 0, []
        while match := self._alternatives(0).search(folded, at):
            made = self._result(match, folded, entities)
            if made is None:
                at = match.start() + 1
            else:
                found.append(made)
                at = made.end
        return found

    def _result(
        self, match: re.Match[str] | None, text: str, entities: Sequence[str] | None
    ) -> RecognizerResult | None:
        """Return the result of the first pattern that is sure enough at this place, or none."""
        start = match.start() if match else 0
        while match is not None:
            number = int(str(match.lastgroup).removeprefix("p"))
            entity, pattern = self._patterns[number]
            score, why = self._score(pattern, match, text)
            if score >= self._policy.threshold and (not entities or entity in entities):
                return result(self, entity, match.span(), score, pattern.name, why)
            match = self._alternatives(number + 1).match(text, start) if number + 1 < len(self._patterns) else None
        return None

    def _score(self, pattern: TextPattern, match: re.Match[str], text: str) -> tuple[float, str]:
        """Return a value's score, and why: its check, the words around it, and the word right before it."""
        score, policy, why = pattern.score, self._policy, []
        passed = pattern.check is not None and CHECKSUMS[pattern.check](match[0])
        if pattern.failed_score is not None and not passed:
            score = pattern.failed_score
            why.append(f"fails {pattern.check}")
        before = text[max(0, match.start() - policy.context_window) : match.start()].lower()
        after = text[match.end() : match.end() + policy.context_window // 3].lower()
        if any(word in before or word in after for word in pattern.context):
            score += policy.context_score
            why.append("context")
        elif not passed and _BETWEEN.sub("", before).endswith(policy.innocent):
            score -= policy.innocent_score
            why.append("named as something else")
        return min(max(score, 0.0), 1.0), ", ".join(why)

    def _alternatives(self, first: int) -> re.Pattern[str]:
        """Return the expression of all patterns from the given one on."""
        if first not in self._from:
            cues = "".join(f"|(?<={re.escape(cue)})" for cue in self._policy.latin_cues)
            tails = "|".join(map(re.escape, self._policy.latin_tails))
            before = rf"(?:(?<![0-9a-z]){cues})"
            after = rf"(?:(?![0-9a-z])|(?={tails})){_NO_AMOUNT}"
            bounds = {True: (before, after), False: ("", "")}
            parts = [
                rf"(?P<p{n}>{bounds[pattern.bounded][0]}(?:{pattern.expression}){bounds[pattern.bounded][1]})"
                for n, (_, pattern) in enumerate(self._patterns)
                if n >= first
            ]
            # Only ASCII digits are digits here: `fold` has made all others such.
            self._from[first] = re.compile("|".join(parts), re.IGNORECASE | re.ASCII)
        return self._from[first]
