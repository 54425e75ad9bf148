"""GZIP files and members of ZIP archives, unpacked to a file of their own so that every reader can take them.

- GZIP is known by its first bytes. A ZIP archive is opened only where the reader names a `member`.
- Nothing is unpacked under a name that stands in an archive. An archive with a name that leads out of it (`..`, an
  absolute path) or with a link is refused as a whole, as is one with an encrypted member or the member twice.
- Names without the UTF-8 flag are read as GB18030 where they are that, as Chinese systems write them.
- What is unpacked is counted as it comes, whatever the archive says about itself: more than 4 GiB, or more than 64 MiB
  at over 200 times the packed size, reject the file. (DEFLATE reaches 1,032 times; text tables reach 10 to 40.)
"""

import errno
import gzip
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from ronghe.contracts.source import Reader
from ronghe.ingest.records import EMPTY_ARCHIVE, GZIP, WORKBOOK, RejectedFile, listed, looks_like

UNPACKED_BYTES = 4 << 30
RATIO = 200
RATIO_FROM_BYTES = 64 << 20
MEMBERS = 10_000
PREFIX = ".unpacked-"

_BLOCK_BYTES = 1 << 20
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
# What zipfile and gzip raise on damage; an offset before the file's beginning is EINVAL.
_DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def unpacked(path: Path, reader: Reader, scratch: Path | None) -> tuple[Path, TemporaryDirectory[str] | None]:
    """Return the file that a reader is to read, and the folder that holds it if it had to be unpacked.

    Args:
        path: the delivery.
        reader: the contract's reader.
        scratch: where to unpack; the system's folder for temporary files if none.

    Raises:
        RejectedFile: `not_zip` (no archive, or a damaged one), `no_member`, `unsafe_archive`, `encrypted`, `too_large`,
            `not_gzip`.
    """
    kind = looks_like(path)
    if reader.member is None and kind != GZIP:
        return path, None
    folder = TemporaryDirectory(dir=scratch, prefix=PREFIX)
    # Messages name the file by this name.
    target = Path(folder.name) / (f"{path.name}!{PurePosixPath(reader.member).name}" if reader.member else path.name)
    try:
        if reader.member is None:
            with gzip.open(path) as source:
                _copy(path, source, path.stat().st_size, target)
        else:
            _unzip(path, kind, reader.member, target)
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, _DAMAGED) and not (isinstance(error, OSError) and _is_disk(error)):
            format = "zip" if reader.member else "gzip"
            raise RejectedFile(
                f"not_{format}",
                f"{path.name} is cut, damaged or no {format} ({type(error).__name__}): ask the source to send it again",
            ) from None
        raise
    return target, folder


def _is_disk(error: OSError) -> bool:
    """Tell whether an error is the disk's fault and not the archive's."""
    return error.errno not in (None, errno.EINVAL)


def _unzip(path: Path, kind: str, member: str, target: Path) -> None:
    """Copy one member of an archive.

    Raises:
        RejectedFile: see `unpacked`.
    """
    if kind not in (WORKBOOK, EMPTY_ARCHIVE):
        raise RejectedFile(
            "not_zip", f"{path.name} looks like {kind}, and `member` wants a ZIP archive: ask the source"
        )
    with zipfile.ZipFile(path) as archive:
        members = [(_name(info), info) for info in archive.infolist()]
        _refuse_unsafe(path, [name for name, _ in members], links=any(map(_is_link, archive.infolist())))
        found = [info for name, info in members if name == member]
        if len(found) != 1:
            said = "twice" if found else f"not; it has {listed([n for n, info in members if not info.is_dir()])}"
            raise RejectedFile(
                "no_member",
                f"{path.name} has the member {member!r} {said}: correct `member` in the contract's reader or ask the"
                " source",
            )
        if found[0].flag_bits & _ENCRYPTED:
            raise RejectedFile("encrypted", f"{path.name} is encrypted: ask the source to send it without a password")
        with archive.open(found[0]) as source:
            _copy(path, source, found[0].compress_size, target)


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; `zipfile` reads one without the UTF-8 flag as code page 437."""
    name = info.filename
    if not info.flag_bits & _UTF8_NAME:
        try:
            name = name.encode("cp437").decode("gb18030")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def _is_link(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a symbolic link, as archives made on Unix say in the upper half of its attributes."""
    return stat.S_ISLNK(info.external_attr >> 16)


def _refuse_unsafe(path: Path, names: list[str], *, links: bool) -> None:
    """Look at the names in an archive.

    Raises:
        RejectedFile: one leads out of the archive or is a link, or there are too many.
    """
    if len(names) > MEMBERS:
        raise RejectedFile("too_large", f"{path.name} has {len(names):,} members; {MEMBERS:,} are allowed")
    if links or any(name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") for name in names):
        raise RejectedFile(
            "unsafe_archive",
            f"{path.name} has a member that leads out of the archive, or is a link: ask the source how it came to be",
        )


def _copy(path: Path, source: IO[bytes] | gzip.GzipFile, packed: int, target: Path) -> None:
    """Copy what unpacks, and count it.

    Raises:
        RejectedFile: it is too much.
    """
    count = 0
    with target.open("wb") as file:
        while block := source.read(_BLOCK_BYTES):
            count += len(block)
            if count > UNPACKED_BYTES or (count > RATIO_FROM_BYTES and count > RATIO * packed):
                raise RejectedFile(
                    "too_large",
                    f"{path.name} unpacks to more than {count:,} bytes from {packed:,}; {UNPACKED_BYTES:,}, and"
                    f" {RATIO} times the packed size, are allowed: ask the source to split it",
                )
            file.write(block)
