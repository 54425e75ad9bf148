"""Organisations: how well records were linked, judged by what the simulation knows."""

from typing import Any

import duckdb

from ronghe.home import Home
from tests.oracles import database, truth

_LINKED = """
    SELECT p.permit_code, p.uscc IS NULL AS uncoded, coalesce(c.uscc, n.uscc) AS linked
    FROM std_permit p
    SEMI JOIN (SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted') USING (delivery_id)
    LEFT JOIN fused_organisation c ON c.uscc = p.uscc
    LEFT JOIN fused_link_organisation_record r
      ON r.table_name = 'std.permit' AND r.delivery_id = p.delivery_id AND r.record_number = p.record_number
    LEFT JOIN fused_organisation n ON n.organisation_id = r.organisation_id"""
_TABLES = (
    "std.school",
    *("std.permit", "std.organisation", "std.social_security_account", "fused.organisation", "meta.delivery"),
    *("fused.link_organisation_record", "fused.link_organisation_source", "meta.link_review"),
)


def linkage_quality(home: Home, *, by_name: bool = False) -> tuple[float, float]:
    """Return precision and recall of the links of permits to organisations.

    Sole traders without a code count for no recall: they are persons, and to link them is refused (guard rail 1).

    Args:
        home: the home a night ran in.
        by_name: look at the permits without a code alone; of these, at organisations that some record knows by code,
            because nothing else can be linked.
    """
    tables = database(home, *_TABLES)
    holders = {row["permit_code"]: row for row in truth(home, "permit_holders")}
    known = {row[0] for row in tables.sql("SELECT uscc FROM fused_organisation").fetchall()}
    right = made = wanted = 0
    for permit, uncoded, linked in tables.sql(_LINKED).fetchall():
        if by_name and not uncoded:
            continue
        holder = holders[permit]
        made += linked is not None
        right += linked == holder["uscc"]
        possible = not (uncoded and holder["sole_trader"]) and (not by_name or holder["uscc"] in known)
        wanted += possible
    return right / made, right / wanted


def linkage_faults(home: Home) -> list[str]:
    """Every record without a code is linked by name or waits for a person, once, and no sole trader is linked so."""
    tables = database(home, *_TABLES)
    uncoded = " UNION ALL ".join(
        f"SELECT '{name}' AS table_name, delivery_id, record_number FROM {name.replace('.', '_')} "
        f"WHERE {code} IS NULL AND {label} IS NOT NULL AND delivery_id IN "
        "(SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted')"
        for name, code, label in (
            ("std.permit", "uscc", "organisation_name"),
            ("std.organisation", "uscc", "organisation_name"),
            ("std.social_security_account", "employer_uscc", "employer_name"),
            ("std.school", "uscc", "school_name"),
        )
    )
    placed = (
        "SELECT table_name, delivery_id, record_number FROM fused_link_organisation_record "
        "UNION ALL SELECT table_name, delivery_id, record_number FROM meta_link_review"
    )
    faults = [f"without a code, and neither linked nor to review: {row}" for row in _rest(tables, uncoded, placed)]
    faults += [f"linked or to review without need, or twice: {row}" for row in _rest(tables, placed, uncoded)]
    traders = tables.sql(
        "SELECT count(*) FROM fused_link_organisation_record JOIN fused_organisation USING (organisation_id) "
        "WHERE is_sole_trader"
    ).fetchall()[0][0]
    counted = tables.sql(
        "SELECT coalesce(sum(record_count), 0) - (SELECT count(*) FROM fused_link_organisation_record) "
        "FROM fused_link_organisation_source WHERE link_rule_code = 'name'"
    ).fetchall()[0][0]
    faults += [f"{traders} records are linked to sole traders by name"] if traders else []
    return faults + ([f"links by name count {counted} records too many"] if counted else [])


def _rest(tables: duckdb.DuckDBPyConnection, one: str, other: str) -> list[Any]:
    return tables.sql(f"({one}) EXCEPT ALL ({other})").limit(20).fetchall()
