"""Where tables lie: folders of this machine, or an object store that speaks S3 (`s3a://bucket/prefix`).

An object store is set up the way its own tools are: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and
`AWS_ENDPOINT_URL` where it is not AWS itself. Keys stay in the environment: a setting of Spark would show them in the
server's command line.
"""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ronghe.remedies import TableDamaged

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

SCHEME = "s3a://"
ENDPOINT_VARIABLE, REGION_VARIABLE = "AWS_ENDPOINT_URL", "AWS_REGION"
# What an S3 store that is not AWS calls its only region.
_ANY_REGION = "us-east-1"
# No task may run half as long, so none is writing what is older and in no log, were a clock a day ahead.
_LONGEST_WRITE_HOURS = 48


def is_remote(path: str) -> bool:
    """Say whether a path names an object store."""
    return path.startswith(SCHEME)


def open_table(path: str) -> "DeltaTable":
    """Open a Delta table for reading, without an engine.

    Raises:
        deltalake.exceptions.TableNotFoundError: no table lies there.
        TableDamaged: its log cannot be read, has no commit, or does not hold what was committed.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        found = DeltaTable(_uri(path), storage_options=_options(path))
    except TableNotFoundError:
        if files(f"{path}/_delta_log"):
            raise TableDamaged(path, "its log has no commit") from None
        raise
    except DeltaError:
        # Its own message may quote the log, which holds values of rows.
        raise TableDamaged(path, "its log cannot be read") from None
    _refuse_lost_commit(path, found)
    return found


def is_table(path: str) -> bool:
    """Say whether a Delta table lies at a path.

    Raises:
        TableDamaged: there are data and no log; taken for no table, it would be read as empty.
        OSError: this user may not look.
    """
    from deltalake import DeltaTable

    if DeltaTable.is_deltatable(_uri(path), storage_options=_options(path)):
        return True
    if any(name.endswith(".parquet") for name in files(path)):
        raise TableDamaged(path, "there are files of rows, and no log that this user can read")
    return False


def _refuse_lost_commit(path: str, table: "DeltaTable") -> None:
    """Check that the newest commit is whole.

    A commit that is empty, or ends at the end of one of its lines, is read without an error, by Spark too, as if its
    rows had never been written. What the log should come to stands in the checksum beside the commit.

    Raises:
        TableDamaged: it is not.
    """
    log, newest = f"{path}/_delta_log", f"{int(table.version()):020}"
    sizes = files(log, [f"{newest}.json", f"{newest}.crc"])
    if sizes.get(f"{newest}.json") == 0:
        raise TableDamaged(path, f"its newest commit, {newest}.json, is empty")
    if not sizes.get(f"{newest}.crc"):
        return  # the writer was killed before it wrote one
    try:
        kept = json.loads(read(f"{log}/{newest}.crc"))
    except ValueError:
        return
    bytes_there = table.get_add_actions(flatten=True)["size_bytes"].to_pylist()
    if (kept["numFiles"], kept["tableSizeBytes"]) != (len(bytes_there), sum(bytes_there)):
        raise TableDamaged(path, f"its newest commit, {newest}.json, has lost lines")


def files(folder: str, names: Sequence[str] | None = None) -> dict[str, int]:
    """Return the files that lie in a folder by name, and their sizes in bytes; none where there is no folder.

    Args:
        folder: a folder of this machine, or a prefix of an object store.
        names: only look at these.

    Raises:
        OSError: this user may not look.
    """
    from pyarrow.fs import FileSelector

    remote, key = is_remote(folder), _key(folder)
    asked = FileSelector(key, allow_not_found=True) if names is None else [f"{key}/{name}" for name in names]
    return {info.base_name: info.size for info in _arrow(remote).get_file_info(asked) if info.is_file}


def read(path: str) -> bytes:
    """Return what a small file holds.

    Raises:
        OSError: there is none, or this user may not look.
    """
    with _arrow(is_remote(path)).open_input_file(_key(path)) as file:
        return bytes(file.read())


def dataset(table: "DeltaTable") -> "ds.Dataset":
    """Return a table as an Arrow dataset over Arrow's own file system.

    delta-rs's is written in Python: a thread that still asks it for a file when the interpreter ends aborts the
    process.
    """
    from pyarrow.fs import SubTreeFileSystem

    parts = urlsplit(table.table_uri)
    remote = parts.scheme not in ("", "file")
    root = f"{parts.netloc}{unquote(parts.path)}" if remote else unquote(parts.path)
    return table.to_pyarrow_dataset(filesystem=SubTreeFileSystem(root, _arrow(remote)))


def rows(table: "DeltaTable", columns: Sequence[str]) -> "pa.Table":
    """Return columns of a small table.

    Raises:
        TableDamaged: a file of its rows is missing or not as it was written.
    """
    from pyarrow import ArrowInvalid

    try:
        return dataset(table).to_table(columns=list(columns))
    except (FileNotFoundError, ArrowInvalid):
        raise TableDamaged(table.table_uri, "a file of its rows is missing or cannot be read") from None


def forget(path: str) -> None:
    """Remove every file of a table that only older versions need, so that nobody reads one of them any more.

    The log says which, not the folder: files of a write that is under way are left alone. `VACUUM ... LITE` would do
    the same, but refuses once Delta has cleaned the log behind an earlier VACUUM. What no log names goes once no write
    that still runs can have made it: it is left by one that was cut off, or that lost a conflict and wrote anew.
    """
    look = partial(open_table(path).vacuum, dry_run=True, enforce_retention_duration=False)
    store = _arrow(is_remote(path))
    over = {*look(0, full=False), *look(_LONGEST_WRITE_HOURS, full=True)}
    # What was committed while the folder was looked through is in the log now.
    for name in over - {name.removeprefix("/") for name in dataset(open_table(path)).files}:
        with suppress(FileNotFoundError):
            store.delete_file(f"{_key(path)}/{name}")


def hand_over(files: Sequence[Path], to: str) -> tuple[str, ...]:
    """Put files where every worker of the engine reads them; files of this machine stay where they are.

    Args:
        files: files of this machine.
        to: folder beside the tables; a path of this machine leaves the files alone.

    Returns:
        The paths the engine reads, in the order of the files.
    """
    if not is_remote(to):
        return tuple(str(file) for file in files)
    from pyarrow.fs import copy_files

    for file in files:
        copy_files(str(file), f"{_key(to)}/{file.name}", destination_filesystem=_arrow(remote=True))
    return tuple(f"{to}/{file.name}" for file in files)


def take_back(folder: str) -> None:
    """Remove all that was handed over there, by whatever run; files of this machine are their owner's to remove."""
    for name in files(folder) if is_remote(folder) else ():
        _arrow(remote=True).delete_file(f"{_key(folder)}/{name}")


def make_buckets(roots: Iterable[str]) -> list[str]:
    """Make the buckets of the object stores among the roots that are not there; return their names."""
    from pyarrow.fs import FileType

    buckets = sorted({_key(root).partition("/")[0] for root in roots if is_remote(root)})
    if not buckets:
        return []
    store = _arrow(remote=True)
    missing = [info.path for info in store.get_file_info(buckets) if info.type == FileType.NotFound]
    for bucket in missing:
        store.create_dir(bucket)
    return missing


def spark_settings(roots: Iterable[str]) -> dict[str, str]:
    """Return Spark's settings for the object stores among the roots, none where there are none."""
    if not any(map(is_remote, roots)):
        return {}
    found = {
        "aws.credentials.provider": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
        "endpoint.region": os.environ.get(REGION_VARIABLE, _ANY_REGION),
        # Delta reads small files whole; S3A's own reader does that without another library.
        "input.stream.type": "classic",
    }
    if endpoint := os.environ.get(ENDPOINT_VARIABLE):
        found |= {
            "endpoint": endpoint,
            "path.style.access": "true",
            "connection.ssl.enabled": str(endpoint.startswith("https")).lower(),
        }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in found.items()}


def _uri(path: str) -> str:
    """Return a path as delta-rs names it."""
    return path.replace(SCHEME, "s3://", 1)


def _key(path: str) -> str:
    """Return an object's path as Arrow names it: bucket and key."""
    return path.removeprefix(SCHEME)


def _options(path: str) -> dict[str, str] | None:
    if not is_remote(path):
        return None
    endpoint = os.environ.get(ENDPOINT_VARIABLE, "")
    allowed = {"AWS_ALLOW_HTTP": "true"} if endpoint.startswith("http://") else {}
    return {REGION_VARIABLE: os.environ.get(REGION_VARIABLE, _ANY_REGION), **allowed}


def _arrow(remote: bool) -> "FileSystem":
    """Return Arrow's file system of the object store, or of this machine."""
    from pyarrow.fs import LocalFileSystem, S3FileSystem

    if not remote:
        return LocalFileSystem()
    region = os.environ.get(REGION_VARIABLE, _ANY_REGION)
    endpoint = urlsplit(os.environ.get(ENDPOINT_VARIABLE, ""))
    where = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if endpoint.netloc else {}
    return S3FileSystem(region=region, allow_bucket_creation=True, **where)
