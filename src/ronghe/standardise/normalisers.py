"""Named value normalisers: how text comes into one form before it is checked or compared.

Each is a function of one string column in native Spark SQL functions, the same in a classic
session and over Spark Connect. Each keeps null as null and changes nothing when applied a second
time, so a repeated run gives the same values. None reads data or settings: the result depends on
the value alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from ronghe.standardise.regions import leading_region, one_region, provinces_by_stem

Normaliser = Callable[[Column], Column]

_REGISTERED: dict[str, Normaliser] = {}
NORMALISERS: Final[Mapping[str, Normaliser]] = MappingProxyType(_REGISTERED)
"""Every normaliser by the name under which a contract asks for it."""

# Unicode White_Space, which includes the no-break space U+00A0 and the ideographic space U+3000.
_SPACE: Final = (
    "\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
# Zero width space, word joiner, byte order mark: invisible, and meaningless in every script.
_ZERO_WIDTH: Final = "\u200b\u2060\ufeff"
# Joiners shape Uyghur and Mongolian letters, so they are dropped only at the ends and from keys.
# U+180E, the Mongolian vowel separator, spells words and is never touched.
_JOINERS: Final = "\u200c\u200d"
_BLANK: Final = _SPACE + _ZERO_WIDTH
_UNSEEN: Final = _BLANK + _JOINERS

_FULL_WIDTH: Final = "\u3000" + "".join(map(chr, range(0xFF01, 0xFF5F)))
_ASCII: Final = " " + "".join(map(chr, range(0x21, 0x7F)))

# What people type for the dot inside a name, beside U+00B7 itself: bullet, full-width stop,
# katakana dots, ASCII stop (guard-rail 5), and the look-alikes U+0387, U+2027, U+2219, U+22C5.
_NAME_DOTS: Final = "·•．・.･\u0387\u2027\u2219\u22c5"

_BRACKETS_FROM: Final = "（）﹙﹚【】〔〕［］[]"
_BRACKETS_TO: Final = "()" * (len(_BRACKETS_FROM) // 2)

# Possessive (++), because Java matches a greedy repeated group by recursion: a long damaged value
# would end the task with a stack overflow.
_STATION_WORDS: Final = "(?:(?:地铁|公交)?站)++"
_STATION_SUFFIX: Final = rf"^(?!{_STATION_WORDS}\z)(.+?){_STATION_WORDS}\z"
# Legal forms that a natural person in business may not use; partnerships say theirs in brackets.
_LEGAL_FORM: Final = (
    r"^(?!.*分公司)(.+?)(?:股份有限公司|有限责任公司|有限公司|农民专业合作社(?:联合社)?"
    r"|\((?:特殊)?(?:普通|有限)合伙\))\z"
)
_SHORTEST_CORE: Final = 3

_UNDAMAGED: Final = r"^[^?\x{FFFD}]*[\p{L}\p{N}][^?\x{FFFD}]*\z"


def normaliser(name: str) -> Callable[[Normaliser], Normaliser]:
    """Register a function as the normaliser `name`; a name already taken is an error."""

    def register(function: Normaliser) -> Normaliser:
        if name in _REGISTERED:
            raise ValueError(f"normaliser {name!r} is registered twice")
        _REGISTERED[name] = function
        return function

    return register


@normaliser("half_width")
def half_width(column: Column) -> Column:
    """Bring full-width ASCII (U+FF01-FF5E) and the ideographic space to ASCII, and trim the ends.

    For these characters this is what Unicode's NFKC does; Spark SQL has no NFKC. Other
    compatibility forms (circled digits, half-width katakana, ligatures) stay as they are. The trim
    takes all Unicode white space and what is invisible: no-break space, byte order mark,
    zero-width marks.
    """
    return F.btrim(F.translate(column, _FULL_WIDTH, _ASCII), F.lit(_UNSEEN))


@normaliser("no_space")
def no_space(column: Column) -> Column:
    """Remove all white space and zero-width marks; for codes, numbers and keys of comparison."""
    return F.translate(column, _UNSEEN, "")


@normaliser("single_space")
def single_space(column: Column) -> Column:
    """Bring each run of white space to one space and trim; zero-width spaces and marks vanish."""
    visible = F.translate(column, _ZERO_WIDTH, "")
    return F.btrim(F.regexp_replace(visible, f"[{_SPACE}]+", " "))


@normaliser("upper")
def upper(column: Column) -> Column:
    """Bring letters to upper case."""
    return F.upper(column)


@normaliser("digits")
def digits(column: Column) -> Column:
    """Keep the digits 0-9 only; full-width digits count as digits."""
    return F.regexp_replace(F.translate(column, "０１２３４５６７８９", "0123456789"), "[^0-9]", "")


@normaliser("phone")
def phone(column: Column) -> Column:
    """Keep the digits of the first telephone number of a cell, at most 12, without the country's 86.

    A second number or an extension is dropped: a mask that counts from the end would leave the first number in clear.
    """
    first = F.regexp_substr(half_width(column), F.lit(r"[0-9][0-9() \-]*[0-9]"))
    return F.substring(F.regexp_replace(digits(first), r"^(?:00)?86(?=1[0-9]{10}\z)", ""), 1, 12)


@normaliser("seconds_of_day")
def seconds_of_day(column: Column) -> Column:
    """Bring a time of day to whole seconds since midnight: `24:30:00` of a timetable is 88200.

    A GTFS time counts from noon minus twelve hours and goes on beyond midnight, so hours have no upper limit but their
    three digits. Whatever has another shape is left as it is, for the format of the column to judge.
    """
    shape = rf"^[{_BLANK}]*([0-9]{{1,3}}):([0-5][0-9]):([0-5][0-9])[{_BLANK}]*\z"
    hours, minutes, seconds = (F.regexp_extract(column, shape, n).try_cast("int") for n in (1, 2, 3))
    return F.when(column.rlike(shape), (hours * 3600 + minutes * 60 + seconds).cast("string")).otherwise(column)


@normaliser("person_name")
def person_name(column: Column) -> Column:
    """Bring every separator inside a person's name to U+00B7, without spaces around it.

    Uyghur, Tibetan, Kazakh and foreign names arrive with a bullet, a full-width stop, a katakana
    dot or an ASCII stop. One separator stays one: nothing is shortened, transliterated or given
    another case, and names without a separator only lose blanks at their ends.
    """
    dots = f"[{_BLANK}]*[{_NAME_DOTS}][{_BLANK}]*"
    return F.regexp_replace(F.btrim(column, F.lit(_BLANK)), dots, "·")


@normaliser("resident_id")
def resident_id(column: Column) -> Column:
    """Bring a 15-digit resident id to 18 digits, and the check letter x to upper case.

    GB 11643-1989 gave region (6), YYMMDD and sequence (3); GB 11643-1999 writes the year as 19YY
    and adds an ISO 7064 MOD 11-2 check digit. The region is kept: ids outlive districts. Whatever
    has neither shape is left as it is, for the check to judge.
    """
    seventeen = F.concat(F.substring(column, 1, 6), F.lit("19"), F.substring(column, 7, 9))
    return (
        F.when(column.rlike(r"^[0-9]{15}\z"), F.concat(seventeen, _check_digit(seventeen)))
        .when(column.rlike(r"^[0-9]{17}x\z"), F.upper(column))
        .otherwise(column)
    )


def _check_digit(seventeen: Column) -> Column:
    """Return the MOD 11-2 check digit of 17 digits (GB 11643-1999).

    The weights are powers of 2 modulo 11, and 13 is 2 modulo 11: so the weighted sum is the digits
    read in base 13, which still fit a BIGINT (13**17 < 2**63). Mentioned once, the column is not
    evaluated 17 times. Text that is not digits gives null, never an error.
    """
    read = F.conv(seventeen, 13, 10).try_cast("bigint")
    position = F.pmod(F.lit(1) - read % 11 * 2, F.lit(11)).cast("int")
    return F.substring(F.lit("0123456789X"), position + 1, F.lit(1))


@normaliser("place_name")
def place_name(column: Column) -> Column:
    """Bring the name of a station or stop to the form under which sources are linked.

    Half-width, no spaces, upper case, all brackets `()` with their content kept, and the trailing
    站, 地铁站 or 公交站 dropped, so that 深圳北站 and 深圳北 are equal; a name that is only such a
    word stays. A damaged name becomes null, to be reported and never guessed: one with `?` or
    U+FFFD, or without any letter or digit.
    """
    stem = F.regexp_replace(_comparable(column), _STATION_SUFFIX, "$1")
    return F.regexp_substr(stem, F.lit(_UNDAMAGED))


@normaliser("organisation_name")
def organisation_name(column: Column) -> Column:
    """Bring an organisation's name to the form in which names are compared.

    Half-width, no spaces, upper case, all brackets `()`. Legal form, region and bracket content
    stay: they tell organisations apart.
    """
    return _comparable(column)


def organisation_core_name(column: Column) -> Column:
    """Bring an organisation's name to its core: without legal form, region words and brackets.

    One company is written with its region before its name or in brackets after it, and with either word for its legal
    form; the core is the same. Null where it would tell nothing: the name bears no legal form, so that it may be a
    natural person's (the names of sole traders may not hold the words for company or cooperative, and a partnership's
    must say its kind), it is a branch, or fewer than three characters are left. A region in brackets is the region;
    what the name begins with is then its own.

    Not for contracts: a core is no name, and to take it twice gives null.
    """
    name = _comparable(column)
    stem = F.regexp_extract(name, _LEGAL_FORM, 1)
    bracketed = rf"\({one_region()}\)"
    without = F.when(stem.rlike(bracketed), F.regexp_replace(stem, bracketed, "")).otherwise(
        F.regexp_replace(stem, f"^{leading_region()}", "")
    )
    core = F.translate(without, "()", "")
    return F.when(F.length(core) >= _SHORTEST_CORE, core)


def organisation_province(column: Column) -> Column:
    """Return the province that an organisation's name speaks of, as the first two digits of its code, or null."""
    name = _comparable(column)
    bracketed = F.regexp_extract(name, rf"\({one_region()}\)", 1)
    word = F.when(bracketed != "", bracketed).otherwise(F.regexp_extract(name, f"^{one_region()}", 1))
    known = ",".join(f"{stem}:{code}" for stem, code in sorted(provinces_by_stem().items()))
    return F.try_element_at(F.str_to_map(F.lit(known), F.lit(","), F.lit(":")), word)


def _comparable(column: Column) -> Column:
    """Fold width, brackets and case and drop all blanks, in one translation of the text."""
    # Of a character listed twice the first place counts: full-width square brackets become round.
    folded = F.translate(column, _BRACKETS_FROM + _FULL_WIDTH[1:] + _UNSEEN, _BRACKETS_TO + _ASCII[1:])
    return F.upper(folded)
