"""Addresses: what follows the district is found; province, city and district stay.

Names of divisions are those of GB/T 2260 since 1980 (`contracts.codeset.divisions`). What makes an address of a place
name is a number with a unit behind it (12号3栋201室), a division before it (南山区科苑路), or a cue (家住). A road by
itself is a place of an event, not somebody's address.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from typing_extensions import override

from ronghe.contracts.codeset import divisions
from ronghe.contracts.policy import AddressRules
from ronghe.privacy.text.folding import fold
from ronghe.privacy.text.lac import Span
from ronghe.privacy.text.results import LANGUAGE, result

ADDRESS: Final = "CN_ADDRESS"
_HAN: Final = r"[\u4e00-\u9fff]"
# No name of a street has these.
_IN_NAME: Final = rf"(?:(?![的和在及与是了或]){_HAN})"
_NUMBER: Final = r"(?:[0-9]{1,5}|[一二三四五六七八九十百零〇甲乙丙丁]{1,5}|[a-z](?![a-z]))"
_LONGEST_PLACE: Final = 24
_SCORE: Final = 0.7
_LABEL_SCORE: Final = 0.9
_ROAD: Final = re.compile(r"[东南西北中]?[一二三四]?(?:路|街|大道|道|巷|村|镇|乡|大厦|广场|花园)")
# Names of divisions that say nothing by themselves.
_UNSAID: Final = ("市辖区", "县", "省直辖", "自治区直辖")


@cache
def division_names() -> frozenset[str]:
    """Return every name of a division since 1980, also cities and provinces as people shorten them (深圳)."""
    names = {d.name for d in divisions() if not d.name.startswith(_UNSAID) and len(d.name) > 1}
    short = {d.name[:-1] for d in divisions() if d.level != "county" and d.name[-1] in "省市" and len(d.name) > 2}
    return frozenset(names | short)


@cache
def _shortened() -> frozenset[str]:
    return division_names() - {d.name for d in divisions()}


class AddressRecognizer(EntityRecognizer):
    """Finds the part of addresses below the district."""

    def __init__(self, rules: AddressRules) -> None:
        """Compile the rules."""
        super().__init__(supported_entities=[ADDRESS], supported_language=LANGUAGE)
        places, units = _any(rules.places), _any(rules.units)
        # 苑 alone ends a place, and 科苑路 is a road.
        place = rf"(?:{places})(?:(?<![路街道巷])(?:大道|大街|路|街|巷|道))?"
        not_a_unit = "(?!线|文|令|机|码|牌|段|车|口)"
        beside = rf"(?:[东西南北中左右]?[侧边]?(?={_NUMBER}))?"
        unit = rf"(?:[ ]?第?(?:{_NUMBER}[ ]?[-#][ ]?)*{_NUMBER}[ ]?(?:#|{units}){not_a_unit}{beside})"
        dashed = r"[ ]?[a-z]?[0-9]{1,4}(?:[ ]?-[ ]?[a-z0-9]{1,5}){1,3}(?![0-9])"
        flat = rf"(?:{dashed}|[ ]?[a-z]?[0-9]{{3,4}}(?![0-9年月日元万个人次条户米点:.]))"
        door = r"[ ]?[a-z]?[0-9]{1,4}(?![0-9年月日元万个人次条户米点:.%])"
        levels = rf"{unit}(?:{unit}|{flat}|{door}|[,·][ ]?(?={unit})|{_HAN}{{2,10}}?(?:{places}){unit})*"
        numbers = rf"(?:{levels}|{flat})"
        name = rf"{_HAN}{{1,{_LONGEST_PLACE}}}?"
        self._numbered = re.compile(rf"(?P<place>{name}(?:{place}|{units}))(?P<number>{numbers})", re.IGNORECASE)
        self._units = re.compile(rf"{unit}{{2,}}{flat}?|{unit}{flat}", re.IGNORECASE)
        self._levels = re.compile(levels, re.IGNORECASE)
        self._place_end = re.compile(rf"(?:{places})$")
        street = rf"(?:{_any(rules.streets)})(?<!农村)(?:(?<![路街道巷])(?:大道|大街|路|街|巷|道))?"
        further = rf"(?:{_IN_NAME}{{1,8}}?{street}(?!{_HAN}{{0,1}}(?:边|上|旁|附近|有)))"
        self._below = re.compile(rf"{_IN_NAME}{{1,10}}?{street}{further}{{0,2}}{numbers}?", re.IGNORECASE)
        link = r"[ ]*(?:[:：]|[是为在于])[ ]*"
        rest = r"(?P<rest>[^,，。；;、!！\n()（）]{2,60})"
        self._labelled = re.compile(rf"(?:{_any(rules.labels)}){link}{rest}")
        self._cued = re.compile(
            rf"(?:{_any(rules.cues)})[ ]*[:：]?(?P<rest>{name}(?:{street}|{place}{numbers}){numbers}?)", re.IGNORECASE
        )
        self._start = re.compile(rf".*(?:{_any(rules.starts_after)})", re.DOTALL)

    @override
    def load(self) -> None:
        """Nothing to load."""

    @override
    def analyze(
        self, text: str, entities: Sequence[str] | None = None, nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the parts of addresses below the district."""
        folded = fold(text)
        ends = _division_ends(folded)
        found = [(span, _LABEL_SCORE, "label") for span in self._after_labels(folded, ends)]
        found += [(span, _SCORE, "number") for span in self._with_numbers(folded, ends)]
        found += [(span, _SCORE, "division") for span in self._below_divisions(folded, ends)]
        return [result(self, ADDRESS, span, score, rule) for span, score, rule in found if span[0] < span[1]]

    def _after_labels(self, text: str, ends: dict[int, int]) -> Iterator[Span]:
        for pattern in (self._labelled, self._cued):
            for match in pattern.finditer(text):
                start, end = match.span("rest")
                yield _behind_division(start, end, ends), end

    def _with_numbers(self, text: str, ends: dict[int, int]) -> Iterator[Span]:
        """Yield places with a number and a unit: 科苑路12号3栋201室."""
        for match in self._numbered.finditer(text):
            start, end = match.span()
            place_end = match.end("place")
            behind = _behind_division(start, place_end, ends)
            if behind == start and (cut := self._start.match(text, start, place_end - 1)):
                behind = cut.end()
            if self._place_end.search(text[behind:place_end]) or behind == place_end:
                yield behind, end
        for match in self._units.finditer(text):
            yield match.span()

    def _below_divisions(self, text: str, ends: dict[int, int]) -> Iterator[Span]:
        """Yield places right behind a division: 南山区科苑路; several divisions in a row are one."""
        for end in ends:
            if (end not in ends.values() and (match := self._below.match(text, end))) or (
                match := self._levels.match(text, end)
            ):
                yield match.span()


def _division_ends(text: str) -> dict[int, int]:
    """Return where names of divisions end, each with the place where the name begins; the longest counts."""
    names, ends = division_names(), {}
    at = 0
    while at < len(text):
        for size in range(min(15, len(text) - at), 1, -1):
            name = text[at : at + size]
            # 中山 is a city, 中山北路 a road everywhere.
            if name in names and not (name in _shortened() and _ROAD.match(text, at + size)):
                ends[at + size] = at
                at += size
                break
        else:
            at += 1
    return ends


def _behind_division(start: int, end: int, ends: dict[int, int]) -> int:
    """Return the place behind the last division that lies between two places, or the first of them."""
    return max((place for place in ends if start < place <= end), default=start)


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(set(words), key=len, reverse=True)))
