"""What a look at one thing found, and what mends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: what was looked at, `<part>: <thing>`; the same thing has the same name at each look.
        ok: whether it is as it should be.
        said: what was found, in a few words; no secret and no content of a row.
        mend: what to do about it, a command or a page; empty where all is well.
    """

    check: str
    ok: bool
    said: str
    mend: str = ""


def well(check: str, said: str) -> Finding:
    """Return that a thing is as it should be."""
    return Finding(check, ok=True, said=said)


def wrong(check: str, said: str, mend: str) -> Finding:
    """Return that a thing is not as it should be, and what mends it."""
    return Finding(check, ok=False, said=said, mend=mend)
