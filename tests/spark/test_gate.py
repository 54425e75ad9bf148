"""The disclosure gate, case by case, against a plain reading of its rule, and against an adversary.

Small cases have days, places and hours, k = 3, and count rows. `people(4, ...)` are four persons who are seen nowhere
else; a cell is written `(grain, day, place, hour): rows`.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pytest
from pydantic import ValidationError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ronghe.privacy import gate
from ronghe.privacy.gate import GateError, GatePolicy

pytestmark = pytest.mark.spark

K = 3
SCHEMA = "kind string, day string, place string, hour int, person string, direction string, persons int"
LADDER = [
    {"name": "1h", "keys": ["kind", "day", "place", "hour"]},
    {"name": "day", "keys": ["kind", "day", "place"]},
    {"name": "all_places", "keys": ["kind", "day"]},
]
PLAIN = GatePolicy.model_validate({"minimum_count": K, "contributor": "person", "rungs": LADDER})
ASPECTS = {"column": "direction", "kind": "kind", "measured": {"metro": ["in", "out"], "bus": ["in"]}}
DIRECTED = GatePolicy.model_validate({**PLAIN.model_dump(), "aspects": ASPECTS})
COUNTED = {"contributor": None, "weight": "persons"}
WEIGHED = GatePolicy.model_validate({**PLAIN.model_dump(), **COUNTED})
WEIGHED_DIRECTED = GatePolicy.model_validate({**DIRECTED.model_dump(), **COUNTED})


class Row(NamedTuple):
    kind: str
    day: str
    place: str
    hour: int
    person: str | None
    direction: str
    persons: int | None = 1


class Cell(NamedTuple):
    position: int
    keys: tuple[object, ...]


def people(
    count: int, place: str, hour: int, day: str = "mon", kind: str = "metro", direction: str = "in"
) -> list[Row]:
    """One row each for `count` persons who are seen only here."""
    names = [f"{kind}-{day}-{place}-{hour}-{direction}-{i}" for i in range(count)]
    return [Row(kind, day, place, hour, name, direction) for name in names]


def group(persons: int | None, place: str, hour: int, **known: str) -> Row:
    """One row that speaks for a number of persons."""
    return people(1, place, hour, **known)[0]._replace(person=None, persons=persons)


def contributions(spark: SparkSession, rows: Iterable[Row]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


def shown(assigned: DataFrame, policy: GatePolicy = PLAIN) -> dict[tuple[object, ...], int]:
    """Published row counts by (grain, day, place, hour)."""
    published = gate.publish(assigned, policy, {"row_count": "count(*)"}).collect()
    return {(r.grain_code, r.day, r.place, r.hour): r.row_count for r in published}


def audited(assigned: DataFrame, policy: GatePolicy = PLAIN) -> dict[str, tuple[int, int]]:
    return {r.grain_code: (r.cells, r.records) for r in gate.audit(assigned, policy).collect()}


# The rule, case by case ------------------------------------------------------------------------------------------


def test_cells_stay_finest_when_all_are_large(spark: SparkSession) -> None:
    assigned = gate.assign(contributions(spark, people(3, "A", 8) + people(5, "B", 9)), PLAIN)
    assert shown(assigned) == {("1h", "mon", "A", 8): 3, ("1h", "mon", "B", 9): 5}
    assert assigned.columns == [*Row._fields, "gate_rung"]


def test_small_cells_move_up_together_when_their_rest_is_large(spark: SparkSession) -> None:
    rows = people(2, "A", 8) + people(1, "A", 9) + people(6, "A", 10)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("day", "mon", "A", None): 3, ("1h", "mon", "A", 10): 6}


def test_small_rest_absorbs_the_smallest_sibling(spark: SparkSession) -> None:
    rows = people(1, "A", 8) + people(6, "A", 9) + people(4, "A", 10) + people(5, "A", 11)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {
        ("day", "mon", "A", None): 5,
        ("1h", "mon", "A", 9): 6,
        ("1h", "mon", "A", 11): 5,
    }


def test_small_rest_absorbs_the_first_key_when_siblings_tie(spark: SparkSession) -> None:
    rows = people(4, "A", 12) + people(4, "A", 10) + people(4, "A", 11) + people(1, "A", 23)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert ("1h", "mon", "A", 10) not in shown(assigned)
    assert shown(assigned)["day", "mon", "A", None] == 5


def test_climbing_rest_absorbs_the_first_key_when_keys_of_different_grain_tie(spark: SparkSession) -> None:
    coarser = people(2, "A", 8) + people(2, "A", 9)
    rows = coarser + people(4, "B", 8) + people(1, "C", 8)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("1h", "mon", "B", 8): 4, ("all_places", "mon", None, None): 5}


def test_climbing_rest_absorbs_a_place_whole(spark: SparkSession) -> None:
    rows = people(1, "A", 8) + people(3, "B", 8) + people(3, "B", 9) + people(9, "C", 8)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("all_places", "mon", None, None): 7, ("1h", "mon", "C", 8): 9}


def test_small_rest_climbs_when_nothing_is_shown_below(spark: SparkSession) -> None:
    rows = people(1, "A", 8) + people(1, "A", 9) + people(2, "B", 8) + people(7, "C", 8)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("all_places", "mon", None, None): 4, ("1h", "mon", "C", 8): 7}


def test_climbing_rest_absorbs_a_whole_rest_cell_of_another_key(spark: SparkSession) -> None:
    rows = people(1, "A", 8) + people(2, "B", 8) + people(2, "B", 9) + people(9, "C", 8)
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("all_places", "mon", None, None): 5, ("1h", "mon", "C", 8): 9}


def test_whole_key_is_suppressed_when_it_is_small(spark: SparkSession) -> None:
    rows = people(1, "A", 8) + people(1, "B", 8) + people(3, "A", 8, day="tue")
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("1h", "tue", "A", 8): 3}
    assert audited(assigned) == {"1h": (1, 3), "day": (0, 0), "all_places": (0, 0), "suppressed": (1, 2)}


def test_audit_counts_each_day_by_itself_when_asked(spark: SparkSession) -> None:
    rows = people(2, "A", 8) + people(3, "A", 8, day="tue") + people(1, "A", 9, day="tue")
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    lines = {(r.day, r.grain_code): (r.cells, r.records) for r in gate.audit(assigned, PLAIN, by="day").collect()}
    assert {key: line for key, line in lines.items() if line != (0, 0)} == {
        ("mon", "suppressed"): (1, 2),
        ("tue", "day"): (1, 4),
    }
    assert len(lines) == 8
    with pytest.raises(GateError, match="'hour'"):
        gate.audit(assigned, PLAIN, by="hour")


def test_nothing_is_published_when_nothing_came(spark: SparkSession) -> None:
    assigned = gate.assign(contributions(spark, []), DIRECTED)
    assert shown(assigned, DIRECTED) == {}
    assert set(audited(assigned, DIRECTED).values()) == {(0, 0)}


def test_small_cell_is_suppressed_when_the_ladder_has_one_rung(spark: SparkSession) -> None:
    policy = GatePolicy.model_validate({**PLAIN.model_dump(), "rungs": LADDER[:1]})
    assigned = gate.assign(contributions(spark, people(2, "A", 8) + people(3, "A", 9)), policy)
    assert shown(assigned, policy) == {("1h", "mon", "A", 9): 3}


def test_size_counts_persons_and_not_rows(spark: SparkSession) -> None:
    rows = people(2, "A", 8) * 5 + people(3, "A", 9) * 2
    assigned = gate.assign(contributions(spark, rows), PLAIN)
    assert shown(assigned) == {("day", "mon", "A", None): 16}


def test_rest_counts_a_person_of_two_small_cells_once(spark: SparkSession) -> None:
    twice = [row._replace(person=f"p{i}") for hour in (8, 9) for i, row in enumerate(people(2, "A", hour))]
    assigned = gate.assign(contributions(spark, twice + people(5, "B", 8)), PLAIN)
    assert shown(assigned) == {("all_places", "mon", None, None): 9}


def test_row_without_contributor_is_counted_and_adds_no_person(spark: SparkSession) -> None:
    unknown = [row._replace(person=None) for row in people(9, "A", 8)]
    rows = unknown + people(2, "A", 8) + people(3, "A", 9) + unknown[:1] * 3
    assert shown(gate.assign(contributions(spark, rows), PLAIN)) == {("day", "mon", "A", None): 17}
    assert audited(gate.assign(contributions(spark, unknown), PLAIN))["suppressed"] == (1, 9)


def test_cell_moves_up_when_one_measured_direction_is_small(spark: SparkSession) -> None:
    eight = people(9, "A", 8) + people(2, "A", 8, direction="out")
    nine = people(9, "A", 9) + people(3, "A", 9, direction="out")
    ten = people(3, "A", 10)
    assigned = gate.assign(contributions(spark, eight + nine + ten), DIRECTED)
    assert shown(assigned, DIRECTED) == {("day", "mon", "A", None): 26}
    assert shown(gate.assign(contributions(spark, eight + nine + ten), PLAIN)).keys() == {
        ("1h", "mon", "A", hour) for hour in (8, 9, 10)
    }


def test_direction_that_is_not_measured_is_not_asked_for(spark: SparkSession) -> None:
    rows = people(3, "A", 8, kind="bus") + people(3, "A", 8, kind="metro")
    assigned = gate.assign(contributions(spark, rows), DIRECTED)
    assert [r.kind for r in gate.publish(assigned, DIRECTED, {"n": "count(*)"}).collect()] == ["bus"]
    assert audited(assigned, DIRECTED)["suppressed"] == (1, 3)


def test_size_is_the_sum_of_weights_when_rows_come_counted(spark: SparkSession) -> None:
    rows = [group(2, "A", 8), group(3, "A", 9), group(1, "A", 10), group(2, "B", 8), group(1, "B", 8)]
    assigned = gate.assign(contributions(spark, rows), WEIGHED)
    assert shown(assigned, WEIGHED) == {
        ("day", "mon", "A", None): 2,
        ("1h", "mon", "A", 9): 1,
        ("1h", "mon", "B", 8): 2,
    }


def test_row_of_weight_zero_is_counted_and_adds_no_person(spark: SparkSession) -> None:
    rows = [*[group(0, "A", 8)] * 9, group(2, "A", 8), group(3, "A", 9)]
    assert shown(gate.assign(contributions(spark, rows), WEIGHED), WEIGHED) == {("day", "mon", "A", None): 11}
    nobody = gate.assign(contributions(spark, [group(0, "A", 8)] * 9), WEIGHED)
    assert audited(nobody, WEIGHED)["suppressed"] == (1, 9)


def test_cell_moves_up_when_one_measured_group_is_small(spark: SparkSession) -> None:
    """As pupils and teachers: a cell with many of the one and few of the other shows neither."""
    eight = [group(90, "A", 8), group(2, "A", 8, direction="out")]
    nine = [group(90, "A", 9), group(3, "A", 9, direction="out")]
    assigned = gate.assign(contributions(spark, [*eight, *nine, group(5, "B", 8)]), WEIGHED_DIRECTED)
    assert shown(assigned, WEIGHED_DIRECTED) == {("all_places", "mon", None, None): 5}


def test_cell_carries_the_coarser_columns_that_its_keys_determine(spark: SparkSession) -> None:
    grid = spark.createDataFrame(
        [(f"p{i}", *place) for i, place in enumerate([("a1", "a")] * 3 + [("b1", "b"), ("c1", "c")])],
        "person string, place string, district string",
    )
    rungs = [
        {"name": "place", "keys": ["place"]},
        {"name": "district", "keys": ["district"]},
        {"name": "city", "keys": ["city"]},
    ]
    policy = GatePolicy.model_validate({**PLAIN.model_dump(), "minimum_count": 2, "rungs": rungs})
    assigned = gate.assign(grid.withColumn("city", F.lit("x")), policy)
    published = gate.publish(assigned, policy, {"n": "count(*)"})
    assert published.columns == ["place", "district", "city", "grain_code", "n"]
    assert {tuple(row) for row in published.collect()} == {
        ("a1", "a", "x", "place", 3),
        (None, None, "x", "city", 2),
    }


# Refusals --------------------------------------------------------------------------------------------------------


def test_null_key_is_refused_by_name(spark: SparkSession) -> None:
    rows = contributions(spark, people(3, "A", 8)).withColumn("place", F.lit(None).cast("string"))
    with pytest.raises(GateError, match=r"'place': 3"):
        gate.assign(rows, PLAIN)


@pytest.mark.parametrize("persons", [None, -1])
def test_weight_that_is_no_number_of_persons_is_refused(spark: SparkSession, persons: int | None) -> None:
    rows = contributions(spark, [group(9, "A", 8), group(persons, "A", 8)])
    with pytest.raises(GateError, match="'persons' must be 0 or more in each row; it is not in 1"):
        gate.assign(rows, WEIGHED)


def test_weight_that_may_be_a_fraction_is_refused(spark: SparkSession) -> None:
    rows = contributions(spark, [group(9, "A", 8)]).withColumn("persons", F.col("persons").cast("double"))
    with pytest.raises(GateError, match="'persons' must be a whole number of persons, not double"):
        gate.assign(rows, WEIGHED)


@pytest.mark.parametrize(("column", "value"), [("direction", "out"), ("direction", None), ("kind", "ferry")])
def test_undeclared_aspect_is_refused(spark: SparkSession, column: str, value: str | None) -> None:
    row = people(1, "A", 8, kind="bus")[0]._replace(**{column: value})
    with pytest.raises(GateError, match=f"{row.kind}/{row.direction or 'null'}"):
        gate.assign(contributions(spark, [*people(3, "A", 8), row]), DIRECTED)


def test_ladder_is_refused_when_a_key_lies_in_two_coarser_keys(spark: SparkSession) -> None:
    rungs = [{"name": "place", "keys": ["place"]}, {"name": "day", "keys": ["day"]}]
    policy = GatePolicy.model_validate({**PLAIN.model_dump(), "rungs": rungs})
    with pytest.raises(GateError, match="'place' does not roll up to 'day'"):
        gate.assign(contributions(spark, people(3, "A", 8) + people(3, "A", 8, day="tue")), policy)


def test_missing_and_reserved_columns_are_refused(spark: SparkSession) -> None:
    rows = contributions(spark, people(3, "A", 8))
    with pytest.raises(GateError, match=r"no column .*'person'"):
        gate.assign(rows.drop("person"), PLAIN)
    with pytest.raises(GateError, match="already have a column 'gate_rung'"):
        gate.assign(rows.withColumn("gate_rung", F.lit("1h")), PLAIN)
    for measures in ({}, {"hour": "count(*)"}, {"grain_code": "count(*)"}):
        with pytest.raises(GateError, match="measures"):
            gate.publish(gate.assign(rows, PLAIN), PLAIN, measures)


def test_publishing_fails_when_rows_were_filtered_after_assign(spark: SparkSession) -> None:
    assigned = gate.assign(contributions(spark, people(3, "A", 8)), PLAIN)
    with pytest.raises(PySparkException, match="below the minimum count"):
        shown(assigned.where("person not like '%-0'"))
    weighed = gate.assign(contributions(spark, [group(2, "A", 8), group(1, "A", 8)]), WEIGHED)
    with pytest.raises(PySparkException, match="below the minimum count"):
        shown(weighed.where("persons > 1"), WEIGHED)


@pytest.mark.parametrize(
    "change",
    [
        {"minimum_count": 1},
        {"minimum": 3},
        {"contributor": "day"},
        {"contributor": "gate_rung"},
        {"contributor": None},
        {"weight": "persons"},
        {**COUNTED, "weight": "day"},
        {**COUNTED, "aspects": {**ASPECTS, "column": "persons"}},
        {"rungs": []},
        {"rungs": [*LADDER, LADDER[0]]},
        {"rungs": [LADDER[1], LADDER[0]]},
        {"rungs": [LADDER[0], {"name": "suppressed", "keys": ["day"]}]},
        {"rungs": [{"name": "1h", "keys": ["day", "hour; drop"]}]},
        {"aspects": ASPECTS, "rungs": [*LADDER, {"name": "total", "keys": ["day"]}]},
        {"aspects": {**ASPECTS, "measured": {"bus": []}}},
        {"aspects": {**ASPECTS, "column": "person"}},
    ],
    ids=str,
)
def test_policy_is_refused_when_it_makes_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GatePolicy.model_validate({**PLAIN.model_dump(), **change})


def test_policy_needs_a_minimum_count() -> None:
    with pytest.raises(ValidationError, match="minimum_count"):
        GatePolicy.model_validate({"contributor": "person", "rungs": LADDER})


# Random contributions, for the properties ------------------------------------------------------------------------


def random_rows(seed: int, days: int = 40) -> list[Row]:
    """Days of differing density, for buses and the metro; a tenth of the rows have no contributor.

    As groups, the rows speak for none to two persons each.
    """
    rng = random.Random(seed)
    rows = []
    for day in range(days):
        busiest = rng.choice([2, 3, 5, 8, 14])
        for kind, directions in ASPECTS["measured"].items():
            for place in "ABC"[: rng.randint(1, 3)]:
                for hour in range(rng.randint(1, 4)):
                    for direction in directions:
                        who = [rng.choice([None, *range(9)] * 2 + [None]) for _ in range(rng.randint(0, busiest))]
                        names = [None if i is None else f"{kind}{day}{place}{hour}{i}" for i in who]
                        moved = [n if n is None or rng.random() < 0.8 else f"{kind}{day}{n[-1]}" for n in names]
                        where = (kind, f"d{day:02}", place, hour)
                        rows += [Row(*where, name, direction, rng.choice([0, 1, 1, 2])) for name in moved]
    rng.shuffle(rows)
    return rows


def persons_in(rows: Iterable[Row], policy: GatePolicy) -> int:
    """Distinct persons, or those the rows speak for."""
    if policy.weight:
        return sum(row.persons or 0 for row in rows)
    return len({row.person for row in rows} - {None})


def size(rows: Iterable[Row], policy: GatePolicy) -> int:
    """Persons; with aspects, the least over the measured ones. All rows are of one kind."""
    rows = list(rows)
    if policy.aspects is None:
        return persons_in(rows, policy)
    measured = policy.aspects.measured[rows[0].kind]
    return min(persons_in((row for row in rows if row.direction == name), policy) for name in measured)


def own_sizes(rows: list[Row], policy: GatePolicy) -> int:
    """Sizes of the rung-0 cells of rows, added up."""
    leaves: dict[Cell, list[Row]] = defaultdict(list)
    for row in rows:
        leaves[cell_at(row, 0, policy)].append(row)
    return sum(size(members, policy) for members in leaves.values())


def cell_at(row: Row, position: int, policy: GatePolicy) -> Cell:
    return Cell(position, tuple(getattr(row, key) for key in policy.rungs[position].keys))


def smallest_key_shown_under(rest: Cell, cells: dict[Cell, list[Row]], policy: GatePolicy) -> list[Cell]:
    """The cells of the smallest key of the rung below that is shown under a rest cell's key; none without any."""
    children: dict[Cell, list[Cell]] = defaultdict(list)
    for cell, members in cells.items():
        if cell_at(members[0], rest.position, policy) == rest:
            children[cell_at(members[0], rest.position - 1, policy)].append(cell)
    weights = {key: own_sizes([r for c in held for r in cells[c]], policy) for key, held in children.items()}
    return children[min(children, key=lambda key: (weights[key], key))] if children else []


def plain_gate(rows: list[Row], policy: GatePolicy) -> dict[Cell, list[Row]]:
    """The rule of the gate's docstring word for word, slowly; small cells of the last rung included."""
    cells: dict[Cell, list[Row]] = defaultdict(list)
    for row in rows:
        cells[cell_at(row, 0, policy)].append(row)
    for position in range(1, len(policy.rungs)):
        rests: dict[Cell, list[Row]] = defaultdict(list)
        for cell in [c for c, members in cells.items() if size(members, policy) < policy.minimum_count]:
            members = cells.pop(cell)
            rests[cell_at(members[0], position, policy)] += members
        for rest, members in rests.items():
            if size(members, policy) < policy.minimum_count:
                for cell in smallest_key_shown_under(rest, cells, policy):
                    members += cells.pop(cell)
        cells.update(rests)
    return dict(cells)


def cells_of(assigned: DataFrame, policy: GatePolicy) -> dict[Cell | None, list[Row]]:
    """The gate's cells; None holds what is suppressed."""
    cells: dict[Cell | None, list[Row]] = defaultdict(list)
    for *values, rung in assigned.collect():
        row = Row(*values)
        cells[cell_at(row, policy.rung_names.index(rung), policy) if rung else None].append(row)
    return dict(cells)


def ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=str)


class Gated(NamedTuple):
    """Random contributions that went through the gate once, for several tests."""

    policy: GatePolicy
    rows: list[Row]
    assigned: DataFrame
    cells: dict[Cell | None, list[Row]]


POLICIES = {"plain": PLAIN, "directed": DIRECTED, "weighed": WEIGHED, "weighed_directed": WEIGHED_DIRECTED}


@pytest.fixture(scope="module", params=POLICIES.values(), ids=POLICIES)
def gated(spark: SparkSession, request: pytest.FixtureRequest) -> Gated:
    rows = random_rows(seed=1)
    assigned = gate.assign(contributions(spark, rows), request.param)
    cells = cells_of(assigned, request.param)
    assert {cell and cell.position for cell in cells} == {0, 1, 2, None}  # the data try every outcome
    return Gated(request.param, rows, assigned, cells)


def test_gate_agrees_with_a_plain_reading_of_its_rule(gated: Gated) -> None:
    expected: dict[Cell | None, list[Row]] = defaultdict(list)
    for cell, members in plain_gate(gated.rows, gated.policy).items():
        expected[cell if size(members, gated.policy) >= K else None] += members
    assert {cell: ordered(rows) for cell, rows in gated.cells.items()} == {
        cell: ordered(rows) for cell, rows in expected.items()
    }


def test_published_and_suppressed_sums_make_the_totals(gated: Gated) -> None:
    measures = {"in_count": "count_if(direction = 'in')", "out_count": "count_if(direction = 'out')"}
    published = gate.publish(gated.assigned, gated.policy, measures).collect()
    suppressed = gated.cells[None]
    for name in ("in", "out"):
        total = sum(row[f"{name}_count"] for row in published) + sum(row.direction == name for row in suppressed)
        assert total == sum(row.direction == name for row in gated.rows)
    lines = audited(gated.assigned, gated.policy)
    assert list(lines) == ["1h", "day", "all_places", "suppressed"]
    assert sum(records for _, records in lines.values()) == len(gated.rows)
    assert sum(cells for name, (cells, _) in lines.items() if name != "suppressed") == len(published)
    assert lines["suppressed"][1] == len(suppressed)
    assert not {(r.kind, r.day) for r in suppressed} & {(r.kind, r.day) for r in published}


def test_gate_does_the_same_when_rows_come_in_another_order(spark: SparkSession, gated: Gated) -> None:
    shuffled = contributions(spark, reversed(gated.rows)).repartition(5, "person")
    assert ordered(gate.assign(shuffled, gated.policy).collect()) == ordered(gated.assigned.collect())


@pytest.mark.parametrize(
    ("weighed", "counted"), [(WEIGHED, PLAIN), (WEIGHED_DIRECTED, DIRECTED)], ids=["weighed", "weighed_directed"]
)
def test_groups_go_where_their_persons_would_go_one_by_one(
    spark: SparkSession, weighed: GatePolicy, counted: GatePolicy
) -> None:
    """What carries the guarantee over to weights. A group of nobody counts as a row without a contributor."""
    groups = [row._replace(person=str(number)) for number, row in enumerate(random_rows(seed=2))]
    each = [
        row._replace(person=f"{row.person}/{number}" if row.persons else None)
        for row in groups
        for number in range(max(1, row.persons or 0))
    ]
    one_by_one = cells_of(gate.assign(contributions(spark, each), counted), counted)
    found = cells_of(gate.assign(contributions(spark, groups), weighed), weighed)
    assert found.keys() == one_by_one.keys()
    for cell, rows in found.items():
        assert sum(max(1, row.persons or 0) for row in rows) == len(one_by_one[cell])
        assert {row.person for row in rows if row.persons} == {
            row.person.partition("/")[0] for row in one_by_one[cell] if row.person
        }


# The adversary ---------------------------------------------------------------------------------------------------


def disclosed(cells: dict[Cell | None, list[Row]], policy: GatePolicy, knows_lenders: bool = False) -> list[object]:
    """Return the small groups whose counts an adversary can work out by adding and subtracting.

    Per last-rung key of which anything is published, the unknowns are the counts of its atoms (rung-0 key and
    direction). Known are the published cells, per direction, and the true total of every key of the coarser rungs
    that is large, unless what has moved above it is large too: then it was lent, and its total is known only
    with `knows_lenders`. A count over a group of atoms is disclosed when the group's 0/1 vector lies in the row space
    of what is known. Looked at are the atoms, the keys of every rung, and the part of every key in every cell.
    """
    last = len(policy.rungs) - 1
    roots: dict[Cell, dict[Cell, list[Row]]] = defaultdict(dict)
    for cell, members in cells.items():
        if cell is not None:
            roots[cell_at(members[0], last, policy)][cell] = members
    found: list[object] = []
    for published in roots.values():
        found += disclosed_under_one_key(published, policy, knows_lenders)
    return found


def disclosed_under_one_key(
    published: dict[Cell, list[Row]], policy: GatePolicy, knows_lenders: bool
) -> list[tuple[Cell, str]]:
    rows = [row for members in published.values() for row in members]
    home = {cell_at(row, 0, policy): cell for cell, members in published.items() for row in members}
    directions = sorted({row.direction for row in rows}) if policy.aspects else [""]
    atoms = {(leaf, name): i for i, (leaf, name) in enumerate((leaf, name) for leaf in home for name in directions)}

    def select(wanted: Callable[[Row], bool], name: str) -> tuple[list[Row], np.ndarray]:
        members = [row for row in rows if wanted(row) and name in ("", row.direction)]
        vector = np.zeros(len(atoms))
        vector[[atoms[cell_at(row, 0, policy), name] for row in members]] = 1
        return members, vector

    keys = {cell_at(row, position, policy) for row in rows for position in range(len(policy.rungs))}
    totals = [key for key in keys if key.position > 0 and is_known(key, rows, home, policy, knows_lenders)]
    known = [
        select(lambda row, c=cell: home[cell_at(row, 0, policy)] == c, name)[1]
        for cell in published
        for name in directions
    ]
    known += [
        select(lambda row, k=key: cell_at(row, k.position, policy) == k, name)[1]
        for key in totals
        for name in directions
    ]
    projector = np.linalg.pinv(np.array(known)) @ np.array(known)
    found = []
    for key in keys:
        for cell in [None, *published]:
            for name in directions:
                members, vector = select(
                    lambda row, k=key, c=cell: (
                        cell_at(row, k.position, policy) == k and c in (None, home[cell_at(row, 0, policy)])
                    ),
                    name,
                )
                if 0 < persons_in(members, policy) < policy.minimum_count and np.allclose(vector @ projector, vector):
                    found.append((key, name))
    return found


def is_known(key: Cell, rows: list[Row], home: dict[Cell, Cell], policy: GatePolicy, knows_lenders: bool) -> bool:
    """Whether the adversary may know the key's true total: it is large, and was not lent."""
    inside = [row for row in rows if cell_at(row, key.position, policy) == key]
    above = [row for row in inside if home[cell_at(row, 0, policy)].position > key.position]
    has_lent = bool(above) and size(above, policy) >= policy.minimum_count
    return size(inside, policy) >= policy.minimum_count and (knows_lenders or not has_lent)


def test_adversary_finds_no_small_group(gated: Gated) -> None:
    assert disclosed(gated.cells, gated.policy) == []


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_adversary_finds_small_groups_when_nothing_is_absorbed(
    spark: SparkSession, policy: GatePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_smallest", lambda offer: F.min(F.when(F.lit(False), offer)))
    cells = cells_of(gate.assign(contributions(spark, random_rows(seed=1)), policy), policy)
    assert {key.position for key, _ in disclosed(cells, policy)} >= {0, 1}


def test_adversary_finds_a_small_group_when_a_total_is_made_past_the_gate(spark: SparkSession) -> None:
    """The limit that the gate's docstring states: B was lent to the day's rest, which hides A."""
    rows = people(1, "A", 8) + people(4, "B", 8) + people(5, "B", 9)
    cells = cells_of(gate.assign(contributions(spark, rows), PLAIN), PLAIN)
    assert disclosed(cells, PLAIN) == []
    assert (Cell(1, ("metro", "mon", "A")), "") in disclosed(cells, PLAIN, knows_lenders=True)
