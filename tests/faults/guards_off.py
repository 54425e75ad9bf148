"""Guards switched off on purpose, in the process of a job: what the nemesis must then find."""

import secrets
from typing import Any

from ronghe.lake import Lake


def switch_off(guard: str) -> None:
    """Switch a guard off.

    `once`: no write has a fingerprint that a second one could have too, and the rows of a part are added to it instead
    of taking its place.
    """
    {"once": _effects_happen_every_time}[guard]()


def _effects_happen_every_time() -> None:
    def replace(self: Lake, table_id: str, frame: Any, fingerprint: str, part: Any = None) -> bool:
        return self._write(table_id, frame, secrets.token_hex(16), "append" if part else "overwrite", {})

    Lake.replace = replace  # type: ignore[method-assign]
