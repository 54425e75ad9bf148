"""Gate: swipes become counts by place and quarter of an hour that nobody can be found in."""

from pathlib import Path

from bench import feeds, standardise
from bench.world import Stage, Task, World
from jobs import build_passenger_flow, fuse_places
from ronghe.contracts import catalogue
from ronghe.ingest.deliveries import discover

MART, LINKS = "mart.passenger_flow", "fused.link_place_source"
_MINIMUM = 10
# Rungs of the ladder, finest first, and the key that each drops.
_RUNGS = ("15min", "1h", "day", "all_places")
_KEYS = ("source_code", "place_kind_code", "service_date", "place_id", "hour_at", "quarter_at")


def prepare(world: World) -> None:
    """Accept what was standardised and link its places."""
    found = discover(world.catalogue.feed(feeds.FEED), world.home.landing)
    world.accept(feeds.FEED, [delivery.delivery_id for delivery in found])
    fuse_places.run(world.context())


def run(world: World) -> None:
    """Build the passenger flow."""
    build_passenger_flow.run(world.context())


def task(world: World, out: Path) -> Task:
    """Name the swipes and the links."""
    return Task(world.paths(standardise.STD, LINKS), out)


def twin(task: Task) -> None:
    """Follow the gate's rule (`src/ronghe/privacy/gate.py`) in SQL, one statement for each step of the ladder."""
    connection = task.database()
    connection.execute("""
        CREATE TABLE contribution AS
        SELECT l.source_code, l.place_kind_code, service_date, l.place_id, date_trunc('hour', s.swiped_at) AS hour_at,
               time_bucket(INTERVAL 15 MINUTE, s.swiped_at) AS quarter_at,
               CASE WHEN swipe_kind_code = 'metro_out' THEN 'out' ELSE 'in' END AS direction, card_token
        FROM std_swipe s JOIN fused_link_place_source l
          ON l.source_code = s.source_code AND l.place_code IS NOT DISTINCT FROM s.place_code
         AND l.place_name IS NOT DISTINCT FROM s.place_name
         AND l.place_kind_code = CASE WHEN swipe_kind_code = 'bus_in' THEN 'bus_stop' ELSE 'metro_station' END""")
    keys = ", ".join(_KEYS)
    connection.execute(f"""
        CREATE TABLE leaf AS SELECT *, size AS own, 0 AS rung, row_number() OVER () AS leaf FROM (
            SELECT {keys}, {_size("true")} AS size FROM contribution GROUP BY {keys})""")
    connection.execute(f"CREATE TABLE member AS SELECT c.*, leaf FROM contribution c JOIN leaf USING ({keys})")
    for rung in range(1, len(_RUNGS)):
        _climb(connection, rung)
    shown = ", ".join(
        f"CASE WHEN rung <= {last} THEN {key} END AS {key}" for key, last in zip(_KEYS, (3, 3, 3, 2, 1, 0), strict=True)
    )
    cell = ", ".join(_KEYS)
    task.write(
        connection,
        MART,
        f"""SELECT source_code, place_kind_code, service_date, place_id,
                   coalesce(quarter_at, hour_at) AS window_start_at,
                   ['{"', '".join(_RUNGS)}'][rung + 1] AS grain_code,
                   count(*) FILTER (direction = 'in') AS in_count,
                   CASE WHEN place_kind_code <> 'bus_stop' THEN count(*) FILTER (direction = 'out') END AS out_count
            FROM (SELECT rung, direction, {shown} FROM member JOIN (SELECT leaf, rung, size FROM leaf) USING (leaf)
                  WHERE size >= {_MINIMUM}) GROUP BY rung, {cell}""",
    )


def _size(counts: str) -> str:
    """Return the number of cards in the lesser direction; a bus tells boardings only."""
    seen = "count(DISTINCT card_token) FILTER (direction = '{}' AND {})"
    entered, left = seen.format("in", counts), seen.format("out", counts)
    return f"CASE WHEN place_kind_code = 'bus_stop' THEN {entered} ELSE least({entered}, {left}) END"


def _climb(connection: "object", rung: int) -> None:
    depth = len(_KEYS) - rung
    parent, child = ", ".join(_KEYS[:depth]), ", ".join(_KEYS[: depth + 1])
    run = connection.execute  # type: ignore[attr-defined]
    run(f"""
        CREATE OR REPLACE TABLE marked AS
        WITH weighed AS (SELECT *, size < {_MINIMUM} AS small, sum(own) OVER (PARTITION BY {child}) AS weight FROM leaf)
        SELECT *, bool_or(small) OVER (PARTITION BY {parent}) AS needed,
               coalesce(row(weight, {child}) = min(CASE WHEN NOT small THEN row(weight, {child}) END)
                        OVER (PARTITION BY {parent}) AND NOT small, false) AS offered
        FROM weighed""")
    run(f"""
        CREATE OR REPLACE TABLE rest AS
        SELECT {parent}, {_size("small")} AS alone, {_size("true")} AS joined
        FROM member JOIN (SELECT leaf, small FROM marked WHERE needed AND (small OR offered)) USING (leaf)
        GROUP BY {parent}""")
    run(f"""
        CREATE OR REPLACE TABLE leaf AS
        SELECT {", ".join(f"m.{key}" for key in _KEYS)}, leaf, own,
               CASE WHEN small OR (offered AND alone < {_MINIMUM})
                    THEN CASE WHEN alone < {_MINIMUM} THEN joined ELSE alone END ELSE size END AS size,
               CASE WHEN small OR (offered AND alone < {_MINIMUM}) THEN {rung} ELSE rung END AS rung
        FROM marked m LEFT JOIN rest USING ({parent})""")


STAGE = Stage(
    name="gate",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={MART: catalogue().table(MART).column_names},
)
