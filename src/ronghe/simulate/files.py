"""Files appear whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a hidden temporary name in the same folder, then rename over the target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)  # noqa: PTH105 - the rename is the point


def write_json_lines(path: Path, records: Iterable[str]) -> None:
    """Write records, each a JSON text in one line, in UTF-8."""
    write_atomically(path, "".join(f"{record}\n" for record in records).encode())
