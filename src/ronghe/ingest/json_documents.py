"""The records in JSON documents, found in a window that moves over their text."""

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from ronghe.ingest.json_text import DECODER
from ronghe.ingest.records import RejectedFile, drift

RECORD_CHARACTERS = 16 << 20
BLANK = " \t\r\n\ufeff"
SOMETHING = re.compile(f"[^{BLANK}]")
_UNFINISHED = "Unterminated string"
_NEAR_END = 12  # a literal or an escape that is cut is this short
_EXPONENT = 2  # `1e+` is read as 1 as long as no digit follows


class Documents:
    """Finds the records in JSON documents, keeping no more text than one value has."""

    def __init__(self, path: Path, blocks: Iterator[str], strict: bool) -> None:
        self._path = path
        self._blocks = blocks
        self._strict = strict
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False

    def records(self, keys: list[str] | None) -> Iterator[tuple[Any, int]]:
        """Yield the records and how long their text is.

        Raises:
            RejectedFile: a document is broken or has no array at the path, or a value is too long.
        """
        while sign := self._peek():
            if keys:
                if sign != "{" or not (yield from self._inside(keys)):
                    raise drift(self._path, missing=[f"the array of records {'.'.join(keys)}"])
            elif sign == "[":
                yield from self._elements()
            else:
                yield self._value()

    def _inside(self, keys: list[str]) -> Generator[tuple[Any, int], None, bool]:
        """Yield the records of the array at a path below the object here; return whether there is one."""
        found = False
        for name in self._names():
            sign = self._peek()
            if name != keys[0] or sign != ("{" if keys[1:] else "["):
                self._value()
            elif keys[1:]:
                found = (yield from self._inside(keys[1:])) or found
            else:
                yield from self._elements()
                found = True
        return found

    def _names(self) -> Iterator[str]:
        """Yield the names of the object here; whoever asks for the next has read the value of the one before."""
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return
        while True:
            name, _ = self._value()
            if type(name) is not str:
                raise self._broken()
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def _elements(self) -> Iterator[tuple[Any, int]]:
        """Yield the elements of the array here."""
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _peek(self) -> str:
        """Return the next sign that is not blank, the empty text at the end."""
        while True:
            if found := SOMETHING.search(self._text, self._at):
                self._at = found.start()
                return self._text[self._at]
            self._at = len(self._text)
            if self._ended:
                return ""
            self._more(0)

    def _take(self, signs: str) -> str:
        """Read one of some signs.

        Raises:
            RejectedFile: another stands there.
        """
        sign = self._peek()
        if not sign or sign not in signs:
            raise self._broken()
        self._at += 1
        return sign

    def _value(self) -> tuple[Any, int]:
        """Read the value here and return it and the length of its text.

        Raises:
            RejectedFile: it is no JSON, or too long.
        """
        if not self._peek():
            raise self._broken()
        while True:
            found, end = self._decoded()
            if end is not None and (end < len(self._text) - _EXPONENT or self._ended):
                length, self._at = end - self._at, end
                return found, length
            if self._ended:
                raise self._broken()
            # What ends with the text may go on behind it, also a number that is whole so far.
            self._more(2 * (len(self._text) - self._at))

    def _decoded(self) -> tuple[Any, int | None]:
        """Return the value here and its end, which is none if the value may be whole once more text is there.

        Raises:
            RejectedFile: no text can mend it.
        """
        try:
            return DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            if error.msg.startswith(_UNFINISHED) or error.pos >= len(self._text) - _NEAR_END:
                return None, None
            raise self._broken() from None
        except RecursionError:
            raise self._broken() from None

    def _more(self, least: int) -> None:
        """Drop what was read and read on until so much text is there, or the text ends.

        Twice as much each time, so that a long value costs linear time.

        Raises:
            RejectedFile: a value is too long.
        """
        if len(self._text) - self._at > RECORD_CHARACTERS:
            raise RejectedFile(
                "too_large",
                f"{self._path.name} has a value of more than {RECORD_CHARACTERS:,} characters after character"
                f" {self._before + self._at:,}: check `records` in the contract's reader, or ask the source",
            )
        self._before += self._at
        parts = [self._text[self._at :]]
        self._at = 0
        length = had = len(parts[0])
        while length <= max(least, had) and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            parts.append(block or "")
            length += len(parts[-1])
        self._text = "".join(parts)

    def _broken(self) -> RejectedFile:
        """Return the rejection of text that is no JSON."""
        why = "" if self._strict else "; some bytes do not decode: check `encoding` in the contract's reader"
        where = f"at character {self._before + self._at:,}" if self._peek() else "at its end: it is cut"
        return RejectedFile(
            "not_json", f"{self._path.name} is no well-formed JSON {where}{why}: ask the source to send it again"
        )
