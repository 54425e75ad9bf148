"""Names of persons: what the model finds, what stands after a cue or before a title, and names of several parts.

The rules beside the model are there because it was trained on newspapers: after a form's label it misses names that
no newspaper prints, and names with `·` it finds less often than others, which guard rail 5 does not allow.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine
from typing_extensions import override

from ronghe.contracts.policy import PersonRules
from ronghe.privacy.text.folding import fold
from ronghe.privacy.text.lac import Span, loaded
from ronghe.privacy.text.results import LANGUAGE, result

PERSON: Final = "PERSON"
_HAN: Final = r"[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_SIGN: Final = re.compile(_HAN)
_LETTER: Final = re.compile(r"[^\W\d_]")
_LINK: Final = r"[ ]{0,2}[:：]?[ ]{0,2}(?:[叫是为]{1,2}[:：]?)?[ ]{0,2}"
_LABEL_LINK: Final = r"[ ]{0,2}(?:[:：]|[叫是为]{1,2}[:：]?)[ ]{0,3}"
_LONGEST_PART: Final = 12
_CUE_SCORE: Final = 0.9
_TITLE_SCORE: Final = 0.75
_DOT_SCORE: Final = 0.85


@dataclass(frozen=True)
class NamedSpan:
    """A span as NlpArtifacts carries it, with the names that spaCy gives its parts."""

    start_char: int
    end_char: int
    label_: str


class LacNlpEngine(NoOpNlpEngine):
    """Presidio's engine without tokens, with the names that LAC finds, many texts at a time."""

    engine_name = "lac"

    def __init__(self) -> None:
        super().__init__([{"lang_code": LANGUAGE, "model_name": "lac"}])

    @override
    def load(self) -> None:
        """Load the network once in this process."""
        super().load()
        loaded()

    @override
    def get_supported_entities(self) -> list[str]:
        """Return the one kind of entity."""
        return [PERSON]

    def artifacts(self, texts: Sequence[str]) -> list[NlpArtifacts]:
        """Return the artifacts of texts, which are looked at together, sorted by length."""
        # The model knows `·` as the dot of names.
        found = loaded().persons([fold(text) for text in texts])
        made = []
        for spans in found:
            artifacts = self._create_empty_nlp_artifacts(LANGUAGE)
            artifacts.entities = cast(Any, [NamedSpan(start, end, PERSON) for start, end in spans])
            made.append(artifacts)
        return made

    @override
    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return the artifacts of one text."""
        return self.artifacts([text])[0]

    @override
    def process_batch(  # type: ignore[override]  # as NoOpNlpEngine's own, which yields triples too
        self,
        texts: Iterable[str | tuple[str, Any]],
        language: str,
        batch_size: int = 1,
        n_process: int = 1,
        as_tuples: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[str, NlpArtifacts] | tuple[str, NlpArtifacts, Any]]:
        """Yield each text with its artifacts and, of a pair, what came with it."""
        pairs = [(str(item[0]), item[1:]) if as_tuples else (str(item), ()) for item in texts]
        for (text, rest), artifacts in zip(pairs, self.artifacts([text for text, _ in pairs]), strict=True):
            yield (text, artifacts, *rest)


class PersonRecognizer(EntityRecognizer):
    """Finds names by the rules of a policy and takes those of the engine."""

    def __init__(self, rules: PersonRules) -> None:
        """Compile the rules."""
        self._rules = rules
        super().__init__(supported_entities=[PERSON], supported_language=LANGUAGE)
        surname = f"(?:{_any(rules.compound_surnames)}|[{''.join(rules.surnames.split())}])"
        followed = rf"(?={_any(rules.followers)}|[^\u3400-\u9fff]|$)"
        given = rf"(?:{_HAN}{{1,2}}?{followed}|[某×x*X]{{1,2}}|{_HAN}{{1,2}}(?=[^\u3400-\u9fff]|$))"
        self._cued = re.compile(rf"(?:{_any(rules.cues)}){_LINK}(?P<name>{surname}{given})")
        form = rf"{_HAN}{{1,{_LONGEST_PART}}}?(?:[·. ]{_HAN}{{1,{_LONGEST_PART}}}?){{0,3}}?"
        self._labelled = re.compile(rf"(?:{_any(rules.labels)}){_LABEL_LINK}(?P<name>{form}){followed}")
        self._titled = re.compile(rf"(?P<name>{surname}{_HAN}{{0,2}}?)(?:{_any(rules.titles)})")
        self._dotted = re.compile(rf"{_HAN}+(?:[ ]?·[ ]?{_HAN}+)+|{_HAN}+(?:\.{_HAN}+)+")
        words = sorted({*rules.cues, *rules.labels, *rules.titles}, key=len, reverse=True)
        self._before_name = re.compile(
            rf".*(?:{_any(words)}|[的和与向对在把被是为叫由给跟同及或请让找经称])", re.DOTALL
        )
        longer = [word for word in rules.followers if len(word) > 1]
        self._after_name = re.compile(rf"{_any([*longer, *rules.titles])}|[的称说在是因于被把将和与及向对等]")

    @override
    def load(self) -> None:
        """Nothing to load."""

    @override
    def analyze(
        self, text: str, entities: Sequence[str] | None = None, nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the names; spans of several rules may overlap."""
        folded = fold(text)
        found = [(span, _CUE_SCORE, "cue") for span in _named(self._cued, folded)]
        found += [(span, _CUE_SCORE, "label") for span in _named(self._labelled, folded)]
        found += [(span, _TITLE_SCORE, "title") for span in _named(self._titled, folded)]
        found += [(span, _DOT_SCORE, "parts") for span in self._several_parts(folded)]
        if nlp_artifacts is not None:
            found += [
                ((span.start_char, span.end_char), self._rules.model_score, "model")
                for span in nlp_artifacts.entities
                # The model takes 06-02 for a name now and then.
                if span.label_ == PERSON and _LETTER.search(folded, span.start_char, span.end_char)
            ]
        return [result(self, PERSON, span, score, rule) for span, score, rule in found]

    def _several_parts(self, text: str) -> Iterator[Span]:
        """Yield names of several parts, without what stands before and behind them in the same run of signs."""
        for match in self._dotted.finditer(text):
            start, end = match.span()
            first = re.search(r"[·. ]", match[0])
            last_dot = max(match[0].rfind("·"), match[0].rfind("."))
            if first is None:
                continue
            head = match[0][: first.start()]
            if cut := self._before_name.match(head):
                start += cut.end() if cut.end() < len(head) else 0
            start = max(start, match.start() + first.start() - _LONGEST_PART)
            tail = match[0][last_dot + 1 :]
            if cut := self._after_name.search(tail.lstrip(), 1):
                end = match.start() + last_dot + 1 + (len(tail) - len(tail.lstrip())) + cut.start()
            end = min(end, match.start() + last_dot + 1 + _LONGEST_PART)
            if "." not in match[0] or self._is_transliterated(text[start:end]):
                yield start, end

    def _is_transliterated(self, name: str) -> bool:
        """Say whether at least half of the signs of a name are such as other languages' names are written with."""
        signs = _SIGN.findall(name)
        return 2 * sum(sign in self._rules.transliteration for sign in signs) >= len(signs)


def _named(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    """Yield where the names of the pattern's matches stand."""
    return (match.span("name") for match in pattern.finditer(text))


def _any(words: Iterable[str]) -> str:
    """Return an expression for any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(set(words), key=len, reverse=True)))
