"""The leak scan: are direct identifiers of the simulated truth anywhere outside the restricted half?

It shares no code with the treatments: it decodes every Parquet file, reads every other file as bytes, looks into
 databases through their rows, and searches for the identifiers as they are and as hashes that anyone could make.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ronghe.home import Home

# Lists of the truth that name persons directly.
PERSONAL = (
    "resident_id",
    "damaged_resident_id",
    "phone",
    "card",
    "canary_name",
    "sole_trader_uscc",
    "sole_trader_name",
    "account_number",
    "bank_card",
    "landline",
    "mail",
    "plate",
    "ip_address",
)
# Only what an identifier can be made of is compared; everything else in a text is a boundary.
_DIGITS = re.compile(r"[0-9A-Z]{11,}")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


def identifiers(home: Home) -> dict[str, str]:
    """Return every identifier of the truth with its kind."""
    known = json.loads((home.truth / "identifiers.json").read_text("utf-8"))
    return {value: kind for kind in PERSONAL for value in known.get(kind, ())}


def open_places(home: Home) -> list[Path]:
    """Return everything of a home that is not restricted, not the sources' own and not the truth itself."""
    return [path for path in home.root.iterdir() if path.name not in ("restricted", "truth", "upstream")]


def find_leaks(home: Home, names: dict[str, str], places: Sequence[Path] | None = None) -> list[str]:
    """Return where identifiers are found; the lines name kind and file, as the scan itself must not leak."""
    numbers = {name for name in names if _DIGITS.fullmatch(name)}
    addresses = {name for name in names if _ADDRESS.fullmatch(name)}
    others = sorted(set(names) - numbers - addresses)
    pattern = re.compile("|".join(map(re.escape, others)))
    found = set()
    for place in places if places is not None else open_places(home):
        for file in [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file()):
            for text in _texts(file):
                hits = {run for run in _DIGITS.findall(text) if run in numbers}
                # An identifier may stand inside a longer run of digits or letters.
                hits |= {n for run in _DIGITS.findall(text) if len(run) > 18 for n in _windows(run) if n in numbers}
                hits |= set(pattern.findall(text)) | (addresses & set(_ADDRESS.findall(text)))
                found |= {f"{names[hit]} in {file.relative_to(home.root)}" for hit in hits}
    return sorted(found)


def _windows(run: str) -> Iterator[str]:
    for size in (11, 15, 16, 18):
        for start in range(len(run) - size + 1):
            yield run[start : start + size]


def _texts(file: Path) -> Iterable[str]:
    """Return a file's content as texts: columns of Parquet, rows of SQLite, anything else by its bytes."""
    head = file.open("rb").read(16)
    if head.startswith(b"PAR1"):
        return _parquet(file)
    if head.startswith(b"SQLite format 3"):
        return _sqlite(file)
    content = file.read_bytes()
    return [content.decode("utf-8", errors="replace"), content.decode("gb18030", errors="replace")]


def _parquet(file: Path) -> Iterator[str]:
    for column in pq.read_table(file, partitioning=None).columns:
        values = column.to_pylist() if pa.types.is_nested(column.type) else pc.unique(column).to_pylist()
        yield "\n".join(str(value) for value in values if value is not None)


def _sqlite(file: Path) -> Iterator[str]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield "\n".join(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row)
