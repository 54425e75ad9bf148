"""Token keys: random, one file each, outside the lake; a key that is gone makes its tokens mere numbers."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
KEY_BYTES = 32


class KeyStore:
    """The keys in one folder, each 256 bits from the operating system, readable by the owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ensure(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the keys by id, making those that do not exist yet.

        Two processes that ask for one new key get the same: the first to link its file wins.

        Raises:
            ValueError: a key id holds signs that are no file name.
        """
        return {key_id: self._key(key_id) for key_id in sorted(set(key_ids))}

    def _key(self, key_id: str) -> bytes:
        if not _NAME.fullmatch(key_id):
            raise ValueError(f"{key_id!r} is no key id: letters, digits, point, hyphen and underscore only")
        path = self._folder / f"{key_id}.key"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._folder / f".{key_id}.{os.getpid()}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(partial, path)
            partial.unlink()
        return path.read_bytes()
