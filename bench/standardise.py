"""Standardise: raw swipes become rows of std, lines in quarantine, or known duplicates."""

from pathlib import Path

import duckdb

from bench import feeds, land, sql
from bench.world import DAYS, Stage, Task, World
from jobs import standardise_deliveries
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import raw_column
from ronghe.ingest.deliveries import discover
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.fates import CONTRADICTION

STD, QUARANTINE, DUPLICATE = "std.swipe", "meta.quarantine", "meta.duplicate"
_TABLES = (STD, QUARANTINE, DUPLICATE)
_KEY = "card_token, swiped_at, swipe_kind_code, device_code"
# What a swipe says beside its key.
_CONTENT = "row(service_date, line_name, place_code, place_name, longitude, latitude, fare_cny)"


def prepare(world: World) -> None:
    """Nothing: landing has left what is read."""


def run(world: World) -> None:
    """Standardise what was landed."""
    standardise_deliveries.run(world.context(feeds.FEED))


def task(world: World, out: Path) -> Task:
    """Name the raw rows, the days of their deliveries and the keys."""
    found = discover(world.catalogue.feed(feeds.FEED), world.home.landing)
    keys = KeyStore(world.home.keys).ensure(f"day_{day.isoformat()}" for day in DAYS)
    days = {delivery.delivery_id: delivery.business_date.isoformat() for delivery in found}
    return Task(world.paths(land.RAW), out, keys=keys, facts={"days": days})


def _code(raw: str) -> str:
    return f"upper({sql.translated(raw, sql.FULL_WIDTH[1:] + sql.UNSEEN, sql.ASCII[1:])})"


def _missing(raw: str, value: str) -> str:
    tokens = "('', '-', 'NULL')"
    return f"CASE WHEN trim({raw}) IN {tokens} OR {value} IN {tokens} THEN NULL ELSE {value} END"


def _gcj02_step(x: str, y: str) -> tuple[str, str]:
    """Return the shift in degrees that GCJ-02 adds at a point, in the formulas in common use."""
    a, ee = 6378245.0, 0.00669342162296594323
    u, v = f"({x} - 105.0)", f"({y} - 35.0)"
    waves = f"(20.0 * sin(6.0 * {u} * pi()) + 20.0 * sin(2.0 * {u} * pi())) * 2.0 / 3.0"
    north = (
        f"(-100.0 + 2.0 * {u} + 3.0 * {v} + 0.2 * {v} * {v} + 0.1 * {u} * {v} + 0.2 * sqrt(abs({u})) + {waves} + "
        f"(20.0 * sin({v} * pi()) + 40.0 * sin({v} / 3.0 * pi())) * 2.0 / 3.0 + "
        f"(160.0 * sin({v} / 12.0 * pi()) + 320.0 * sin({v} / 30.0 * pi())) * 2.0 / 3.0)"
    )
    east = (
        f"(300.0 + {u} + 2.0 * {v} + 0.1 * {u} * {u} + 0.1 * {u} * {v} + 0.1 * sqrt(abs({u})) + {waves} + "
        f"(20.0 * sin({u} * pi()) + 40.0 * sin({u} / 3.0 * pi())) * 2.0 / 3.0 + "
        f"(150.0 * sin({u} / 12.0 * pi()) + 300.0 * sin({u} / 30.0 * pi())) * 2.0 / 3.0)"
    )
    magic = f"(1 - {ee} * sin(radians({y})) * sin(radians({y})))"
    return (
        f"({east} * 180.0 / ({a} / sqrt({magic}) * cos(radians({y})) * pi()))",
        f"({north} * 180.0 / ({a} * (1 - {ee}) / ({magic} * sqrt({magic})) * pi()))",
    )


def _solve_positions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a table of each distinct position's WGS-84, by three steps; in one query the steps would be one formula."""
    connection.execute(
        "CREATE TABLE position AS SELECT DISTINCT longitude, latitude, longitude AS x, latitude AS y FROM standing"
    )
    dx, dy = _gcj02_step("x", "y")
    for _ in range(3):
        connection.execute(f"UPDATE position SET x = longitude - {dx}, y = latitude - {dy}")


def twin(task: Task) -> None:
    """Parse, judge, tokenise, hold apart what contradicts itself and deduplicate, then write the three tables."""
    connection = task.database()
    days = ", ".join(f"('{name}', DATE '{day}')" for name, day in task.facts["days"].items())
    spellings = ", ".join(f"('{a}', '{b}')" for a, b in catalogue().codeset("swipe_kind").spellings())
    connection.execute(f"CREATE TABLE spelling AS SELECT * FROM (VALUES {spellings}) t(spelling, code)")
    connection.execute(f"CREATE TABLE day AS SELECT * FROM (VALUES {days}) t(delivery_id, business_date)")
    connection.execute(f"CREATE TABLE key AS SELECT * FROM {sql.key_values(dict(task.keys))}")
    visible = sql.translated(sql.half_width("站点名称"), sql.ZERO_WIDTH, "")
    name = f"trim(regexp_replace({visible}, '[{sql.SPACE}]+', ' ', 'g'))"
    values = {
        "card": ("卡号", _code("卡号")),
        "at_text": ("交易时间", "交易时间"),
        "kind_text": ("交易类型", sql.half_width("交易类型")),
        "line_name": ("线路名称", sql.half_width("线路名称")),
        "place_code": ("站点编码", _code("站点编码")),
        "place_name": ("站点名称", name),
        "lon_text": ("经度", "经度"),
        "lat_text": ("纬度", "纬度"),
        "device_code": ("设备编号", _code("设备编号")),
        "fare_text": ("交易金额", sql.half_width("交易金额")),
        "service_text": ("结算日期", "结算日期"),
    }
    texts = ", ".join(f"{_missing(raw, value)} AS {alias}" for alias, (raw, value) in values.items())
    raw = [raw_column(column) for column in catalogue().feed(feeds.FEED).column_names]
    connection.execute(f"""
        CREATE TABLE judged AS
        WITH text AS (
            SELECT r.*, d.business_date, {texts} FROM raw_shenzhen__swipe r JOIN day d USING (delivery_id)),
        typed AS (
            SELECT t.*, s.code AS swipe_kind_code,
                   try_strptime(at_text, '%Y-%m-%d %H:%M:%S') AS local_at,
                   try_strptime(service_text, '%Y%m%d')::DATE AS service_date,
                   try_cast(lon_text AS DOUBLE) AS longitude, try_cast(lat_text AS DOUBLE) AS latitude,
                   try_cast(fare_text AS DECIMAL(18, 2)) AS fare_cny
            FROM text t LEFT JOIN spelling s ON s.spelling = kind_text)
        SELECT *, local_at - INTERVAL 8 HOUR AS swiped_at, concat_ws(' ',
            CASE WHEN at_text IS NOT NULL AND local_at IS NULL THEN 'format:swiped_at' END,
            CASE WHEN kind_text IS NOT NULL AND swipe_kind_code IS NULL THEN 'code:swipe_kind_code' END,
            CASE WHEN lon_text IS NOT NULL AND longitude IS NULL THEN 'format:longitude' END,
            CASE WHEN lat_text IS NOT NULL AND latitude IS NULL THEN 'format:latitude' END,
            CASE WHEN fare_text IS NOT NULL AND fare_cny IS NULL THEN 'format:fare_cny' END,
            CASE WHEN service_text IS NOT NULL AND service_date IS NULL THEN 'format:service_date' END,
            CASE WHEN card IS NULL THEN 'required:card_token' END,
            CASE WHEN at_text IS NULL THEN 'required:swiped_at' END,
            CASE WHEN local_at::DATE > business_date + 1 THEN 'future:swiped_at' END,
            CASE WHEN kind_text IS NULL THEN 'required:swipe_kind_code' END,
            CASE WHEN device_code IS NULL THEN 'required:device_code' END,
            CASE WHEN service_text IS NULL THEN 'required:service_date' END,
            CASE WHEN service_date > business_date THEN 'future:service_date' END,
            CASE WHEN longitude NOT BETWEEN -180 AND 180 THEN 'range:longitude' END,
            CASE WHEN latitude NOT BETWEEN -90 AND 90 THEN 'range:latitude' END,
            CASE WHEN fare_text IS NULL THEN 'required:fare_cny' END,
            CASE WHEN fare_cny NOT BETWEEN 0 AND 1000 THEN 'range:fare_cny' END,
            CASE WHEN place_code IS NULL AND place_name IS NULL THEN 'any_of:place_code,place_name' END) AS reasons
        FROM typed""")
    cells = ", ".join(f'"{column}" := "{column}"' for column in raw)
    record = f"to_json(struct_pack({cells}))::VARCHAR"
    connection.execute(f"""
        CREATE TABLE token AS
        SELECT j.*, substr({sql.hmac("card", "k.inner_pad", "k.outer_pad")}, 1, 32) AS card_token
        FROM judged j JOIN key k ON k.key_id = strftime(service_date, 'day_%Y-%m-%d') WHERE reasons = ''""")
    # Rows of one day with equal keys and other content: few have a neighbour at all, and only those are compared.
    connection.execute(f"""
        CREATE TABLE contradicted AS
        WITH doubled AS (
            SELECT {_KEY}, business_date, {{'c': {_CONTENT}, 'd': delivery_id, 'n': record_number}} AS own
            FROM token SEMI JOIN (
                SELECT {_KEY}, business_date FROM token GROUP BY ALL HAVING count(*) > 1
            ) USING ({_KEY}, business_date)),
        sided AS (
            SELECT own, min(own) OVER day AS low, max(own) OVER day AS high
            FROM doubled WINDOW day AS (PARTITION BY {_KEY}, business_date))
        SELECT own.d AS delivery_id, own.n AS record_number, CASE WHEN low.c <> own.c THEN low ELSE high END AS other
        FROM sided WHERE low.c <> high.c""")
    connection.execute(f"""
        CREATE TABLE standing AS
        SELECT *, first_value({{'d': delivery_id, 'n': record_number}}) OVER (
            PARTITION BY {_KEY} ORDER BY business_date, delivery_id, record_number) AS kept
        FROM token ANTI JOIN contradicted USING (delivery_id, record_number)""")
    task.write(
        connection,
        QUARANTINE,
        f"""SELECT delivery_id, record_number, '{feeds.FEED}' AS feed_id, reasons, {record} AS record,
                   NULL AS other_delivery_id, NULL AS other_record_number FROM judged WHERE reasons <> ''
            UNION ALL BY NAME
            SELECT delivery_id, record_number, '{feeds.FEED}' AS feed_id, '{CONTRADICTION}' AS reasons,
                   {record} AS record, other.d AS other_delivery_id, other.n AS other_record_number
            FROM judged JOIN contradicted USING (delivery_id, record_number)""",
    )
    task.write(
        connection,
        DUPLICATE,
        f"SELECT delivery_id, record_number, '{feeds.FEED}' AS feed_id, kept.d AS kept_delivery_id, "
        "kept.n AS kept_record_number FROM standing WHERE (kept.d, kept.n) <> (delivery_id, record_number)",
    )
    _solve_positions(connection)
    task.write(
        connection,
        STD,
        """SELECT 'shenzhen' AS source_code, card_token, swiped_at, swipe_kind_code, device_code, service_date,
                   line_name, place_code, place_name, w.x AS longitude, w.y AS latitude, fare_cny,
                   delivery_id, record_number
            FROM standing s LEFT JOIN position w USING (longitude, latitude)
            WHERE (kept.d, kept.n) = (delivery_id, record_number)""",
    )


STAGE = Stage(
    name="standardise",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={name: catalogue().table(name).column_names for name in _TABLES},
)
