"""What must hold of a lake after a night, whoever ran it: judged from the tables, by other means than the pipeline's.

Every function returns the faults it found as readable lines; an empty list is right.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import duckdb

from ronghe import stores
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
            connection.register(name, stores.dataset(stores.open_table(lake.path(table_id))).to_table())
        else:
            columns = ", ".join(f"NULL AS {c}" for c in catalogue().table(table_id).column_names)
            connection.sql(f"CREATE VIEW {name} AS SELECT {columns} WHERE false")
    return connection


# What rows of std tables stand: those of deliveries that their last event accepts; what was restated stands no more.
ACCEPTED = """delivery_id IN (SELECT delivery_id FROM meta_delivery GROUP BY delivery_id
                              HAVING arg_max(event_code, recorded_at) IN ('accepted', 'replayed'))"""


def paths_by_delivery(home: Home) -> dict[str, str]:
    rows = Lake(home, catalogue()).rows("meta.delivery", ["delivery_id", "path", "event_code"]).to_pylist()
    return {row["delivery_id"]: row["path"] for row in rows if row["event_code"] == "landed"}


def conservation_faults(home: Home) -> list[str]:
    """Each delivery's counts in the ledger equal the truth's, and those counted again from the tables."""
    ledger = Lake(home, catalogue()).rows("meta.delivery").to_pylist()
    # Two feeds may read one file, a member each.
    accepted = {(row["feed_id"], row["path"]): row for row in ledger if row["event_code"] == "accepted"}
    keys = {
        "read": "read_count",
        "accepted": "accepted_count",
        "deduplicated": "deduplicated_count",
        "quarantined": "quarantined_count",
    }
    faults = []
    for known in truth(home, "deliveries"):
        row = accepted.pop((known["feed"], known["path"]), None)
        found = {key: row[column] if row else None for key, column in keys.items()}
        if found != {key: known[key] for key in keys}:
            faults.append(f"{known['feed']} {known['path']}: found {found}, true are { {k: known[k] for k in keys} }")
    return faults + [f"{feed} {path}: accepted, but never delivered" for feed, path in accepted]


def fate_faults(home: Home) -> list[str]:
    """Each defect met its fate for its reason, and no other record did."""
    path_of = paths_by_delivery(home)
    tables = database(home, "meta.quarantine", "meta.duplicate")
    quarantined = {
        (feed, path_of[d], n): reasons
        for feed, d, n, reasons in tables.sql(
            "SELECT feed_id, delivery_id, record_number, reasons FROM meta_quarantine"
        ).fetchall()
    }
    duplicate = {
        (feed, path_of[d], n)
        for feed, d, n in tables.sql("SELECT feed_id, delivery_id, record_number FROM meta_duplicate").fetchall()
    }
    faults = []
    for known in truth(home, "defects"):
        place = (known["feed"], known["path"], known["record_number"])
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
        tables = database(home, table.id, "meta.quarantine", "meta.duplicate", "meta.delivery")
        accepted = f"(SELECT * FROM {name} WHERE {ACCEPTED})"
        fates = f"""
            SELECT delivery_id, record_number FROM {name}
            UNION ALL SELECT delivery_id, record_number FROM meta_quarantine WHERE feed_id = '{feed.id}'
            UNION ALL SELECT delivery_id, record_number FROM meta_duplicate WHERE feed_id = '{feed.id}'"""
        for what, keys, rows in (
            ("fates", "delivery_id, record_number", f"({fates})"),
            ("rows", ", ".join(table.primary_key), accepted),
        ):
            twice = tables.sql(
                f"SELECT count(*) FROM (SELECT 1 FROM {rows} GROUP BY {keys} HAVING count(*) > 1)"
            ).fetchall()[0][0]
            if twice:
                found.append(f"{table.id}: {twice} keys have more than one of {what}")
    return found


# How an outsider attributes a row to a published cell: the finest one shown that covers it. Kept apart from the gate.
_SWIPE_CELLS = """
    CREATE TEMP TABLE cell AS
    WITH swipe AS (
        SELECT s.source_code, l.place_kind_code, s.service_date, l.place_id, s.card_token,
               date_trunc('hour', s.swiped_at) AS hour_at, time_bucket(INTERVAL 15 MINUTE, s.swiped_at) AS quarter_at,
               CASE WHEN s.swipe_kind_code = 'metro_out' THEN 'out' ELSE 'in' END AS direction
        FROM std_swipe s JOIN fused_link_place_source l
          ON l.source_code = s.source_code
         AND l.place_kind_code = CASE WHEN s.swipe_kind_code = 'bus_in' THEN 'bus_stop' ELSE 'metro_station' END
         AND l.place_code IS NOT DISTINCT FROM s.place_code AND l.place_name IS NOT DISTINCT FROM s.place_name)
    SELECT s.*, CASE WHEN q.grain_code IS NOT NULL THEN 0 WHEN h.grain_code IS NOT NULL THEN 1
                     WHEN d.grain_code IS NOT NULL THEN 2 WHEN a.grain_code IS NOT NULL THEN 3 ELSE 4 END AS rung
    FROM swipe s
    LEFT JOIN mart_passenger_flow q ON q.grain_code = '15min' AND q.place_id = s.place_id
         AND q.service_date = s.service_date AND q.window_start_at = s.quarter_at
    LEFT JOIN mart_passenger_flow h ON h.grain_code = '1h' AND h.place_id = s.place_id
         AND h.service_date = s.service_date AND h.window_start_at = s.hour_at
    LEFT JOIN mart_passenger_flow d ON d.grain_code = 'day' AND d.place_id = s.place_id
         AND d.service_date = s.service_date
    LEFT JOIN mart_passenger_flow a ON a.grain_code = 'all_places' AND a.place_kind_code = s.place_kind_code
         AND a.service_date = s.service_date"""
_SWIPE_KEYS = (
    "place_kind_code, service_date, place_id, quarter_at",
    "place_kind_code, service_date, place_id, hour_at",
    "place_kind_code, service_date, place_id",
    "place_kind_code, service_date",
)

_ACCOUNT_CELLS = """
    CREATE TEMP TABLE cell AS
    WITH account AS (
        SELECT person_token, scheme_code, contribution_month, division_code AS county, left(division_code, 4) || '00'
               AS city, left(division_code, 2) || '0000' AS province, employer_cny, individual_cny
        FROM std_social_security_account
        QUALIFY row_number() OVER (PARTITION BY source_code, person_token, scheme_code, contribution_month
                                   ORDER BY settled_at DESC, delivery_id DESC, record_number DESC) = 1)
    SELECT a.*, CASE WHEN q.grain_code IS NOT NULL THEN 0 WHEN c.grain_code IS NOT NULL THEN 1
                     WHEN p.grain_code IS NOT NULL THEN 2 ELSE 3 END AS rung
    FROM account a
    LEFT JOIN mart_social_security q ON q.grain_code = 'county' AND q.division_code = a.county
         AND q.scheme_code = a.scheme_code AND q.contribution_month = a.contribution_month
    LEFT JOIN mart_social_security c ON c.grain_code = 'city' AND c.division_code = a.city
         AND c.scheme_code = a.scheme_code AND c.contribution_month = a.contribution_month
    LEFT JOIN mart_social_security p ON p.grain_code = 'province' AND p.division_code = a.province
         AND p.scheme_code = a.scheme_code AND p.contribution_month = a.contribution_month"""
_ACCOUNT_KEYS = (
    "scheme_code, contribution_month, county",
    "scheme_code, contribution_month, city",
    "scheme_code, contribution_month, province",
)


def _swipe_cells(home: Home) -> duckdb.DuckDBPyConnection:
    tables = database(home, "std.swipe", "fused.link_place_source", "mart.passenger_flow", "meta.gate_audit")
    tables.execute("SET TimeZone = 'UTC'")
    tables.execute(_SWIPE_CELLS)
    return tables


def _account_cells(home: Home) -> duckdb.DuckDBPyConnection:
    tables = database(home, "std.social_security_account", "mart.social_security", "meta.gate_audit")
    tables.execute(_ACCOUNT_CELLS)
    return tables


def passenger_flow_faults(home: Home) -> list[str]:
    """Every cell of the mart equals a recount of the swipes it covers, and what no cell covers is in the audit."""
    tables = _swipe_cells(home)
    recount = """
        SELECT place_kind_code, service_date, CASE WHEN rung < 3 THEN place_id END AS place_id,
               CASE rung WHEN 0 THEN quarter_at WHEN 1 THEN hour_at END AS window_start_at,
               ['15min', '1h', 'day', 'all_places'][rung + 1] AS grain_code,
               count(*) FILTER (direction = 'in') AS in_count,
               CASE WHEN place_kind_code = 'metro_station' THEN count(*) FILTER (direction = 'out') END AS out_count
        FROM cell WHERE rung < 4 GROUP BY 1, 2, 3, 4, 5"""
    columns = "place_kind_code, service_date, place_id, window_start_at, grain_code, in_count, out_count"
    return differences(tables, recount, f"SELECT {columns} FROM mart_passenger_flow") + suppressed_faults(
        tables, "mart.passenger_flow", 4
    )


def social_security_faults(home: Home) -> list[str]:
    """Every cell of the mart equals a recount of the accounts it covers, and what no cell covers is in the audit."""
    tables = _account_cells(home)
    recount = """
        SELECT [county, city, province][rung + 1] AS division_code, contribution_month, scheme_code,
               ['county', 'city', 'province'][rung + 1] AS grain_code, count(*) AS account_count,
               sum(employer_cny)::DECIMAL(18,2) AS employer_cny, sum(individual_cny)::DECIMAL(18,2) AS individual_cny
        FROM cell WHERE rung < 3 GROUP BY 1, 2, 3, 4"""
    columns = "division_code, contribution_month, scheme_code, grain_code, account_count, employer_cny, individual_cny"
    return differences(tables, recount, f"SELECT {columns} FROM mart_social_security") + suppressed_faults(
        tables, "mart.social_security", 3
    )


def differences(tables: duckdb.DuckDBPyConnection, one: str, other: str) -> list[str]:
    found = []
    for what, query in (("recounted", f"({one}) EXCEPT ALL ({other})"), ("shown", f"({other}) EXCEPT ALL ({one})")):
        found += [f"{what} only: {row}" for row in tables.sql(query).fetchall()]
    if not tables.sql(other).limit(1).fetchall():
        found.append("the mart is empty")
    return found


def suppressed_faults(tables: duckdb.DuckDBPyConnection, table_id: str, last: int) -> list[str]:
    """Compare what no cell covers with the newest audit of each part."""
    audited = tables.sql(
        f"SELECT coalesce(sum(record_count), 0) FROM meta_gate_audit "
        f"WHERE table_name = '{table_id}' AND grain_code = 'suppressed'"
    ).fetchall()[0][0]
    counted = tables.sql(f"SELECT count(*) FROM cell WHERE rung = {last}").fetchall()[0][0]
    return [] if audited == counted else [f"{table_id}: {counted} suppressed, the audit says {audited}"]


def disclosure_faults(home: Home) -> list[str]:
    """No shown cell is small, and no key is shown in part: a known total of any key leaves no small remainder."""
    swipes, accounts = _swipe_cells(home), _account_cells(home)
    by_direction = """
        SELECT least(count(DISTINCT card_token) FILTER (direction = 'in'),
                     CASE WHEN place_kind_code = 'metro_station'
                          THEN count(DISTINCT card_token) FILTER (direction = 'out') END) AS n
        FROM cell WHERE rung < 4
        GROUP BY place_kind_code, service_date, rung, CASE WHEN rung < 3 THEN place_id END,
                 CASE rung WHEN 0 THEN quarter_at WHEN 1 THEN hour_at END"""
    by_person = """
        SELECT count(DISTINCT person_token) AS n FROM cell WHERE rung < 3
        GROUP BY scheme_code, contribution_month, rung, [county, city, province][rung + 1]"""
    faults = []
    for name, tables, sizes, keys in (
        ("mart.passenger_flow", swipes, by_direction, _SWIPE_KEYS),
        ("mart.social_security", accounts, by_person, _ACCOUNT_KEYS),
    ):
        small = tables.sql(f"SELECT count(*) FROM ({sizes}) WHERE n < 10").fetchall()[0][0]
        if small:
            faults.append(f"{name}: {small} cells count fewer than 10")
        for rung, key in enumerate(keys):
            in_part = f"SELECT 1 FROM cell GROUP BY {key} HAVING min(rung) <= {rung} AND max(rung) > {rung}"
            parts = tables.sql(f"SELECT count(*) FROM ({in_part})").fetchall()[0][0]
            if parts:
                faults.append(f"{name}: {parts} keys ({key}) are shown in part")
    return faults


def table_contents(home: Home, table_id: str, names: Mapping[Any, Any] | None = None) -> Counter[tuple[Any, ...]]:
    """Return a table's rows as a multiset, without the instant an event was written and what follows from it.

    The state that was judged names the write of its rows, and that the instant their deliveries were claimed.

    Args:
        home: whose table it is.
        table_id: the table.
        names: what takes the place of values that homes with the same deliveries need not share.
    """
    rows = database(home, table_id)
    of_the_clock = {"recorded_at", *(("state",) if table_id == "meta.quality" else ())}
    columns = [c for c in catalogue().table(table_id).column_names if c not in of_the_clock]
    found = rows.sql(f"SELECT {', '.join(columns)} FROM {table_id.replace('.', '_')}").fetchall()
    return Counter(tuple(names.get(cell, cell) for cell in row) if names else row for row in found)
