"""Folding: every spelling of a sign becomes one, sign by sign, so that places in both texts are the same."""

import re
import unicodedata
from typing import Final

_DASHES: Final = "‐‑‒–—―−﹣－ー~～_"
_DOTS: Final = "·•・･‧∙⋅●．᛫"
_SPACES: Final = "\t\u00a0\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad"
_NUMERALS: Final = {
    ord(sign): str(value)
    for value, signs in enumerate(("〇零○", "一壹幺", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"))
    for sign in signs
}
# A number written out: as many numerals in a row as the shortest identifier has, however they are mixed with digits.
_WRITTEN_OUT: Final = re.compile(f"[0-9{''.join(map(chr, _NUMERALS))}]{{11,}}")


class _Folds(dict[int, str]):
    """Each sign's folded form, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if sign in _DOTS:
            folded = "·"
        elif sign in _DASHES and sign != "_":
            folded = "-"
        elif sign in _SPACES or unicodedata.category(sign) == "Zs":
            folded = " "
        elif unicodedata.decimal(sign, None) is not None:
            folded = str(unicodedata.decimal(sign))
        else:
            folded = unicodedata.normalize("NFKC", sign)
        # A form of several signs would move every place behind it; no identifier is written with such signs.
        self[code] = folded if len(folded) == 1 else sign
        return self[code]


_folds: Final = _Folds()


def fold(text: str) -> str:
    """Return the text half width, with one kind of digit, dash, dot and space; as long as it was.

    Eleven or more Chinese numerals in a row (一三八〇〇...) become digits.
    """
    folded = text.translate(_folds)
    return _WRITTEN_OUT.sub(lambda run: run[0].translate(_NUMERALS), folded)
