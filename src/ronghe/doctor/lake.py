"""The lake: each table's log, checkpoints and files of rows, and whether this Ronghe may read and write it."""

import json
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from urllib.parse import unquote

from ronghe import stores
from ronghe.contracts import ContractError, catalogue
from ronghe.doctor.findings import Finding, well, wrong
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.remedies import TableDamaged

BOOK = "docs/runbooks/damaged-table.md"
_COMMIT, _CHECKPOINT, _CHECKSUM = (
    re.compile(rf"(\d{{20}})\.{rest}") for rest in ("json", r"checkpoint(?:\..+)?\.parquet", "crc")
)
_HINT = "_last_checkpoint"
# At most so many files of one kind are told.
_TOLD = 3


def findings(home: Home) -> Iterator[Finding]:
    """Look at every declared table that was made; its newest version, and the log as far back as it is kept."""
    lake = Lake(home, catalogue())
    for table_id in sorted(lake.catalogue.tables):
        check, path = f"table: {table_id}", lake.path(table_id)
        faults: list[tuple[str, str]] = []
        try:
            log = stores.files(f"{path}/_delta_log")
            if not log and not stores.is_table(path):
                continue  # not made yet
            faults += [*_log_faults(path, log), *_checkpoint_faults(path, log)]
            faults += _newest_faults(lake, table_id, path)
        except TableDamaged as error:
            # What is wrong with the log says more than that it cannot be read.
            faults = faults or [(_short(error), f"See {BOOK}.")]
        except ContractError as error:
            faults.append((_short(error), "See docs/recipes/change-a-contract.md."))
        except OSError:
            faults.append(("this user cannot look into it", f"Give this user the right to read {path}."))
        yield from (wrong(check, said, mend) for said, mend in faults)
        if not faults:
            yield well(check, "log, checkpoint and {} files of version {}".format(*_size(lake, table_id)))


def _short(error: Exception) -> str:
    """Return an error without what follows its first sentence: the doctor says himself what to do."""
    return re.split(r"\. (?=[A-Z])", str(error))[0]


def _size(lake: Lake, table_id: str) -> tuple[int, int]:
    table = stores.open_table(lake.path(table_id))
    return len(table.file_uris()), int(table.version())


def _versions(log: Mapping[str, int], pattern: re.Pattern[str]) -> list[int]:
    return sorted({int(found[1]) for name in log if (found := pattern.fullmatch(name))})


def _log_faults(path: str, log: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield commits that are missing, empty or cut off, and what to do."""
    commits, checkpoints = _versions(log, _COMMIT), _versions(log, _CHECKPOINT)
    if not commits:
        yield "its log has no commit", f"See {BOOK}, 'The log is gone'."
        return
    # Old commits may go once a checkpoint holds them; nothing may be missing after the first that is left.
    first = commits[0] if commits[0] == 0 or any(version >= commits[0] - 1 for version in checkpoints) else 0
    last = max(commits + checkpoints + _versions(log, _CHECKSUM))
    if missing := sorted(set(range(first, last + 1)) - set(commits)):
        yield f"its log lacks version {_listed(missing)}", f"See {BOOK}, 'A commit is damaged or gone'."
    for version in commits:
        name = f"{version:020}.json"
        if said := _commit_fault(stores.read(f"{path}/_delta_log/{name}")):
            yield f"commit {name} {said}", f"See {BOOK}, 'A commit is damaged or gone'."


def _commit_fault(content: bytes) -> str | None:
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        return "is empty"
    for number, line in enumerate(lines, start=1):
        try:
            if not isinstance(json.loads(line), dict):
                return f"holds no action in line {number}"
        except ValueError:
            return f"is cut off or damaged in line {number}"
    return None


def _checkpoint_faults(path: str, log: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield checkpoints that cannot be read, and a hint that leads to none."""
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import read_table

    mend = f"See {BOOK}, 'A checkpoint is damaged or gone'."
    for name in sorted(name for name in log if _CHECKPOINT.fullmatch(name)):
        try:
            read_table(BytesIO(stores.read(f"{path}/_delta_log/{name}")))
        except (ArrowInvalid, OSError):
            yield f"checkpoint {name} cannot be read", mend
    if _HINT not in log:
        return
    try:
        named = int(json.loads(stores.read(f"{path}/_delta_log/{_HINT}"))["version"])
    except (ValueError, TypeError, KeyError):
        yield f"{_HINT} cannot be read", mend
        return
    if named not in _versions(log, _CHECKPOINT):
        yield f"{_HINT} names version {named}, whose checkpoint is missing", mend


def _newest_faults(lake: Lake, table_id: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the newest version: files of rows, format, contract."""
    table = stores.open_table(path)
    there, actions = stores.files(path), table.get_add_actions(flatten=True)
    named = dict(zip(map(unquote, actions["path"].to_pylist()), actions["size_bytes"].to_pylist(), strict=True))
    mend = f"See {BOOK}, 'Files of rows are gone'."
    if missing := sorted(named.keys() - there.keys()):
        yield f"{len(missing)} of {len(named)} files of rows are missing ({_listed(missing)})", mend
    if other := sorted(name for name in named.keys() & there.keys() if named[name] != there[name]):
        yield f"{len(other)} of {len(named)} files of rows are not of their size ({_listed(other)})", mend
    made_by = str(table.metadata().configuration.get("ronghe.contract", table_id))
    if made_by.partition("@")[0] != table_id:
        yield f"it was made by the contract {made_by}", "Move the folder to where that contract's table belongs."
    lake.evolve(table_id, only_look=True)


def _listed(found: "list[int] | list[str]") -> str:
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return f"{', '.join(map(str, found[:_TOLD]))}{more}"
