"""Guard rail 5: no column holds a person's ethnicity, religion, origin, political opinion or health.

A column is judged by its name alone, in Chinese or English. The lists are short on purpose: they stop what is added
without thought and force a discussion about the rest, and no list stops someone who hides a column behind another name.
A feed that is sent such a column names it in `refuse`, which drops it before raw; nothing else is a way around.
"""

import re
import unicodedata

# Chinese words, wherever they stand in a name.
_CHINESE = {
    "ethnicity": ("民族", "种族", "族别"),
    "religion": ("宗教", "信仰"),
    "origin": ("籍贯", "祖籍", "原籍", "出生地"),
    "political opinion": ("政治", "党派", "党员"),
    "health": ("病", "健康", "血型", "残疾", "诊断"),
}
# Things of public life whose Chinese names hold one of these words, taken out before a name is judged.
_HARMLESS_CHINESE = re.compile("民族自治|病床|病毒|病虫害|卫生健康委")

# Beginnings of English words (and whole pinyin ones) that mean the attribute wherever they stand.
_STEMS = {
    "ethnicity": ("ethnic", "racial", "nationality", "minzu"),
    "religion": ("religi", "zongjiao"),
    "origin": ("birthplace", "hometown"),
    "political opinion": ("politic", "zhengzhi"),
    "health": ("health", "disease", "illness", "diagnos", "patient", "disabilit"),
}
# Whole words; and names that mean the attribute if they are all there is: a trip has an origin, a contract a party.
_PHRASES = {
    "ethnicity": ("race",),
    "origin": ("native place", "place of birth", "place of origin", "birth place", "home town", "ancestral home"),
    "political opinion": ("party member", "party membership", "party affiliation"),
    "health": ("blood type", "blood group", "medical history"),
}
_ALONE = {"origin": "origin", "party": "political opinion"}
_HARMLESS_ENGLISH = re.compile(r"\bhealth (?:bureau|cent(?:er|re)|check|commission|insurance)\b")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SUFFIX = re.compile(r" (?:code|id|name|text|type)$")


def forbidden(name: str) -> str | None:
    """Return the rule that forbids a column of this name, or none.

    Args:
        name: a column's name, as a source or a contract writes it.
    """
    attribute = _in_chinese(name) or _in_english(name)
    if attribute is None:
        return None
    return f"guard rail 5 keeps out the {attribute} of persons; name the source's column in `refuse` and map it nowhere"


def _in_chinese(name: str) -> str | None:
    text = _HARMLESS_CHINESE.sub("", re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name)))
    return next((what for what, words in _CHINESE.items() if any(word in text for word in words)), None)


def _in_english(name: str) -> str | None:
    words = " ".join(_WORD.findall(unicodedata.normalize("NFKC", name))).lower()
    if alone := _ALONE.get(_SUFFIX.sub("", words)):
        return alone
    text = f" {_HARMLESS_ENGLISH.sub('', words)} "
    for what, phrases in _PHRASES.items():
        if any(f" {phrase} " in text for phrase in phrases):
            return what
    return next((what for what, stems in _STEMS.items() if any(f" {stem}" in text for stem in stems)), None)
