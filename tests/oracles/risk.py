"""The risk index counted again from std, in DuckDB and pandas, and held against the truth of the simulation.

What is declared (goalposts, weights, directions) is read; how it is counted and brought together is written out here.
"""

import duckdb
import pandas as pd

from ronghe.contracts import catalogue
from ronghe.home import Home
from tests.oracles import database, truth

INDEX = "cyber"
TABLES = (
    *("std.host_scan", "std.known_exploited_vulnerability", "std.exploit_prediction", "std.network_event"),
    *("std.security_survey", "std.threat_object", "meta.delivery", "mart.risk_indicator", "mart.risk_index"),
)
KEY = ["unit_code", "period_end_date"]
_TOLERANCE = 1e-6

_WEEK = "CAST(date_trunc('week', business_date) + INTERVAL 6 DAY AS DATE)"
_HOSTS = f"""
    WITH host AS (SELECT *, {_WEEK} AS week, delivery_id || record_number AS id FROM std_host_scan),
    weak AS (
        SELECT h.id, h.week, unnest(list_distinct(from_json(h.cve_codes_text, '["VARCHAR"]'))) AS cve FROM host h),
    score AS (
        SELECT w.id, w.week, w.cve,
               (SELECT count(*) FROM std_known_exploited_vulnerability k
                WHERE k.cve_code = w.cve AND k.added_date <= w.week AND k.business_date <= w.week) > 0 AS listed,
               coalesce((SELECT arg_max(e.exploit_probability, e.business_date) FROM std_exploit_prediction e
                         WHERE e.cve_code = w.cve AND e.business_date <= w.week), 0) AS p
        FROM weak w),
    host_score AS (
        SELECT id, bool_or(listed) AS listed, max(p) AS p, 1 - product(1 - p) AS any_p FROM score GROUP BY id)
    SELECT h.week AS period_end_date, h.region_code, count(*) AS hosts, sum(open_service_count) AS services,
           count(*) FILTER (has_open_database) AS databases, count(*) FILTER (is_end_of_life) AS ended,
           count(*) FILTER (control_service_count > 0) AS controls, count(*) FILTER (s.listed) AS listed,
           count(*) FILTER (s.p >= 0.1) AS likely, coalesce(sum(s.any_p), 0) AS any_p
    FROM host h LEFT JOIN host_score s USING (id) GROUP BY ALL"""
_SENSORS = f"""
    WITH event AS (SELECT *, {_WEEK} AS week FROM std_network_event WHERE region_code || sensor_code IS NOT NULL),
    alive AS (SELECT DISTINCT week, region_code, sensor_code, business_date FROM event WHERE event_kind_code = 'stats'),
    sensors AS (SELECT week, region_code, count(DISTINCT sensor_code) AS n FROM event GROUP BY ALL),
    days AS (SELECT week, count(DISTINCT business_date) AS n FROM event GROUP BY 1),
    alert AS (SELECT e.* FROM event e SEMI JOIN alive USING (region_code, sensor_code, business_date)
              WHERE event_kind_code = 'alert')
    SELECT d.week AS period_end_date, s.region_code, s.n * d.n AS expected,
           (SELECT count(*) FROM alive a WHERE a.week = d.week AND a.region_code = s.region_code) AS alive,
           (SELECT count(*) FROM alert a WHERE a.week = d.week AND a.region_code = s.region_code AND severity_level = 1)
               AS severe,
           (SELECT count(*) FROM alert a WHERE a.week = d.week AND a.region_code = s.region_code AND category_name IN
               ('Detection of a Network Scan', 'Attempted Information Leak')) AS scans,
           (SELECT count(DISTINCT (sensor_code, business_date, attacker_token)) FROM alert a WHERE a.week = d.week
               AND a.region_code = s.region_code AND attacker_token IS NOT NULL) AS attackers
    FROM sensors s JOIN days d USING (week)"""
_SIGHTINGS = f"""
    WITH seen AS (
        SELECT {_WEEK} AS week, sighting_count AS n, unnest(from_json(sighted_at_text, '["VARCHAR"]')) AS place
        FROM std_threat_object WHERE threat_object_kind_code = 'sighting')
    SELECT s.week AS period_end_date, t.region_code, sum(s.n) AS sightings
    FROM seen s JOIN std_threat_object t ON t.object_code = s.place GROUP BY ALL"""
_SURVEY = f"""
    SELECT {_WEEK} AS period_end_date, region_code AS unit_code, survey_indicator_code AS question, reported_value,
           base_value
    FROM std_security_survey"""
# Indicator: numerator, denominator (columns of the hosts' and sensors' counts), factor.
_RATES = {
    "open_service_rate": ("services", "hosts", 1),
    "open_database_share": ("databases", "hosts", 100),
    "end_of_life_share": ("ended", "hosts", 100),
    "control_service_share": ("controls", "hosts", 100),
    "known_exploited_share": ("listed", "hosts", 100),
    "likely_exploited_share": ("likely", "hosts", 100),
    "exploit_probability": ("any_p", "hosts", 1),
    "severe_alert_rate": ("severe", "alive", 1),
    "scan_alert_rate": ("scans", "alive", 1),
    "attacker_rate": ("attackers", "alive", 1),
}
_ANSWERS = {
    "incident_rate": ("incident", 1000),
    "defacement_rate": ("defaced_site", 1000),
    "patch_share": ("patched_system", 100),
    "protection_share": ("protected_endpoint", 100),
    "backup_share": ("tested_backup", 100),
    "filing_share": ("filed_system", 100),
    "drill_share": ("drill", 100),
    "staff_rate": ("security_staff", 1000),
    "budget_share": ("security_budget", 100),
}
_SHRUNK = ("sighting_rate", "incident_rate", "defacement_rate")


def risk_index_faults(home: Home) -> list[str]:
    """Every cell and score of the two marts equals a recount, and ranks follow from the scores that are shown."""
    tables = _accepted(home)
    shown = tables.sql(f"SELECT * FROM mart_risk_indicator WHERE index_code = '{INDEX}'").df()
    scores = tables.sql(f"SELECT * FROM mart_risk_index WHERE index_code = '{INDEX}'").df()
    if shown.empty or scores.empty:
        return ["a mart of the risk index is empty"]
    for frame in (shown, scores):
        frame["period_end_date"] = pd.to_datetime(frame["period_end_date"])
    cells = _cells(tables, scores[[*KEY, "tier_code"]])
    return [*_cell_faults(cells, shown), *_score_faults(cells, scores), *_rank_faults(scores)]


def rank_correlation(home: Home) -> float:
    """Return Spearman's correlation of the newest week's scores with the true risks, in the tier where it is lower."""
    tables = database(home, "mart.risk_index")
    scores = tables.sql(f"SELECT * FROM mart_risk_index WHERE index_code = '{INDEX}' AND is_ranked").df()
    newest = scores[scores["period_end_date"] == scores["period_end_date"].max()]
    known = newest.merge(pd.DataFrame(truth(home, "risk")), on="unit_code")
    return min(float(t["score"].rank().corr(t["true_risk"].rank())) for _, t in known.groupby("tier_code"))


def _accepted(home: Home) -> duckdb.DuckDBPyConnection:
    """Open the tables, of std the rows of accepted deliveries only."""
    tables = database(home, *TABLES)
    accepted = "SELECT delivery_id FROM meta_delivery WHERE event_code = 'accepted'"
    for name in (t.replace(".", "_") for t in TABLES if t.startswith("std.")):
        tables.sql(f"CREATE TEMP TABLE kept AS SELECT * FROM {name} WHERE delivery_id IN ({accepted})")
        tables.unregister(name)
        tables.sql(f"ALTER TABLE kept RENAME TO {name}")
    return tables


def _cells(tables: duckdb.DuckDBPyConnection, units: pd.DataFrame) -> pd.DataFrame:
    """Return unit, week, indicator, tier, raw, used and normalised, counted again."""
    counted = [_with_provinces(tables.sql(query).df()) for query in (_HOSTS, _SENSORS)]
    parts = []
    for name, (numerator, denominator, factor) in _RATES.items():
        frame = next(f for f in counted if numerator in f)
        part = frame.assign(indicator_code=name, n=frame[numerator], d=frame[denominator], factor=factor)
        if denominator == "alive":
            part = part[part["alive"] >= 0.5 * part["expected"]]
        parts.append(part)
    answers = tables.sql(_SURVEY).df()
    for name, (question, factor) in _ANSWERS.items():
        asked = answers[answers["question"] == question]
        parts.append(asked.assign(indicator_code=name, n=asked["reported_value"], d=asked["base_value"], factor=factor))
    days = answers[answers["question"] == "containment_time"]
    parts.append(days.assign(indicator_code="containment_time", n=days["reported_value"], d=1, factor=1))
    parts.append(_sightings(tables, answers, units))
    known = pd.concat(parts)[[*KEY, "indicator_code", "n", "d", "factor"]]
    known["period_end_date"] = pd.to_datetime(known["period_end_date"])
    indicators = pd.DataFrame([i.model_dump() | i.goalposts.model_dump() for i in catalogue().index(INDEX).indicators])
    declared = indicators.rename(columns={"code": "indicator_code"})[
        ["indicator_code", "family", "direction", "weight", "minimum", "maximum"]
    ]
    cells = units.merge(declared, how="cross").merge(known, how="left", on=[*KEY, "indicator_code"])
    cells["raw"] = cells["n"] / cells["d"].where(cells["d"] > 0) * cells["factor"]
    cells["used"] = cells["raw"]
    groups = ["period_end_date", "tier_code"]
    for _, part in cells[cells["indicator_code"].isin(_SHRUNK)].groupby([*groups, "indicator_code"]):
        cells.loc[part.index, "used"] = _marshall(part)
    own = cells.groupby([*groups, "indicator_code"])["used"].transform("median")
    cells["used"] = cells["used"].fillna(own)
    share = ((cells["used"] - cells["minimum"]) / (cells["maximum"] - cells["minimum"])).clip(0, 1)
    cells["normalised"] = 1 + 99 * share.where(cells["direction"] > 0, 1 - share)
    return cells


def _with_provinces(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of cities to those of their provinces."""
    own = frame.assign(unit_code=frame["region_code"])
    above = own[~own["unit_code"].str.endswith("0000")]
    above = above.assign(unit_code=above["unit_code"].str[:2] + "0000")
    return pd.concat([own, above]).groupby(KEY).sum(numeric_only=True).reset_index()


def _sightings(tables: duckdb.DuckDBPyConnection, answers: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Return sightings by systems: in a week with reports, a unit without one has none."""
    seen = _with_provinces(tables.sql(_SIGHTINGS).df())
    systems = answers[answers["question"] == "incident"][[*KEY, "base_value"]]
    for frame in (seen, systems):
        frame["period_end_date"] = pd.to_datetime(frame["period_end_date"])
    found = units[units["period_end_date"].isin(seen["period_end_date"])].merge(seen, how="left", on=KEY)
    found = found.merge(systems, how="left", on=KEY)
    return found.assign(
        indicator_code="sighting_rate", n=found["sightings"].fillna(0), d=found["base_value"], factor=1000
    )


def _marshall(part: pd.DataFrame) -> pd.Series:
    """Draw rates towards their mean, as Marshall (1991) writes it: by weight, not by prior."""
    known = part[part["d"] > 0].dropna(subset=["n", "d"])
    mean = known["n"].sum() / known["d"].sum()
    rate = known["n"] / known["d"]
    spread = (known["d"] * (rate - mean) ** 2).sum() / known["d"].sum() - mean / known["d"].mean()
    weight = 0.0 if spread <= 0 else spread / (spread + mean / known["d"])
    return ((mean + weight * (rate - mean)) * known["factor"]).reindex(part.index)


def _cell_faults(cells: pd.DataFrame, shown: pd.DataFrame) -> list[str]:
    both = cells.merge(shown, how="outer", on=[*KEY, "indicator_code"], suffixes=("", "_shown"), indicator=True)
    faults = [f"{len(rest)} cells are {side}" for side, rest in both.groupby("_merge", observed=True) if side != "both"]
    for column, name in (("raw", "raw_value"), ("used", "used_value"), ("normalised", "normalised_value")):
        differs = (both[column] - both[name]).abs() > _TOLERANCE * (1 + both[column].abs())
        differs |= both[column].isna() != both[name].isna()
        faults += [
            f"{row.unit_code} {row.period_end_date:%F} {row.indicator_code}: {name} is {getattr(row, name)}, "
            f"counted {getattr(row, column)}"
            for row in both[differs].itertuples()
        ]
    flagged = both["raw"].isna() & both["used"].notna()
    return faults + [f"{(flagged != both['is_imputed']).sum()} cells are flagged wrongly"] * bool(
        (flagged != both["is_imputed"]).any()
    )


def _score_faults(cells: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    index = catalogue().index(INDEX)
    known = cells.dropna(subset=["normalised"])
    weighted = known.assign(s=known["normalised"] * known["weight"]).groupby([*KEY, "family"])[["s", "weight"]].sum()
    family = (weighted["s"] / weighted["weight"]).unstack()
    weight = pd.Series({f.code: f.weight for f in index.families})
    sides = {
        "score": list(weight.index),
        "pressure_score": [f.code for f in index.families if f.side == "pressure"],
        "capacity_gap_score": [f.code for f in index.families if f.side == "capacity"],
        **{f"{code}_score": [code] for code in weight.index},
    }
    measured = cells.assign(known=cells["raw"].notna()).groupby(KEY)["known"].agg(["sum", "mean"])
    found = scores.set_index(KEY)
    faults = []
    for name, codes in sides.items():
        here = family.reindex(columns=codes)
        counted = (here * weight[codes]).sum(axis=1) / (here.notna() * weight[codes]).sum(axis=1)
        off = (found[name] - counted.reindex(found.index)).abs()
        # Shown scores are rounded to one decimal.
        faults += [f"{key}: {name} is {found[name][key]}, counted {counted[key]}" for key in off[off > 0.0500001].index]
    for name, counted in (
        ("indicator_count", measured["sum"]),
        ("is_ranked", measured["mean"] >= index.minimum_availability),
    ):
        wrong = found[name] != counted.reindex(found.index)
        faults += [f"{key}: {name} is {found[name][key]}" for key in found.index[wrong]]
    return faults


def _rank_faults(scores: pd.DataFrame) -> list[str]:
    ranked = scores[scores["is_ranked"]]
    counted = ranked.groupby(["period_end_date", "tier_code"])["score"].rank(method="min", ascending=False)
    faults = [f"{u}: ranked otherwise than its score" for u in ranked["unit_code"][ranked["rank"] != counted]]
    outside = (ranked["rank_low"] > ranked["rank"]) | (ranked["rank_high"] < ranked["rank"])
    faults += [f"{u}: its rank lies outside its interval" for u in ranked["unit_code"][outside]]
    unranked = scores[~scores["is_ranked"]]
    return faults + [f"{u}: has a rank and is not ranked" for u in unranked["unit_code"][unranked["rank"].notna()]]
