"""Fuse: registrations and permits become organisations, by code and by name."""

from pathlib import Path

from bench import organisations, sql
from bench.world import Stage, Task, World
from jobs import fuse_divisions, fuse_organisations
from ronghe.contracts import catalogue
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.regions import leading_region, one_region, provinces_by_stem

RECORDS, REVIEW = "fused.link_organisation_record", "meta.link_review"
LINKS, TARGET = "fused.link_organisation_source", "fused.organisation"
_TABLES = (RECORDS, REVIEW, LINKS, TARGET)
_ATTRIBUTES = (
    *("organisation_name", "organisation_kind_code", "legal_representative_name", "contact_phone", "founded_date"),
    *("registered_capital_cny", "division_code", "address", "registration_status_code"),
)
_BRACKETS_FROM, _BRACKETS_TO = "（）﹙﹚【】〔〕［］[]", "()()()()()()"
_FORM = "^(.+?)(?:股份有限公司|有限责任公司|有限公司|农民专业合作社(?:联合社)?|\\((?:特殊)?(?:普通|有限)合伙\\))$"


def prepare(world: World) -> None:
    """Write three fifths registrations and two fifths permits, accepted, and the divisions."""
    registered = world.records * 3 // 5
    world.put(organisations.REGISTER, organisations.registrations(registered))
    world.put(organisations.PERMIT, organisations.permits(world.records - registered, registered // 2))
    for (_, feed), sign in zip(organisations.FEEDS.items(), "rp", strict=True):
        world.accept(feed, [f"{organisations.DELIVERY}-{sign}"])
    fuse_divisions.run(world.context())


def run(world: World) -> None:
    """Fuse the organisations."""
    fuse_organisations.run(world.context())


def task(world: World, out: Path) -> Task:
    """Name the records, the divisions and the key."""
    keys = KeyStore(world.home.keys).ensure(["purpose_organisation_id"])
    return Task(world.paths(organisations.REGISTER, organisations.PERMIT, "fused.division"), out, keys=keys)


def _comparable(column: str) -> str:
    # Of a sign listed twice the first place counts, so brackets come before the other signs of full width.
    wide = dict.fromkeys(_BRACKETS_FROM, "") | dict.fromkeys(sql.FULL_WIDTH[1:], "")
    folded = dict(zip(sql.FULL_WIDTH[1:], sql.ASCII[1:], strict=True)) | dict(
        zip(_BRACKETS_FROM, _BRACKETS_TO, strict=True)
    )
    new = "".join(folded[sign] for sign in wide)
    return f"upper({sql.translated(column, ''.join(wide) + sql.UNSEEN, new)})"


def _core(name: str) -> str:
    """Return the core of a comparable name, null where it has none."""
    # RE2 never goes back, so it knows no possessive marks.
    one, leading = (pattern.replace("?+", "?") for pattern in (one_region(), leading_region()))
    stem = f"CASE WHEN {name} LIKE '%分公司%' THEN '' ELSE regexp_extract({name}, '{_FORM}', 1) END"
    inside = f"\\({one}\\)"
    without = (
        f"CASE WHEN regexp_matches(stem, '{inside}') THEN regexp_replace(stem, '{inside}', '', 'g') "
        f"ELSE regexp_replace(stem, '^{leading}', '') END"
    )
    return (
        f"(SELECT CASE WHEN length(core) >= 3 THEN core END FROM (SELECT translate({without}, '()', '') AS core "
        f"FROM (SELECT {stem} AS stem)))"
    )


def _province(name: str) -> str:
    one = one_region().replace("?+", "?")
    return (
        f"coalesce(nullif(regexp_extract({name}, '\\({one}\\)', 1), ''), "
        f"nullif(regexp_extract({name}, '^{one}', 1), ''))"
    )


def twin(task: Task) -> None:
    """Gather, identify, match names, merge."""
    connection = task.database()
    run = connection.execute
    run(f"CREATE TABLE key AS SELECT * FROM {sql.key_values(dict(task.keys))}")
    stems = ", ".join(f"('{stem}', '{code}')" for stem, code in provinces_by_stem().items())
    run(f"CREATE TABLE region AS SELECT * FROM (VALUES {stems}) t(stem, province)")
    register = ", ".join(_ATTRIBUTES)
    run(f"""
        CREATE TABLE record AS
        WITH gathered AS (
            SELECT uscc, {register}, approved_date AS updated_date, source_code, 'std.organisation' AS table_name,
                   90 AS trust, delivery_id, record_number FROM std_organisation
            UNION ALL BY NAME
            SELECT uscc, organisation_name, legal_representative_name, contact_phone,
                   (issued_at AT TIME ZONE 'UTC')::DATE AS updated_date, source_code, 'std.permit' AS table_name,
                   70 AS trust, delivery_id, record_number FROM std_permit)
        SELECT g.* REPLACE ({_comparable("organisation_name")} AS organisation_name),
               CASE WHEN uscc IS NOT NULL
                    THEN 'org_' || substr({sql.hmac("uscc", "inner_pad", "outer_pad")}, 1, 32) END AS organisation_id
        FROM gathered g, key""")
    run(f"""
        CREATE TABLE named AS
        WITH distinct_name AS (SELECT DISTINCT organisation_name AS name FROM record)
        SELECT name, {_core("name")} AS core, {_province("name")} AS stem FROM distinct_name""")
    run("""
        CREATE TABLE matched AS
        WITH company AS (
            SELECT organisation_id FROM record WHERE organisation_id IS NOT NULL GROUP BY 1
            HAVING NOT bool_or(coalesce(organisation_kind_code = 'sole_trader', false))),
        bearer AS (
            SELECT DISTINCT r.organisation_id, uscc, core FROM record r JOIN named ON name = organisation_name
            SEMI JOIN company USING (organisation_id) WHERE uscc NOT LIKE '92%' AND core IS NOT NULL),
        wanted AS (
            SELECT table_name, delivery_id, record_number, source_code, core, province
            FROM record JOIN named ON name = organisation_name LEFT JOIN region USING (stem) WHERE uscc IS NULL)
        SELECT w.table_name, w.delivery_id, w.record_number, w.source_code, w.core,
               count(DISTINCT b.organisation_id) AS candidate_count, min(b.organisation_id) AS organisation_id,
               min(b.uscc) AS uscc
        FROM wanted w LEFT JOIN bearer b ON b.core = w.core AND (province IS NULL OR province = substr(b.uscc, 3, 2))
        GROUP BY ALL""")
    record = "table_name, delivery_id, record_number, source_code"
    task.write(
        connection,
        RECORDS,
        f"SELECT {record}, organisation_id, 'name' AS link_rule_code FROM matched WHERE candidate_count = 1",
    )
    task.write(
        connection,
        REVIEW,
        f"SELECT {record}, CASE WHEN core IS NULL THEN 'no_legal_form' WHEN candidate_count = 0 THEN 'unknown' "
        "ELSE 'ambiguous' END AS link_review_reason_code, candidate_count FROM matched WHERE candidate_count <> 1",
    )
    task.write(
        connection,
        LINKS,
        """SELECT organisation_id, source_code, table_name, link_rule_code, uscc, count(*) AS record_count FROM (
               SELECT organisation_id, source_code, table_name, 'uscc' AS link_rule_code, uscc FROM record
               WHERE organisation_id IS NOT NULL UNION ALL
               SELECT organisation_id, source_code, table_name, 'name', uscc FROM matched WHERE candidate_count = 1)
           GROUP BY ALL""",
    )
    task.write(connection, TARGET, _merged())


def _merged() -> str:
    newest = "row(trust, updated_date, source_code, delivery_id, record_number)"
    best = ", ".join(f"arg_max({name}, {newest}) FILTER ({name} IS NOT NULL) AS {name}" for name in _ATTRIBUTES)
    return f"""
        WITH merged AS (
            SELECT organisation_id, uscc, {best}, max(updated_date) AS updated_date,
                   count(DISTINCT source_code) AS source_count, count(*) AS record_count
            FROM record WHERE organisation_id IS NOT NULL GROUP BY organisation_id, uscc),
        meaning AS (
            SELECT m.*, d.division_name, d.current_code AS current_division_code, row_number() OVER (
                PARTITION BY organisation_id ORDER BY coalesce(year(founded_date) BETWEEN coalesce(valid_from_year, 0)
                    AND coalesce(valid_to_year, 9999), false) DESC, coalesce(valid_to_year, 9999) DESC,
                    coalesce(valid_from_year, 0) DESC) AS place
            FROM merged m LEFT JOIN fused_division d USING (division_code))
        SELECT *, coalesce(organisation_kind_code = 'sole_trader', false) OR uscc LIKE '92%' AS is_sole_trader
        FROM meaning WHERE place = 1"""


STAGE = Stage(
    name="fuse",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={name: catalogue().table(name).column_names for name in _TABLES},
)
