"""What must hold of a home whatever happened to it: its tables' logs, its packages, its lineage, and what it tells.

These oracles know nothing of the data. Like all oracles they return the faults they found as readable lines, and an
empty list is right. `faults_after` runs those that apply, beside the comparison with an undisturbed home.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from tests import canary, leaks, oracles

# Version files of a table, by name: what the file system knew of each when it was first seen.
Watch = dict[Path, tuple[int, int, int]]
ENDS = ("COMPLETE", "FAIL", "ABORT")
# Task states in which Airflow believes that somebody works.
BUSY = ("running", "queued", "scheduled", "up_for_retry", "restarting")


def faults_after(
    home: Home,
    reference: Home,
    tables: Iterable[str],
    watch: Watch | None = None,
    fired: Mapping[str, int] | None = None,
    names: Callable[[Home], Mapping[Any, Any]] = lambda _: {},
) -> list[str]:
    """Return what any oracle finds wrong with a home after a disturbance has passed, with the oracle's name.

    Args:
        home: what was disturbed, and has since run all that was due.
        reference: an undisturbed home with the same deliveries and keys.
        tables: the tables whose content must be equal.
        watch: what `watched` saw of the logs before and during the disturbance.
        fired: how often each fault was made; one that never was is a fault of the test.
        names: gives for a home what takes the place of values that follow from its history, not from its deliveries.
    """
    named = tuple(tables)
    asked: dict[str, Callable[[], list[str]]] = {
        "ledger": lambda: ledger_faults(home),
        "twice": lambda: oracles.twice_faults(home),
        "content": lambda: content_faults(home, reference, named, names),
        "log": lambda: log_faults(home, watch),
        "release": lambda: release_faults(home),
        "lineage": lambda: lineage_faults(home),
        "airflow": lambda: airflow_faults(home),
        "secrets": lambda: secret_faults(home),
        "leaks": lambda: leaks.find_leaks(home, leaks.identifiers(home)) if home.truth.is_dir() else [],
        "fired": lambda: fired_faults(fired or {}),
    }
    return [f"{oracle}: {fault}" for oracle, ask in asked.items() for fault in answer(ask)]


def answer(ask: Callable[[], list[str]]) -> list[str]:
    """Return an oracle's faults; a home too damaged to be asked is one, and stops no other oracle."""
    try:
        return ask()
    except Exception as error:
        return [f"it could not be asked ({type(error).__name__})"]


# -- nothing lost, nothing doubled -----------------------------------------------------------------------------------


def ledger_faults(home: Home) -> list[str]:
    """Every landed delivery came to one verdict, and its counts are those of the tables, counted again."""
    events = sorted(Lake(home, catalogue()).rows("meta.delivery").to_pylist(), key=lambda e: e["recorded_at"])
    of_delivery: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        of_delivery.setdefault(event["delivery_id"], []).append(event)
    faults = []
    for delivery, own in of_delivery.items():
        faults += [f"{code} of {delivery} is in the ledger again" for code in _again(own)]
        if own[-1]["event_code"] in ("landed", "reopened"):
            faults.append(f"{own[-1]['path']} was {own[-1]['event_code']} and came to no verdict")
    # A replay counts a delivery anew.
    counted = [e for e in events if e["event_code"] in ("accepted", "replayed")]
    newest = {e["delivery_id"]: e for e in counted}.values()
    for feed in catalogue().feeds.values():
        accepted = [e for e in newest if e["feed_id"] == feed.id]
        if accepted:
            faults += _count_faults(home, feed.raw_table, feed.target, accepted)
    return faults


def _again(events: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the codes of events of one delivery that are there already, and nothing has undone them since."""
    seen = set[tuple[Any, ...]]()
    for event in events:
        # A delivery may be replayed again under one version, with fewer records in quarantine.
        said = tuple(event[name] for name in ("event_code", "contract_version", "quarantined_count"))
        if said in seen:
            yield event["event_code"]
        if event["event_code"] in ("reopened", "superseded"):
            seen.clear()
        seen.add(said)


def _count_faults(home: Home, raw: str, target: str, accepted: list[dict[str, Any]]) -> list[str]:
    counted = {
        "read_count": _by_delivery(home, raw),
        "accepted_count": _by_delivery(home, target),
        "deduplicated_count": _by_delivery(home, "meta.duplicate"),
        "quarantined_count": _by_delivery(home, "meta.quarantine"),
    }
    faults = []
    for event in accepted:
        found = {name: counts[event["delivery_id"]] for name, counts in counted.items()}
        said = {name: event[name] for name in counted}
        if found != said or found["read_count"] != sum(found.values()) - found["read_count"]:
            faults.append(f"{event['path']}: the tables have {found}, the ledger says {said}")
    return faults


def _by_delivery(home: Home, table_id: str) -> Counter[str]:
    return Counter(Lake(home, catalogue()).rows(table_id, ["delivery_id"])["delivery_id"].to_pylist())


def content_faults(
    home: Home,
    reference: Home,
    tables: Iterable[str],
    names: Callable[[Home], Mapping[Any, Any]] = lambda _: {},
) -> list[str]:
    """Each table has the rows of the reference's, each as often; only how many differ is told, never a row."""
    faults = []
    named = [(one, names(one)) for one in (home, reference)]
    for table_id in tables:
        found, expected = (oracles.table_contents(one, table_id, own) for one, own in named)
        if found != expected:
            lost, more = (expected - found).total(), (found - expected).total()
            faults.append(f"{table_id}: {lost} of {expected.total()} rows are lost, {more} are too many")
        if not expected:
            faults.append(f"{table_id} is empty in the reference: nothing was compared")
    return faults


# -- the tables' logs ------------------------------------------------------------------------------------------------


def watched(home: Home, watch: Watch | None = None) -> Watch:
    """Note the version files of every table; those noted before keep what was noted first."""
    seen = {file: _written(file) for log in _logs(home) for file in log.glob("[0-9]*.json")}
    return {**seen, **(watch or {})}


def _written(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _logs(home: Home) -> Iterator[Path]:
    for root in (home.restricted_lake, home.open_lake):
        yield from sorted(root.glob("*/*/_delta_log"))


def log_faults(home: Home, watch: Watch | None = None) -> list[str]:
    """Every table's log is whole: versions without a gap, each of them JSON, none written twice, readable by others.

    Versions older than a checkpoint may be gone; what is left must be contiguous up to the newest.
    """
    faults = [
        f"{_short(home, file)} was written twice" for file, first in (watch or {}).items() if _changed(file, first)
    ]
    for log in _logs(home):
        faults += [
            f"{_short(home, log.parent)}: {fault}" for fault in (*version_faults(log), *reader_faults(log.parent))
        ]
    return faults


def _changed(file: Path, first: tuple[int, int, int]) -> bool:
    return file.exists() and _written(file) != first


def versions_of(log: Path) -> list[int]:
    """Return the versions a table's log has files of, in order."""
    return sorted(int(file.stem) for file in log.glob("[0-9]*.json") if file.stem.isdigit())


def version_faults(log: Path) -> Iterator[str]:
    """Yield gaps between a log's versions, and version files that cannot be read line by line."""
    versions = versions_of(log)
    if not versions:
        yield "the log has no version"
        return
    missing = sorted(set(range(versions[0], versions[-1] + 1)) - set(versions))
    if missing:
        yield f"versions {missing} are missing"
    for version in versions:
        try:
            actions = [json.loads(line) for line in (log / f"{version:020}.json").read_text("utf-8").splitlines()]
        except ValueError:
            yield f"version {version} is no JSON"
            continue
        if not any("commitInfo" in action for action in actions):
            yield f"version {version} has no commit"


def reader_faults(table: Path) -> Iterator[str]:
    """Yield where the number of rows in the log is not the number that delta-rs with Arrow, and DuckDB, read."""
    try:
        opened = stores.open_table(str(table))
        rows = stores.dataset(opened).to_table(columns=[opened.schema().fields[0].name]).num_rows
        files = opened.file_uris()
        by_duckdb = duckdb.read_parquet(files).count("*").fetchall()[0][0] if files else 0
        logged = int(opened.count())
    except Exception as error:
        yield f"it cannot be read ({type(error).__name__})"
        return
    if not rows == by_duckdb == logged:
        yield f"delta-rs reads {rows} rows, DuckDB {by_duckdb}, the log says {logged}"


def spark_count_faults(lake: Lake, tables: Iterable[str]) -> list[str]:
    """Spark counts what delta-rs counts; for whoever has an engine at hand."""
    counts = {name: (lake.read(name).count(), lake.size(name)[0]) for name in tables}
    return [f"{name}: Spark counts {mine}, delta-rs {other}" for name, (mine, other) in counts.items() if mine != other]


# -- releases, lineage, and what is told -----------------------------------------------------------------------------


def release_faults(home: Home) -> list[str]:
    """Every package that is up is as its manifest says, and nothing else lies beside it.

    Packages bear no signature. The release id is the hash of the manifest, and the ledger of releases names it: that
    binds a package to its record, for whoever trusts the ledger.
    """
    recorded = Lake(home, catalogue()).rows("meta.release").to_pylist()
    faults = []
    for folder in sorted(path for path in home.releases.glob("*") if path.is_dir()):
        own = [row for row in recorded if row["extract_id"] == folder.name]
        numbers = sorted(int(row["release_number"]) for row in own)
        if numbers != list(range(1, len(own) + 1)):
            faults.append(f"{folder.name}: the releases are numbered {numbers}")
        known = {row["release_id"] for row in own}
        for package in sorted(p for p in folder.iterdir() if p.name != "current.json"):
            if package.name not in known:
                faults.append(f"{_short(home, package)} is no recorded release")
            else:
                faults += [f"{_short(home, package)}: {fault}" for fault in package_faults(package)]
        newest = max(own, key=lambda row: int(row["release_number"]), default=None)
        current = folder / "current.json"
        if newest and json.loads(current.read_text("utf-8"))["release_id"] != newest["release_id"]:
            faults.append(f"{folder.name}: current.json names another release than the newest")
    return faults


def package_faults(package: Path) -> Iterator[str]:
    """Yield where a package is not as its manifest says: id, files, bytes, SHA-256 and rows."""
    text = (package / "manifest.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != package.name:
        yield "the manifest's hash is not the release's id"
    manifest = json.loads(text)
    named = {file["path"]: (file["bytes"], file["sha256"]) for file in manifest["files"]}
    found = {
        file.relative_to(package).as_posix(): (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in package.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }
    yield from (f"{name} is not in the manifest" for name in sorted(found.keys() - named.keys()))
    yield from (f"{name} is missing" for name in sorted(named.keys() - found.keys()))
    yield from (f"{name} has other bytes" for name in sorted(named.keys() & found.keys()) if named[name] != found[name])
    for table in manifest["tables"]:
        for name in set(table["files"]) & found.keys():
            rows = _rows(package / name)
            if rows != table["rows"]:
                yield f"{name} has {rows} rows, the manifest says {table['rows']}"


def _rows(file: Path) -> int:
    if file.suffix == ".parquet":
        return int(pq.ParquetFile(file).metadata.num_rows)
    newlines = pc.ParseOptions(newlines_in_values=True)
    return int(pc.read_csv(file, parse_options=newlines).num_rows)


def lineage_faults(home: Home) -> list[str]:
    """Every run that was started has one end, and no run ends that was not started."""
    lines = [line for file in sorted(home.lineage.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    try:
        events = [json.loads(line) for line in lines]
    except ValueError:
        return ["a line of the lineage is no JSON"]
    jobs = {e["run"]["runId"]: e["job"]["name"] for e in events}
    starts = Counter(e["run"]["runId"] for e in events if e["eventType"] == "START")
    ends = Counter(e["run"]["runId"] for e in events if e["eventType"] in ENDS)
    wrong = [run for run in jobs if (starts[run], ends[run]) != (1, 1)]
    return [f"a run of {jobs[run]} has {starts[run]} starts and {ends[run]} ends" for run in wrong]


def airflow_faults(home: Home) -> list[str]:
    """Airflow believes of no task that it runs or will; a home without an Airflow has none."""
    faults = []
    for file in home.service.glob("airflow/*.db"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            states = ", ".join(f"'{state}'" for state in BUSY)
            rows = connection.execute(
                f"SELECT dag_id, task_id, state, count(*) FROM task_instance WHERE state IN ({states}) GROUP BY 1, 2, 3"
            ).fetchall()
        faults += [f"{n} of {dag}.{task} are {state}" for dag, task, state, n in rows]
    return faults


def secret_faults(home: Home) -> list[str]:
    """No secret of the home stands in a log, a page, a table of the open half, a metric or a lineage event."""
    files = (file for place in [*leaks.open_places(home), home.engine] for file in place.rglob("*"))
    return canary.told_in(home, canary.secrets_of(home), files)


def fired_faults(fired: Mapping[str, int]) -> list[str]:
    """Return the faults that were never made: a test of them has shown nothing."""
    return [f"{what} never fired" for what, times in fired.items() if times < 1]


def _short(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix()
