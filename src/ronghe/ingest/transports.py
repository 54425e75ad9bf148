"""Fetch what a source does not deliver: records become files of JSON Lines in the landing zone, one for each day.

- Records are asked for from the newest landed day on, that day included, and filed under the day in the transport's
  `dayColumn`. Only records that no file of their day has yet are written, so a day that is unchanged writes nothing,
  and one that grew becomes a further file: `<feed>_<YYYYMMDD>_2.jsonl`.
- A record without a readable day is filed under the newest day of its batch, once: it is never lost. So is one whose
  day lies more than 400 days after the day before it, which would otherwise stop the feed until that day.
- Files appear whole, oldest day first, once all records are there: a fetch that was cut off is taken up where it was.
- No clock is asked: the same records give the same files whenever they are fetched.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path

from ronghe.contracts import ContractError, Feed
from ronghe.crash import crash_point
from ronghe.home import Home
from ronghe.ingest.connections import connection_url
from ronghe.ingest.deliveries import landed_files
from ronghe.job import JobFailed

_ISO_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
LONGEST_GAP = timedelta(days=400)
WAITING_CHARACTERS = 8 << 20

# One record: its text in one line, and the text in its day column.
Fetched = tuple[str, str | None]


class SourceUnavailable(JobFailed):
    """The source does not answer, or not rightly; it may later. Names feed and connection, never the address."""


def fetch(feed: Feed, home: Home) -> int:
    """Fetch a feed's records from the newest landed day on.

    Returns:
        The number of files written; none for a feed whose source delivers files itself.

    Raises:
        SourceUnavailable: a retry may mend it.
        ContractError: the contract's transport, or its connection, is wrong.
    """
    if feed.transport is None:
        return 0
    landed = landed_files(feed, home.landing)
    since = max(landed, default=None)
    url = connection_url(feed.transport.connection, home)
    folder = home.landing / feed.source_code / f".fetch-{feed.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with _Sorted(folder) as days:
            for line, day in _source(feed)(feed, url, since):
                days.add(_day(day), line)
        return sum(_publish(feed, home, day, part, landed) for day, part in days.credible(feed, since))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _source(feed: Feed) -> Callable[[Feed, str, date | None], Iterator[Fetched]]:
    """Return what asks a source; its library is loaded only where it is needed."""
    if feed.transport and feed.transport.kind == "database":
        from ronghe.ingest.database import rows

        return rows
    from ronghe.ingest.http_pages import records

    return records


def _day(text: str | None) -> date | None:
    """Return the day that text begins with, as in ISO 8601; none if it does not."""
    found = _ISO_DAY.match(text or "")
    try:
        return date.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


class _Sorted:
    """Files lines by day in a folder, keeping few of them in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[date | None, list[str]] = {}
        self._characters = 0
        self._days: set[date | None] = set()

    def __enter__(self) -> "_Sorted":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def add(self, day: date | None, line: str) -> None:
        """Take a line."""
        self._waiting.setdefault(day, []).append(line)
        self._characters += len(line)
        if self._characters > WAITING_CHARACTERS:
            self._flush()

    def credible(self, feed: Feed, since: date | None) -> list[tuple[date, list[Path]]]:
        """Return the files of each day, oldest first; the newest has those without a day that can be believed.

        Raises:
            ContractError: there are records, and none has a day.
        """
        days = sorted(day for day in self._days if day)
        believed: list[date] = []
        for day in days:
            before = max(filter(None, (since, *believed[-1:])), default=day)
            if day - before <= LONGEST_GAP:
                believed.append(day)
        others = [day for day in (None, *days) if day in self._days and day not in believed]
        if others and not (believed or since):
            raise ContractError(
                f"{feed.id}: no record has a day in {feed.transport and feed.transport.day_column!r}: correct"
                " `dayColumn` in the contract's transport"
            )
        files = {day: [self._file(day)] for day in believed}
        if others:
            newest = max(filter(None, (since, *believed[-1:])))
            files.setdefault(newest, []).extend(self._file(day) for day in others)
        return sorted(files.items())

    def _file(self, day: date | None) -> Path:
        return self._folder / f"{day or 'undated'}.jsonl"

    def _flush(self) -> None:
        for day, lines in self._waiting.items():
            self._days.add(day)
            with self._file(day).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
        self._waiting, self._characters = {}, 0


def _publish(feed: Feed, home: Home, day: date, parts: list[Path], landed: dict[date, list[Path]]) -> int:
    """Put the lines of a day that are not landed yet into the landing zone; return the number of files, 0 or 1."""
    known = Counter(_digests(landed.get(day, [])))
    if len(parts) > 1 or parts[0].stem != str(day):
        # What has no day may have been filed under another one.
        known += Counter(_digests(path for other, files in landed.items() if other != day for path in files))
    fresh = parts[0].with_suffix(".fresh")
    count = 0
    with fresh.open("wb") as file:
        for part in parts:
            for line, digest in _lines(part):
                if known[digest]:
                    known[digest] -= 1
                    continue
                file.write(line)
                count += 1
    if not count:
        return 0
    target = _target(feed, home, day)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(fresh, target)  # noqa: PTH105 - a file appears whole
    crash_point("ingest:filed")
    return 1


def _target(feed: Feed, home: Home, day: date) -> Path:
    """Return the path of the day's next file."""
    pattern = feed.landing.replace("{business_date}", day.isoformat())
    number = 1
    while True:
        name = f"{feed.name}_{day:%Y%m%d}" + (f"_{number}" if number > 1 else "")
        path = home.landing / feed.source_code / pattern.replace("*", name)
        if not path.exists():
            return path
        number += 1


def _digests(paths: Iterable[Path]) -> Iterator[bytes]:
    return (digest for path in paths for _, digest in _lines(path))


def _lines(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the lines of a file, each with a digest of it."""
    with path.open("rb") as file:
        for line in file:
            yield line, blake2b(line.rstrip(b"\r\n"), digest_size=16).digest()


def as_line(record: object) -> str:
    """Return a record of text cells as one line of JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
