"""Region words in the names of organisations: provinces and prefectures, as GB/T 2260 and its history name them."""

import re
from collections import defaultdict
from functools import cache

from ronghe.contracts.codeset import divisions

# The word that says what kind of division it is. Autonomous prefectures are named in full; what has no such word
# (forest districts, directly governed counties) gives no name to a company.
_KIND = re.compile(r"(?:特别行政区|(?:维吾尔|壮族|回族)?自治区|省|市|地区|盟|(?<=自治州))$")
_PROVINCE = "(?:特别行政区|(?:维吾尔|壮族|回族)?自治区|省|市)?+"
_PREFECTURE = "(?:市|地区|盟)?+"
_EITHER = "(?:特别行政区|(?:维吾尔|壮族|回族)?自治区|省|市|地区|盟)?+"
_SHORTEST = 2


@cache
def _stems() -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return provinces by the stems of their names, and the provinces each prefecture's stem was ever in."""
    provinces: dict[str, str] = {}
    prefectures: dict[str, set[str]] = defaultdict(set)
    for division in divisions():
        stem = _KIND.sub("", division.name)
        if division.level == "county" or not _KIND.search(division.name) or len(stem) < _SHORTEST:
            continue
        if division.level == "province":
            provinces[stem] = division.code[:2]
        else:
            prefectures[stem].add(division.code[:2])
    return provinces, prefectures


def provinces_by_stem() -> dict[str, str]:
    """Return the province (first two digits of its code) by the stem of a region's name.

    A stem that prefectures of several provinces bear stands for none of them, unless a province bears it itself.
    """
    provinces, prefectures = _stems()
    return {stem: next(iter(codes)) for stem, codes in prefectures.items() if len(codes) == 1} | provinces


@cache
def one_region() -> str:
    """Return the pattern of one region, with or without the word for its kind; its one group is the stem."""
    provinces, prefectures = _stems()
    return f"({_any_of({*provinces, *prefectures})}){_EITHER}"


@cache
def leading_region() -> str:
    """Return the pattern of a region as names begin with it: a province with one of its own prefectures, or one."""
    provinces, prefectures = _stems()
    pairs = []
    for province, code in sorted(provinces.items()):
        own = {stem for stem, codes in prefectures.items() if code in codes}
        pairs.append(f"{province}{_PROVINCE}" + (f"(?:(?:{_any_of(own)}){_PREFECTURE})?+" if own else ""))
    return f"(?:{'|'.join(pairs)}|{_any_of(set(prefectures))}{_PREFECTURE})"


def _any_of(stems: set[str]) -> str:
    return f"(?:{'|'.join(sorted(stems, key=lambda stem: (-len(stem), stem)))})"
