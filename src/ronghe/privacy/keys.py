"""Token keys: random, one file each, outside the lake; a key that is gone makes its tokens mere numbers."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from ronghe.stopped import DataStopped

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_BYTES = 32


class KeyFault(DataStopped):
    """A key is not as it was made; the message says what to do and nothing of the key."""


class KeyStore:
    """The keys in one folder, each 256 bits from the operating system, readable by the owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ensure(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the keys by id, making those that do not exist yet.

        Two processes that ask for one new key get the same: the first to link its file wins.

        Raises:
            ValueError: a key id holds signs that are no file name.
            KeyFault: a key's file is not as it was made; a token of it would match no other.
        """
        return {key_id: self._key(key_id) for key_id in sorted(set(key_ids))}

    def ids(self) -> frozenset[str]:
        """Return the ids of the keys there are."""
        return frozenset(path.stem for path in self._folder.glob("*.key"))

    def destroy(self, key_ids: Iterable[str]) -> None:
        """Overwrite keys and remove them; one that is gone already is.

        Overwriting is the best a program can do: file systems that copy on write, snapshots, backups and the cells of
        an SSD may keep the old bytes. Keep this folder on a volume of its own that has none of them.
        """
        for key_id in sorted(set(key_ids)):
            path = self._path(key_id)
            with contextlib.suppress(FileNotFoundError):
                with path.open("r+b", buffering=0) as file:
                    file.write(secrets.token_bytes(_BYTES))
                    os.fsync(file.fileno())
                path.unlink()
        if self._folder.is_dir():
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _path(self, key_id: str) -> Path:
        if not _NAME.fullmatch(key_id):
            raise ValueError(f"{key_id!r} is no key id: letters, digits, point, hyphen and underscore only")
        return self._folder / f"{key_id}.key"

    def _key(self, key_id: str) -> bytes:
        path = self._path(key_id)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._folder / f".{key_id}.{os.getpid()}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(partial, path)
            partial.unlink()
        if said := key_fault(path):
            raise KeyFault(f"Key {key_id} {said}. Nothing was written with it. See docs/runbooks/secret-wrong.md.")
        return path.read_bytes()


def key_fault(path: Path) -> str | None:
    """Return what is wrong with a key's file, none where it is as it was made; its content is not told."""
    try:
        found = path.stat()
        readable = os.access(path, os.R_OK)
    except PermissionError:
        readable = False
    if not readable:
        return "cannot be read by this user"
    if found.st_mode & 0o077:
        return f"may be read by others: run `chmod 600 {path}`"
    if found.st_size != _BYTES:
        return f"has {found.st_size} bytes instead of {_BYTES}: restore it from a backup"
    return None
