"""The truth: what was delivered, which records are defective, and whose identifiers must never leak."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ronghe.simulate.delivery import Entry, Feed
from ronghe.simulate.files import write_atomically


@dataclass(frozen=True)
class FeedCounts:
    """What one feed delivered; read = accepted + deduplicated + quarantined."""

    feed: str
    deliveries: int
    read: int
    accepted: int
    deduplicated: int
    quarantined: int
    defects: Mapping[str, int]


@dataclass(frozen=True)
class SimulationSummary:
    """What a run wrote."""

    seed: int
    scale: float
    days: int
    first_day: date
    last_day: date
    feeds: tuple[FeedCounts, ...]


@dataclass
class TruthLog:
    """Collects the truth while the feeds are written."""

    places: list[dict[str, Any]] = field(default_factory=list)
    _deliveries: list[dict[str, Any]] = field(default_factory=list)
    _defects: list[dict[str, Any]] = field(default_factory=list)
    _identifiers: dict[str, set[str]] = field(default_factory=dict)
    _organisations: dict[str, dict[str, Any]] = field(default_factory=dict)
    _facts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add_delivery(self, feed: Feed, day: date, entries: Sequence[Entry]) -> None:
        """Note a file, its records' fates and its defects (records are numbered from 1)."""
        path = feed.path(day)
        fates = Counter(entry.defect.fate if entry.defect else "accepted" for entry in entries)
        self._deliveries.append(
            {
                "feed": feed.id,
                "path": path,
                "business_date": day.isoformat(),
                "read": len(entries),
                "accepted": fates["accepted"],
                "deduplicated": fates["deduplicated"],
                "quarantined": fates["quarantined"],
            }
        )
        self._defects.extend(
            {"feed": feed.id, "path": path, "record_number": number} | asdict(entry.defect)
            for number, entry in enumerate(entries, 1)
            if entry.defect is not None
        )

    def add_identifiers(self, kind: str, values: Iterable[str]) -> None:
        """Note identifiers of persons, in canonical form."""
        self._identifiers.setdefault(kind, set()).update(values)

    def add_organisation(self, source: str, uscc: str, facts: Mapping[str, Any]) -> None:
        """Note an organisation that a source delivered; facts a later source adds only fill gaps."""
        known = self._organisations.setdefault(uscc, {"uscc": uscc, "sources": set()})
        known["sources"].add(source)
        for name, value in facts.items():
            if known.get(name) is None:
                known[name] = value

    def add_facts(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Note what else is true of a domain; it goes to a file of that name."""
        self._facts.setdefault(name, []).extend(rows)

    def summary(self, *, seed: int, scale: float, days: tuple[date, ...]) -> SimulationSummary:
        """Return the counts by feed, in the order in which feeds were written."""
        feeds = dict.fromkeys(delivery["feed"] for delivery in self._deliveries)
        counted = tuple(self._counts(feed) for feed in feeds)
        return SimulationSummary(seed, scale, len(days), days[0], days[-1], counted)

    def write(self, folder: Path, summary: SimulationSummary) -> None:
        """Write all truth files."""
        organisations = [
            known | {"sources": sorted(known["sources"])} for _, known in sorted(self._organisations.items())
        ]
        for name, rows in (
            ("deliveries", self._deliveries),
            ("defects", self._defects),
            ("organisations", organisations),
            ("places", self.places),
            *sorted(self._facts.items()),
        ):
            text = "".join(f"{_json(row)}\n" for row in rows)
            write_atomically(folder / f"{name}.jsonl", text.encode())
        identifiers = {kind: sorted(values) for kind, values in sorted(self._identifiers.items())}
        write_atomically(folder / "identifiers.json", _json(identifiers, indent=1).encode())
        write_atomically(folder / "summary.json", _json(asdict(summary), indent=1).encode())

    def _counts(self, feed: str) -> FeedCounts:
        own = [delivery for delivery in self._deliveries if delivery["feed"] == feed]
        kinds = Counter(defect["kind"] for defect in self._defects if defect["feed"] == feed)
        return FeedCounts(
            feed=feed,
            deliveries=len(own),
            **{
                key: sum(delivery[key] for delivery in own)
                for key in ("read", "accepted", "deduplicated", "quarantined")
            },
            defects=dict(sorted(kinds.items())),
        )


def _json(content: object, indent: int | None = None) -> str:
    return json.dumps(content, ensure_ascii=False, indent=indent, default=str)
