"""Index: a week of scanned hosts and sensors' events becomes the risk index of regions and cities."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench.feeds import draw
from bench.world import DAYS, Stage, Task, World
from jobs import build_risk_index
from ronghe.contracts import catalogue
from ronghe.risk import build, measure
from ronghe.risk.measure import Cell

MARTS = ("mart.risk_indicator", "mart.risk_index")
_FEEDS = {
    "std.host_scan": "cyberspace.host_scan",
    "std.network_event": "cyberspace.network_event",
    "std.known_exploited_vulnerability": "cyberspace.known_exploited",
    "std.exploit_prediction": "cyberspace.exploit_prediction",
    "std.security_survey": "cyberspace.security_survey",
    "std.threat_object": "cyberspace.threat_report",
}
_DAY = DAYS[-1].isoformat()
_LISTED, _PREDICTED, _SENSORS = 300, 2000, 10


def prepare(world: World) -> None:
    """Write half the records as hosts and half as events, with the small tables, all accepted."""
    units = [unit.code for unit in world.catalogue.codeset("risk_unit").codes]
    questions = [code.code for code in world.catalogue.codeset("survey_indicator").codes]
    hosts = world.records // 2
    for (table, feed), query in zip(
        _FEEDS.items(),
        (
            _hosts(hosts, units),
            _events(world.records - hosts, units),
            _listed(),
            _predicted(),
            _survey(units, questions),
            _threats(units),
        ),
        strict=True,
    ):
        delivery = f"bench-{table}"
        world.put(
            table,
            f"SELECT *, 'cyberspace' AS source_code, DATE '{_DAY}' AS business_date, '{delivery}' AS delivery_id, "
            f"row_number() OVER () AS record_number FROM ({query})",
        )
        world.accept(feed, [delivery])


def _one_of(values: list[str], name: str) -> str:
    return f"[{', '.join(repr(value) for value in values)}][1 + {draw(name, 0, len(values))}]"


def _cve(number: str) -> str:
    return f"printf('CVE-2026-%05d', {number})"


def _hosts(count: int, units: list[str]) -> str:
    cves = ", ".join(f"'\"' || {_cve(draw(f'cve{n}', 0, _PREDICTED * 2))} || '\"'" for n in range(3))
    return f"""
        SELECT md5('host' || i) AS host_token, TIMESTAMPTZ '{_DAY} 01:00:00+00' AS scanned_at,
               {_one_of(units, "region")} AS region_code, {draw("open", 0, 12)} AS open_service_count,
               {draw("control", 0, 8)} // 7 AS control_service_count, {draw("base", 0, 20)} = 0 AS has_open_database,
               {draw("end", 0, 5)} = 0 AS is_end_of_life,
               CASE WHEN {draw("weak", 0, 3)} > 0
                    THEN '[' || array_to_string(list_slice([{cves}], 1, 1 + {draw("many", 0, 3)}), ',') || ']' END
                   AS cve_codes_text
        FROM range({count}) r(i)"""


def _events(count: int, units: list[str]) -> str:
    unit = _one_of(units, "region")
    return f"""
        SELECT {unit} || '-' || {draw("sensor", 0, _SENSORS)} AS sensor_code,
               TIMESTAMPTZ '{_DAY} 00:00:00+00' + to_seconds({draw("second", 0, 60_000)}) AS observed_at,
               ['alert', 'alert', 'alert', 'flow', 'stats'][1 + {draw("kind", 0, 5)}] AS event_kind_code,
               {unit} AS region_code, md5('attacker' || {draw("attacker", 0, 50_000)}) AS attacker_token,
               ['Detection of a Network Scan', 'Attempted Information Leak', 'Misc activity'][1 + {draw("class", 0, 3)}]
                   AS category_name,
               {draw("severity", 1, 4)} AS severity_level
        FROM range({count}) r(i)"""


def _listed() -> str:
    return f"""SELECT {_cve("i * 7")} AS cve_code, 'vendor' AS vendor_name, 'product' AS product_name,
                      DATE '2026-01-05' AS added_date, 'unknown' AS ransomware_use_code FROM range({_LISTED}) r(i)"""


def _predicted() -> str:
    probability = draw("probability", 1, 400)
    return f"""SELECT {_cve("i")} AS cve_code, {probability} / 1000.0::DOUBLE AS exploit_probability
                FROM range({_PREDICTED}) r(i)"""


def _survey(units: list[str], questions: list[str]) -> str:
    asked = ", ".join(f"('{unit}', '{question}')" for unit in units for question in questions)
    return f"""
        SELECT region_code, question AS survey_indicator_code, DATE '{_DAY}' AS reported_until_date,
               (1 + hash(region_code, question) % 40)::DOUBLE AS reported_value, '1' AS unit_code,
               (1000 + hash(question, region_code) % 500)::DOUBLE AS base_value
        FROM (VALUES {asked}) t(region_code, question)"""


def _threats(units: list[str]) -> str:
    places = ", ".join(f"('location--{unit}', '{unit}')" for unit in units)
    return f"""
        SELECT object_code, TIMESTAMPTZ '{_DAY} 00:00:00+00' AS modified_at, 'location' AS threat_object_kind_code,
               region_code, NULL::VARCHAR AS sighted_at_text, NULL::BIGINT AS sighting_count
        FROM (VALUES {places}) t(object_code, region_code)
        UNION ALL
        SELECT 'sighting--' || object_code, TIMESTAMPTZ '{_DAY} 00:00:00+00', 'sighting', NULL,
               '["' || object_code || '"]', 1 + hash(object_code) % 20
        FROM (VALUES {places}) t(object_code, region_code)"""


def run(world: World) -> None:
    """Build the index."""
    build_risk_index.run(world.context())


def task(world: World, out: Path) -> Task:
    """Name the tables."""
    return Task(world.paths(*_FEEDS), out)


_HOSTS = """
    WITH weak AS (SELECT record_number, unnest(list_distinct(from_json(cve_codes_text, '["VARCHAR"]'))) AS cve_code
                  FROM std_host_scan),
    scored AS (
        SELECT weak.record_number, count(k.cve_code) AS listed, max(p.exploit_probability) AS highest,
               1 - exp(sum(ln(1 - least(coalesce(p.exploit_probability, 0), 0.999999)))) AS probability
        FROM weak LEFT JOIN (SELECT DISTINCT cve_code FROM std_known_exploited_vulnerability) k USING (cve_code)
             LEFT JOIN std_exploit_prediction p USING (cve_code) GROUP BY weak.record_number)
    SELECT unit_code, count(*) AS hosts, sum(open_service_count) AS services, count_if(has_open_database) AS databases,
           count_if(is_end_of_life) AS ended, count_if(control_service_count > 0) AS controls,
           count_if(listed > 0) AS listed, count_if(highest >= 0.1) AS likely,
           sum(coalesce(probability, 0)) AS probability
    FROM std_host_scan h LEFT JOIN scored USING (record_number) JOIN area USING (region_code) GROUP BY unit_code"""
_SENSOR_DAYS = """
    WITH day AS (
        SELECT region_code, sensor_code, business_date, count_if(event_kind_code = 'stats') > 0 AS alive,
               count_if(event_kind_code = 'alert' AND severity_level = 1) AS severe,
               count_if(event_kind_code = 'alert' AND category_name IN
                        ('Detection of a Network Scan', 'Attempted Information Leak')) AS scans,
               count(DISTINCT attacker_token) FILTER (event_kind_code = 'alert') AS attackers
        FROM std_network_event WHERE region_code IS NOT NULL AND sensor_code IS NOT NULL GROUP BY ALL),
    expected AS (
        SELECT * FROM (SELECT DISTINCT region_code, sensor_code FROM day), (SELECT DISTINCT business_date FROM day))
    SELECT unit_code, count_if(alive) AS alive, sum(severe) FILTER (alive) AS severe,
           sum(scans) FILTER (alive) AS scans,
           sum(attackers) FILTER (alive) AS attackers, avg(coalesce(alive, false)::INT) AS coverage
    FROM expected LEFT JOIN day USING (region_code, sensor_code, business_date) JOIN area USING (region_code)
    GROUP BY unit_code"""
_SIGHTINGS = """
    WITH place AS (SELECT object_code, region_code FROM std_threat_object WHERE threat_object_kind_code = 'location'),
    seen AS (SELECT sighting_count, unnest(from_json(sighted_at_text, '["VARCHAR"]')) AS object_code
             FROM std_threat_object WHERE threat_object_kind_code = 'sighting'),
    counted AS (SELECT unit_code, sum(sighting_count) AS n FROM seen JOIN place USING (object_code)
                JOIN area USING (region_code) GROUP BY unit_code)
    SELECT DISTINCT unit_code, coalesce(n, 0) AS n, base_value FROM area LEFT JOIN counted USING (unit_code)
    LEFT JOIN (SELECT region_code AS unit_code, base_value FROM std_security_survey
               WHERE survey_indicator_code = 'incident') USING (unit_code)"""
# Indicator: numerator, denominator, coverage, as columns of the queries above.
_RATES = {
    "open_service_rate": (_HOSTS, "services", "hosts", "NULL"),
    "open_database_share": (_HOSTS, "databases", "hosts", "NULL"),
    "end_of_life_share": (_HOSTS, "ended", "hosts", "NULL"),
    "control_service_share": (_HOSTS, "controls", "hosts", "NULL"),
    "known_exploited_share": (_HOSTS, "listed", "hosts", "NULL"),
    "likely_exploited_share": (_HOSTS, "likely", "hosts", "NULL"),
    "exploit_probability": (_HOSTS, "probability", "hosts", "NULL"),
    "severe_alert_rate": (_SENSOR_DAYS, "severe", "alive", "coverage"),
    "scan_alert_rate": (_SENSOR_DAYS, "scans", "alive", "coverage"),
    "attacker_rate": (_SENSOR_DAYS, "attackers", "alive", "coverage"),
    "sighting_rate": (_SIGHTINGS, "n", "base_value", "NULL"),
}
_ANSWERS = {
    "incident_rate": "incident",
    "defacement_rate": "defaced_site",
    "containment_time": "containment_time",
    "patch_share": "patched_system",
    "protection_share": "protected_endpoint",
    "backup_share": "tested_backup",
    "filing_share": "filed_system",
    "drill_share": "drill",
    "staff_rate": "security_staff",
    "budget_share": "security_budget",
}


def twin(task: Task) -> None:
    """Count the cells in DuckDB; scores and ranks are arrays in both programs, so the same functions make them."""
    connection = task.database()
    found = catalogue()
    index = found.index("cyber")
    units = measure.units(found, index)
    areas = [(unit.code, unit.code) for unit in units]
    areas += [(unit.code, f"{unit.code[:2]}0000") for unit in units if not unit.code.endswith("0000")]
    connection.execute(
        "CREATE TABLE area AS SELECT * FROM (VALUES " + ", ".join(map(str, areas)) + ") t(region_code, unit_code)"
    )
    cells = _counted(connection)
    for name, rows in zip(MARTS, build.rows(index, units, cells), strict=True):
        pq.write_table(pa.Table.from_pylist(rows), task.out / f"{name}.parquet", compression="zstd")


def _counted(connection: duckdb.DuckDBPyConnection) -> list[Cell]:
    names = {_HOSTS: "host", _SENSOR_DAYS: "sensor", _SIGHTINGS: "sighting"}
    for query, name in names.items():
        connection.execute(f"CREATE TABLE {name} AS {query}")
    cells = []
    for indicator, (query, numerator, denominator, coverage) in _RATES.items():
        asked = f"SELECT unit_code, {numerator}::DOUBLE, {denominator}::DOUBLE, {coverage}::DOUBLE FROM {names[query]}"
        cells += [Cell(DAYS[-1], unit, indicator, *rest) for unit, *rest in connection.execute(asked).fetchall()]
    for indicator, question in _ANSWERS.items():
        counted = "1.0" if indicator == "containment_time" else "base_value"
        asked = (
            f"SELECT region_code, reported_value, {counted} FROM std_security_survey WHERE survey_indicator_code = ?"
        )
        answers = connection.execute(asked, [question]).fetchall()
        cells += [Cell(DAYS[-1], unit, indicator, value, base, None) for unit, value, base in answers]
    return cells


STAGE = Stage(
    name="index",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={name: catalogue().table(name).column_names for name in MARTS},
)
