"""Pieces of DuckDB SQL that several twins use; written out here, not taken from the code they are held against."""

FULL_WIDTH = "\u3000" + "".join(map(chr, range(0xFF01, 0xFF5F)))
ASCII = " " + "".join(map(chr, range(0x21, 0x7F)))
SPACE = (
    "\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)
ZERO_WIDTH = "\u200b\u2060\ufeff"
UNSEEN = SPACE + ZERO_WIDTH + "\u200c\u200d"


def text(value: str) -> str:
    """Return a literal."""
    return "'" + value.replace("'", "''") + "'"


def translated(column: str, old: str, new: str, trimmed: str = "") -> str:
    """Return a text with other signs for some, without blanks at its ends.

    DuckDB builds the table of signs anew for each row, so rows that have none of them are left alone.
    """
    signs = "".join(f"\\x{{{ord(sign):X}}}" for sign in dict.fromkeys(old + trimmed))
    changed = f"translate({column}, {text(old)}, {text(new)})"
    changed = f"trim({changed}, {text(trimmed)})" if trimmed else changed
    return f"CASE WHEN regexp_matches({column}, '[{signs}]') THEN {changed} ELSE {column} END"


def half_width(column: str) -> str:
    """Return a text with ASCII for full-width signs, without blanks at its ends."""
    return translated(column, FULL_WIDTH, ASCII, UNSEEN)


def no_space(column: str) -> str:
    """Return a text without blanks."""
    return translated(column, UNSEEN, "")


def hmac(message: str, inner: str, outer: str) -> str:
    """Return HMAC-SHA256 in hexadecimal digits; the pads are columns of bytes."""
    return f"sha256({outer} || unhex(sha256({inner} || encode({message}))))"


def key_values(keys: dict[str, bytes]) -> str:
    """Return the rows of a table `key_id, inner_pad, outer_pad` (RFC 2104)."""
    rows = []
    for name, key in sorted(keys.items()):
        block = key.ljust(64, b"\0")
        pads = [bytes(byte ^ sign for byte in block).hex() for sign in (0x36, 0x5C)]
        rows.append(f"({text(name)}, unhex('{pads[0]}'), unhex('{pads[1]}'))")
    return f"(VALUES {', '.join(rows)}) k(key_id, inner_pad, outer_pad)"
