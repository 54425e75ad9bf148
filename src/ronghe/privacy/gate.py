"""The statistical disclosure gate: no figure about persons is published but through here.

Source of the rule: guard rail 6 (minimum count, roll-up ladder, complementary suppression, audit).
The method is a threshold rule with complementary suppression (Willenborg and de Waal, "Elements of
Statistical Disclosure Control", 2001), with one change: a small cell is not left out but merged
upwards into "the rest of" a coarser key, so that the published sums stay complete.

**Input.** One row per contributing event (a swipe, an account). Every row carries the key columns
of all rungs (never null), and a contributor: the token of a person, or null where there is none,
in which case the row counts in the measures and adds no contributor. Where a source counts before
it delivers (a school's pupils), the policy names a `weight` instead: a row speaks for that many
contributors, a whole number from 0 and never null. The rows of one aspect must be disjoint groups
of persons, which only the maker of the contributions can see to (say, one row per school and term).

**Cells.** A *ladder* is a list of rungs, finest first; each rung's keys roll up to the next one's.
A cell is a rung plus a value of its keys, and holds a set of rows. Its size is its number of
distinct contributors, or the sum of its weights; where the policy declares aspects (say,
directions), the least of these numbers over the aspects that are measured for its kind. A cell is
*small* when its size is below `minimum_count`; a measured aspect in which nobody took part has size
0, so it is small too.

**Rule.** Every row starts in its cell of rung 0. Then, for each rung but the last:

1. Small cells move up: their rows make the rest cell of their key on the next rung.
2. A rest cell that is still small absorbs the smallest key of the rung below that is shown under
   the same key, whole, with all its cells (smallest: by the sizes of its rung-0 cells added up;
   ties: the order of the keys). It is then no longer small.
3. If there is none, it stays small and moves up in its turn.

What is small on the last rung is suppressed. Rule 2 makes it the whole of its last-rung key: where
one row of a last-rung key is shown, all are. So at every rung a key is shown whole in cells of that
rung or finer, or not at all, and a row belongs to the finest shown cell that covers it. A cell of a
coarser rung is *the rest of* its key, what is not shown finer, and not the key's total; that is the
sum of the cells under it, unless the key was *lent*: it went into the rest of a coarser key.

**Guarantee.** Suppose a reader has everything published of one version of a table, and besides it
the true total of every key, of any rung, all of whose rows are published in cells of that rung or
finer. These are all last-rung keys of which anything is published, and all other keys that are not
small and were not lent. Then every sum, over any set of rung-0 cells and per aspect, that follows
from these by addition and subtraction is a sum of whole published cells, and rests on at least
`minimum_count` contributors. Reason: published cells are disjoint, none is small, sizes never
shrink when cells are joined, and each of these totals is itself a sum of whole published cells.
With weights the reason is the same: a sum of weights over disjoint groups *is* the number of distinct
persons in them, as if each row stood there once for each of its persons under a token of his own,
and no weight is below 0, so that joining cells shrinks no sum. A row is never split: its group is in
one cell as a whole. (Tests give both forms of the same groups to the gate and get the same cells.)

**Not protected:**

- Totals made past the gate. The total of a key that was lent, or over several last-rung keys of
  which one is suppressed, must be made from published cells, never from rows. (No complete cover
  can do better: the day less all large hours is what the small hours had.)
- Finer measures than the policy's. A measure counts or sums all rows of a cell, or all rows of one
  aspect; a narrower condition (`card_type = 'student'`) needs an aspect or a key of its own.
- Differences between versions of one table over time.
- Dominance: one contributor who makes up nearly all of a sum.
- With weights, who stands behind a row: a cell may rest on a single row (a county's only school), and
  then shows what that row says. Its persons are protected, as at least `minimum_count` of them; the
  school is not one. A number of rows is a figure about things and may be shown beside.
- Bounds: that a figure lies between two values, which follows from the rule itself.
- Noise, where a contract declares it: added to what the gate lets through, elsewhere.
"""

from collections.abc import Mapping
from functools import reduce
from itertools import pairwise

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from ronghe.contracts.gate import GATE_RUNG, GRAIN_CODE, SUPPRESSED, GatePolicy


class GateError(ValueError):
    """The policy, the contributions or the measures are not fit for the gate; nothing is shown."""


# Columns of the working tables. A policy's names cannot start with an underscore.
_LEAF = "_gate_leaf"  # number of a rung-0 key: joins faster than the keys do, and orders nothing
_SIZE = "_gate_size"
_OWN = "_gate_own_size"  # of the rung-0 cell, whatever cell its rows are in now
_WEIGHT = "_gate_weight"
_RUNG = "_gate_rung_position"
_SMALL = "_gate_is_small"
_NEEDED = "_gate_is_needed"
_OFFERED = "_gate_is_offered"
_ALONE = "_gate_rest_size"
_JOINED = "_gate_rest_size_with_offered"
_KEY = "_gate_key_"
_SEEN = "_gate_seen_"


def assign(contributions: DataFrame, policy: GatePolicy) -> DataFrame:
    """Assign every contribution to the one cell that will publish it, or suppress it.

    Runs Spark jobs. The contributions are materialised first (`localCheckpoint`), so that what is
    judged and what is then published are the same rows even if the tables behind them change.

    Args:
        contributions: One row per contributing event, with at least `policy.columns`.
        policy: Minimum count, contributor or weight, aspects and ladder.

    Returns:
        The input's rows and columns, and `gate_rung`: the name of the rung whose cell, for this
        row's keys, has the row; null where it is suppressed. Restricted, like its input.

    Raises:
        GateError: A column is missing or already named `gate_rung`, a key or weight is null, a weight
            is below 0 or not of a whole number's type, a row has a kind or aspect that the policy does
            not declare, or a rung does not roll up to the next.
    """
    _refuse_missing_columns(contributions, policy)
    pinned = contributions.localCheckpoint()
    _refuse_unfit_rows(pinned, policy)
    leaves = (
        _sizes(pinned, policy.key_columns, policy, {_SIZE: F.lit(True)})
        .withColumns({_RUNG: F.lit(0), _OWN: F.col(_SIZE), _LEAF: F.monotonically_increasing_id()})
        .localCheckpoint()
    )
    _refuse_broken_ladder(leaves, policy)
    finest = policy.rungs[0].keys
    rows = pinned.join(leaves.select(*finest, _LEAF), list(finest)).localCheckpoint()
    for position in range(1, len(policy.rungs)):
        leaves = _climb(leaves, rows, position, policy)
    rungs = leaves.select(_LEAF, _rung_name(policy).alias(GATE_RUNG))
    return rows.join(rungs, _LEAF).select(*contributions.columns, GATE_RUNG)


def publish(assigned: DataFrame, policy: GatePolicy, measures: Mapping[str, str]) -> DataFrame:
    """Aggregate what `assign` lets through: the only figures that may leave the restricted half.

    Lazy. Sizes are counted once more from the rows, and a cell that is small after all (because
    rows were filtered after `assign`) fails the query instead of being shown.

    Args:
        assigned: What `assign` returned for the same policy, unfiltered.
        policy: The policy given to `assign`.
        measures: SQL aggregate per published column, over all rows of a cell or all rows of one
            aspect (see the module's docstring): `{"in_count": "count_if(direction = 'in')"}`.

    Returns:
        One row per published cell: the policy's key columns, null where the cell's rung does not
        determine them; `grain_code`, the rung's name; the measures. A cell of a coarser rung is the
        rest of its key (what is not shown finer), not the key's total.

    Raises:
        GateError: No measure, or one named like a key or `grain_code`.
    """
    if not measures or {*policy.key_columns, GRAIN_CODE} & set(measures):
        raise GateError("measures must be given, under other names than the keys and grain_code")
    cells = (
        assigned.where(F.col(GATE_RUNG).isNotNull())
        .groupBy(GATE_RUNG, *_visible_keys(policy))
        .agg(
            *(F.expr(sql).alias(name) for name, sql in measures.items()),
            *(_persons(policy, seen).alias(name) for name, seen in _aspect_tests(policy).items()),
        )
    )
    keys = [F.col(_KEY + key).alias(key) for key in policy.key_columns]
    is_large = _least_measured(policy, keys=_KEY) >= policy.minimum_count
    refusal = F.raise_error(F.lit("gate: cell below the minimum count; rows changed after assign?"))
    return cells.where(F.when(is_large, True).otherwise(refusal)).select(
        *keys, F.col(GATE_RUNG).alias(GRAIN_CODE), *measures
    )


def audit(assigned: DataFrame, policy: GatePolicy, by: str | None = None) -> DataFrame:
    """Count what became of the contributions, for the audit table.

    Lazy. The `suppressed` row is exact, and where a single last-rung key is suppressed it is that
    key's total: it belongs in the restricted half.

    Args:
        assigned: What `assign` returned for the same policy.
        policy: The policy given to `assign`.
        by: A key of the last rung, to count each of its values by itself; none for all together.

    Returns:
        Per value of `by`, one row per rung, finest first, and one for `suppressed`, also where
        nothing is there: `by`, where given; `grain_code`; `cells`, the number of cells (for
        `suppressed`: of last-rung keys); `records`, the number of contributions in them.

    Raises:
        GateError: `by` is not a key of the last rung.
    """
    if by is not None and by not in policy.rungs[-1].keys:
        raise GateError(f"the audit can be made by a key of the last rung, not by '{by}'")
    cells = (
        assigned.withColumn(GRAIN_CODE, F.coalesce(GATE_RUNG, F.lit(SUPPRESSED)))
        .withColumn(GATE_RUNG, F.coalesce(GATE_RUNG, F.lit(policy.rung_names[-1])))
        .groupBy(GRAIN_CODE, *_visible_keys(policy))
        .agg(F.count("*").alias("records"))
    )
    lines = [
        F.struct(
            F.lit(name).alias(GRAIN_CODE),
            F.count_if(F.col(GRAIN_CODE) == name).alias("cells"),
            F.coalesce(F.sum(F.when(F.col(GRAIN_CODE) == name, F.col("records"))), F.lit(0)).alias("records"),
        )
        for name in (*policy.rung_names, SUPPRESSED)
    ]
    parts = [F.col(_KEY + by).alias(by)] if by else []
    counted = cells.groupBy(*parts).agg(F.array(*lines).alias("lines"))
    return counted.select(*([by] if by else []), F.inline("lines"))


def _climb(leaves: DataFrame, rows: DataFrame, position: int, policy: GatePolicy) -> DataFrame:
    """Move the small cells up to the rung at `position`, with the cells that they must absorb.

    `leaves` has one row per rung-0 key: all keys, its number and own size (persons), the position
    of the rung of the cell that it is in now, and that cell's size. Of the contributions (`rows`, with the
    number of their rung-0 key), only those of small cells and of the keys that these may have to
    absorb are looked at again.
    """
    parent, child = policy.rungs[position].keys, policy.rungs[position - 1].keys
    is_small = F.col(_SIZE) < policy.minimum_count
    under_parent = Window.partitionBy(*parent)
    weighed = leaves.withColumn(_WEIGHT, F.sum(_OWN).over(Window.partitionBy(*child)))
    offer = F.when(~is_small, F.struct(_WEIGHT, *child))
    marked = weighed.withColumns(
        {_NEEDED: F.bool_or(is_small).over(under_parent), _OFFERED: _smallest(offer).over(under_parent)}
    ).withColumns({_SMALL: is_small, _OFFERED: F.coalesce(offer == F.col(_OFFERED), F.lit(False))})
    marked = marked.localCheckpoint()
    concerned = marked.where(F.col(_NEEDED) & (F.col(_SMALL) | F.col(_OFFERED)))
    rests = _sizes(
        rows.join(concerned.select(_LEAF, _SMALL), _LEAF),
        parent,
        policy,
        {_ALONE: F.col(_SMALL), _JOINED: F.lit(True)},
    )
    absorbs = F.col(_ALONE) < policy.minimum_count
    moves = F.col(_SMALL) | (F.col(_OFFERED) & absorbs)
    new_size = F.when(absorbs, F.col(_JOINED)).otherwise(F.col(_ALONE))
    return (
        marked.join(rests, list(parent), "left")
        .select(
            *policy.key_columns,
            _LEAF,
            _OWN,
            F.when(moves, new_size).otherwise(F.col(_SIZE)).alias(_SIZE),
            F.when(moves, F.lit(position)).otherwise(F.col(_RUNG)).alias(_RUNG),
        )
        .localCheckpoint()
    )


def _smallest(offer: Column) -> Column:
    """Aggregate to the shown key that a small rest cell would absorb; null without any."""
    return F.min(offer)


def _visible_keys(policy: GatePolicy) -> list[Column]:
    """Return each key as far as the rung named in `gate_rung` determines it, else null."""
    return [
        F.when(F.col(GATE_RUNG).isin(*policy.rung_names[: policy.last_rung_with(key) + 1]), F.col(key)).alias(
            _KEY + key
        )
        for key in policy.key_columns
    ]


def _sizes(rows: DataFrame, keys: tuple[str, ...], policy: GatePolicy, counted: Mapping[str, Column]) -> DataFrame:
    """Return sizes (persons, least over the measured aspects) of each value of `keys`.

    Args:
        rows: Contributions.
        keys: Columns to size by, one row each.
        policy: Contributor or weight, and aspects.
        counted: Names of the sizes, each with the condition on the rows that count in it.
    """
    seen = {
        name + aspect: is_counted & is_aspect
        for name, is_counted in counted.items()
        for aspect, is_aspect in _aspect_tests(policy).items()
    }
    if policy.contributor:
        # In two steps, contributors then keys: several distinct counts in one step would copy every row.
        people = rows.groupBy(*keys, policy.contributor).agg(*(F.bool_or(test).alias(n) for n, test in seen.items()))
        is_person = F.col(policy.contributor).isNotNull()
        counts = people.groupBy(*keys).agg(*(F.count_if(F.col(name) & is_person).alias(name) for name in seen))
    else:
        counts = rows.groupBy(*keys).agg(*(_persons(policy, test).alias(name) for name, test in seen.items()))
    return counts.select(
        *keys,
        *(_least_measured(policy, counts=name).alias(name) for name in counted),
    )


def _persons(policy: GatePolicy, counts: Column) -> Column:
    """Aggregate to the number of persons in the rows that count."""
    if policy.contributor:
        return F.count_distinct(F.when(counts, F.col(policy.contributor)))
    return F.coalesce(F.sum(F.when(counts, F.col(str(policy.weight)))), F.lit(0)).cast("long")


def _aspect_tests(policy: GatePolicy) -> dict[str, Column]:
    """Return, per aspect, a working column's name and whether a row belongs to the aspect."""
    if policy.aspects is None:
        return {f"{_SEEN}0": F.lit(True)}
    column = F.col(policy.aspects.column)
    return {f"{_SEEN}{i}": column == name for i, name in enumerate(policy.aspects.names)}


def _least_measured(policy: GatePolicy, counts: str = "", keys: str = "") -> Column:
    """Return the least count over the aspects that are measured for the cell's kind.

    Args:
        policy: The aspects.
        counts: Prefix of the columns with the count of each aspect (see `_aspect_tests`).
        keys: Prefix of the key columns.
    """
    if policy.aspects is None:
        return F.col(f"{counts}{_SEEN}0")
    kind = F.col(keys + policy.aspects.kind)
    size = F.lit(0).cast("long")
    for value, measured in policy.aspects.measured.items():
        each = [F.col(f"{counts}{_SEEN}{policy.aspects.names.index(name)}") for name in measured]
        least = F.least(*each) if len(each) > 1 else each[0]
        size = F.when(kind == value, least).otherwise(size)
    return size


def _rung_name(policy: GatePolicy) -> Column:
    """Return the name of a rung-0 key's rung, or null where its cell is small to the end."""
    names = F.array(*(F.lit(name) for name in policy.rung_names))
    return F.when(F.col(_SIZE) >= policy.minimum_count, names[F.col(_RUNG)])


def _refuse_missing_columns(contributions: DataFrame, policy: GatePolicy) -> None:
    """Refuse contributions without the columns of the policy, or that were assigned before."""
    if missing := [name for name in policy.columns if name not in contributions.columns]:
        raise GateError(f"contributions have no column {missing}")
    if GATE_RUNG in contributions.columns:
        raise GateError(f"contributions already have a column '{GATE_RUNG}'")


def _refuse_unfit_rows(rows: DataFrame, policy: GatePolicy) -> None:
    """Refuse null keys, which no cell could hold, unfit weights, and aspects that nothing would protect."""
    checks = [F.count_if(F.col(key).isNull()).alias(key) for key in policy.key_columns]
    unfit = _unfit_weight(rows, policy)
    checks += [F.count_if(unfit).alias("_gate_unfit"), _undeclared_aspect(policy).alias("_gate_undeclared")]
    found = rows.agg(*checks).collect()[0]
    if nulls := {key: found[key] for key in policy.key_columns if found[key]}:
        raise GateError(f"keys must not be null; rows with null per column: {nulls}")
    if found["_gate_unfit"]:
        raise GateError(f"'{policy.weight}' must be 0 or more in each row; it is not in {found['_gate_unfit']}")
    if found["_gate_undeclared"] is not None:
        raise GateError(f"the policy does not declare the aspect {found['_gate_undeclared']}")


def _unfit_weight(rows: DataFrame, policy: GatePolicy) -> Column:
    """Return whether a row's weight is no number of persons; a type that could hold half a person is refused."""
    if policy.weight is None:
        return F.lit(False)
    if not isinstance(kind := rows.schema[policy.weight].dataType, IntegralType):
        raise GateError(f"'{policy.weight}' must be a whole number of persons, not {kind.simpleString()}")
    return F.col(policy.weight).isNull() | (F.col(policy.weight) < 0)


def _undeclared_aspect(policy: GatePolicy) -> Column:
    """Return an example `kind/aspect` of the rows that the policy does not declare, or null."""
    if policy.aspects is None:
        return F.min(F.lit(None).cast("string"))
    kind, aspect = F.col(policy.aspects.kind), F.col(policy.aspects.column)
    declared = reduce(
        Column.__or__,
        ((kind == value) & aspect.isin(*names) for value, names in policy.aspects.measured.items()),
    )
    example = F.concat_ws("/", kind, F.coalesce(aspect, F.lit("null")))
    return F.min(F.when(~F.coalesce(declared, F.lit(False)), example))


def _refuse_broken_ladder(leaves: DataFrame, policy: GatePolicy) -> None:
    """Refuse a rung of which one key lies in two keys of the next: its cells would overlap."""
    for finer, coarser in pairwise(policy.rungs):
        added = [key for key in coarser.keys if key not in finer.keys]
        if not added:
            continue
        parents = leaves.groupBy(*finer.keys).agg(F.count_distinct(*added).alias("parents"))
        if not parents.where(F.col("parents") > 1).isEmpty():
            raise GateError(f"rung '{finer.name}' does not roll up to '{coarser.name}': {added}")
