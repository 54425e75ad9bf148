"""What mends an error of a library whose own message may quote rows: told by its kind, in words of our own."""

import errno

from ronghe.stopped import DataStopped

# What Spark and Delta say of a table whose log or files are not as they were written.
_DAMAGED = (
    *("FAILED_READ_FILE", "DELTA_TRUNCATED_TRANSACTION_LOG", "DELTA_MISSING_PART_FILES", "DELTA_MISSING_COMMIT_INFO"),
    *("DELTA_LOG_FILE_NOT_FOUND", "DELTA_FILE_NOT_FOUND", "DELTA_STATE_RECOVER_ERROR", "ChecksumException"),
    *("is not a Parquet file", "Parquet magic bytes not found", "Failed to open local file"),
)
_REFUSED = ("Permission denied", "AccessControlException", "Read-only file system", "Access Denied", "AccessDenied")
DAMAGED = "A table is damaged: `ronghe doctor` names it, docs/runbooks/damaged-table.md mends it. "
REFUSED = "A folder cannot be written or read: `ronghe doctor` names it; give this user the right, then run it again. "

_STRANGER = ("UNAUTHENTICATED", "Invalid authentication token", "authentication token")
STRANGER = "The engine refuses the token: see docs/runbooks/secret-wrong.md. "


class TableDamaged(DataStopped):
    """A table is not as it was written; nothing of it is read or written until it is mended."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(
            f"The table in {path} is damaged: {what}. Nothing of it is read or written. Run `ronghe doctor`, then see "
            "docs/runbooks/damaged-table.md."
        )


def remedy(error: BaseException) -> str:
    """Return what to do about an error, a sentence and a space; empty where nothing better is known than to retry."""
    said = f"{getattr(error, 'getCondition', lambda: None)()} {type(error).__name__} {error}"
    if (isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)) or any(
        name in said for name in _REFUSED
    ):
        return REFUSED
    if any(name in said for name in _STRANGER):
        return STRANGER
    return DAMAGED if any(name in said for name in _DAMAGED) else ""
