"""What must hold of a lake after a night, whoever ran it: judged from the tables, by other means than the pipeline's.

Every function returns the faults it found as readable lines; an empty list is right.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake


def truth(home: Home, name: str) -> list[dict[str, Any]]:
    """Read one file of what the simulation knows."""
    return [json.loads(line) for line in (home.truth / f"{name}.jsonl").read_text("utf-8").splitlines()]


def database(home: Home, *table_ids: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB with the tables as views `layer_name`."""
    lake = Lake(home, catalogue())
    connection = duckdb.connect()
    for table_id in table_ids:
        name = table_id.replace(".", "_")
        if lake.exists(table_id):
            connection.register(name, DeltaTable(lake.path(table_id)).to_pyarrow_table())
        else:
            columns = ", ".join(f"NULL AS {c}" for c in catalogue().table(table_id).column_names)
            connection.sql(f"CREATE VIEW {name} AS SELECT {columns} WHERE false")
    return connection


def paths_by_delivery(home: Home) -> dict[str, str]:
    rows = Lake(home, catalogue()).rows("meta.delivery", ["delivery_id", "path", "event_code"]).to_pylist()
    return {row["delivery_id"]: row["path"] for row in rows if row["event_code"] == "landed"}


def conservation_faults(home: Home) -> list[str]:
    """Each delivery's counts in the ledger equal the truth's, and those counted again from the tables."""
    ledger = Lake(home, catalogue()).rows("meta.delivery").to_pylist()
    accepted = {row["path"]: row for row in ledger if row["event_code"] == "accepted"}
    keys = {
        "read": "read_count",
        "accepted": "accepted_count",
        "deduplicated": "deduplicated_count",
        "quarantined": "quarantined_count",
    }
    faults = []
    for known in truth(home, "deliveries"):
        row = accepted.pop(known["path"], None)
        found = {key: row[column] if row else None for key, column in keys.items()}
        if found != {key: known[key] for key in keys}:
            faults.append(f"{known['path']}: found {found}, true are { {k: known[k] for k in keys} }")
    return faults + [f"{path}: accepted, but never delivered" for path in accepted]


def fate_faults(home: Home) -> list[str]:
    """Each defect met its fate for its reason, and no other record did."""
    path_of = paths_by_delivery(home)
    tables = database(home, "meta.quarantine", "meta.duplicate")
    quarantined = {
        (path_of[d], n): reasons
        for d, n, reasons in tables.sql("SELECT delivery_id, record_number, reasons FROM meta_quarantine").fetchall()
    }
    duplicate = {
        (path_of[d], n)
        for d, n in tables.sql("SELECT delivery_id, record_number FROM meta_duplicate").fetchall()
    }
    faults = []
    for known in truth(home, "defects"):
        place = (known["path"], known["record_number"])
        if known["fate"] == "quarantined" and quarantined.pop(place, None) != known["reason"]:
            faults.append(f"{place}: {known['kind']} should be in quarantine for {known['reason']}")
        if known["fate"] == "deduplicated" and place not in duplicate:
            faults.append(f"{place}: {known['kind']} should be a duplicate")
        if known["fate"] == "deduplicated":
            duplicate.discard(place)
    faults += [f"{place}: in quarantine for {reasons} without a defect" for place, reasons in quarantined.items()]
    return faults + [f"{place}: called a duplicate without being one" for place in sorted(duplicate)]


def twice_faults(home: Home) -> list[str]:
    """No record has two fates, and no key stands twice in std."""
    found = []
    for feed in catalogue().feeds.values():
        table = catalogue().table(feed.target)
        name = table.id.replace(".", "_")
        tables = database(home, table.id, "meta.quarantine", "meta.duplicate")
        fates = f"""
            SELECT delivery_id, record_number FROM {name}
            UNION ALL SELECT delivery_id, record_number FROM meta_quarantine WHERE feed_id = '{feed.id}'
            UNION ALL SELECT delivery_id, record_number FROM meta_duplicate WHERE feed_id = '{feed.id}'"""
        for what, keys, rows in (
            ("fates", "delivery_id, record_number", f"({fates})"),
            ("rows", ", ".join(table.primary_key), name),
        ):
            twice = tables.sql(
                f"SELECT count(*) FROM (SELECT 1 FROM {rows} GROUP BY {keys} HAVING count(*) > 1)"
            ).fetchall()[0][0]
            if twice:
                found.append(f"{table.id}: {twice} keys have more than one of {what}")
    return found


def table_contents(home: Home, table_id: str) -> Counter[tuple[Any, ...]]:
    """Return a table's rows as a multiset, without the instant an event was written."""
    rows = database(home, table_id)
    columns = [c for c in catalogue().table(table_id).column_names if c != "recorded_at"]
    return Counter(rows.sql(f"SELECT {', '.join(columns)} FROM {table_id.replace('.', '_')}").fetchall())


def written_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
