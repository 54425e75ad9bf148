"""What mends an error of a library whose own message may quote rows: told by its kind, in words of our own."""

import errno

from ronghe.stopped import DataStopped

DAMAGED = "A table is damaged: `ronghe doctor` names it, docs/runbooks/damaged-table.md mends it. "
REFUSED = "A folder cannot be written or read: `ronghe doctor` names it; give this user the right, then run it again. "
STRANGER = "The engine refuses the token: see docs/runbooks/secret-wrong.md. "
FULL = "The disk is full: docs/runbooks/disk-full.md. "
# Words of an error -> what a person does about it; the first that fits holds.
_REMEDIES = (
    (("No space left on device", "ENOSPC"), FULL),
    (("File too large",), "A limit of the system on the size of files was met: raise it (`ulimit -f`). "),
    (
        ("Permission denied", "AccessControlException", "Read-only file system", "Access Denied", "AccessDenied"),
        REFUSED,
    ),
    (("UNAUTHENTICATED", "Invalid authentication token", "authentication token"), STRANGER),
    (
        ("OutOfMemoryError", "UNABLE_TO_ACQUIRE_MEMORY"),
        "The engine's memory ran out: raise RONGHE_ENGINE_MEMORY; docs/runbooks/engine-does-not-answer.md. ",
    ),
    (
        ("Python worker exited unexpectedly", "MemoryError", "Cannot allocate memory"),
        "A Python worker was ended, most often for want of memory: run fewer tasks at a time (pool `engine`) or give "
        "the machine more; docs/runbooks/engine-does-not-answer.md. ",
    ),
    # What Spark and Delta say of a table whose log or files are not as they were written.
    (
        (
            *("FAILED_READ_FILE", "DELTA_TRUNCATED_TRANSACTION_LOG", "DELTA_MISSING_PART_FILES"),
            *("DELTA_MISSING_COMMIT_INFO", "DELTA_LOG_FILE_NOT_FOUND", "DELTA_FILE_NOT_FOUND"),
            *("DELTA_STATE_RECOVER_ERROR", "ChecksumException", "is not a Parquet file"),
            *("Parquet magic bytes not found", "Failed to open local file"),
        ),
        DAMAGED,
    ),
)


class TableDamaged(DataStopped):
    """A table is not as it was written; nothing of it is read or written until it is mended."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(
            f"The table in {path} is damaged: {what}. Nothing of it is read or written. Run `ronghe doctor`, then see "
            "docs/runbooks/damaged-table.md."
        )


def remedy(error: BaseException) -> str:
    """Return what to do about an error, a sentence and a space; empty where nothing better is known than to retry.

    The error's own text decides, and is not told.
    """
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return REFUSED
    said = f"{getattr(error, 'getCondition', lambda: None)()} {type(error).__name__} {error} {server_said(error)}"
    return next((remedy for words, remedy in _REMEDIES if any(word in said for word in words)), "")


def server_said(error: BaseException) -> str:
    """Return the causes an error had on the engine, nothing for one of our own."""
    return str(getattr(error, "getStackTrace", lambda: None)() or "")
