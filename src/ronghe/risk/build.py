"""From counted cells to scores and ranks of one week after the other, as the contracts of the two marts say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ronghe.contracts.index import Indicator, RiskIndex
from ronghe.risk import stages
from ronghe.risk.measure import Cell, Unit
from ronghe.risk.stages import Flags, Floats, Ranks

Row = dict[str, Any]
# Sums of floating-point numbers depend on their order in the last digits; a rebuilt week shall be the same.
_DIGITS = 9


@dataclass(frozen=True)
class Week:
    """One week's cells at every stage, units by indicators; NaN is missing."""

    numerators: Floats
    denominators: Floats
    coverage: Floats
    raw: Floats
    used: Floats
    scores: Floats
    imputed: Flags
    clamped: Flags

    @property
    def measured(self) -> Flags:
        """Which cells were measured."""
        return ~np.isnan(self.raw)


def rows(index: RiskIndex, units: Sequence[Unit], cells: Sequence[Cell]) -> tuple[list[Row], list[Row]]:
    """Build every week that has cells.

    Args:
        index: the declaration.
        units: who is ranked.
        cells: what was counted.

    Returns:
        Rows of `mart.risk_indicator` (unit, week, indicator) and of `mart.risk_index` (unit, week).
    """
    indicators: list[Row] = []
    scores: list[Row] = []
    for period in sorted({cell.period for cell in cells}):
        week = stage(index, units, [cell for cell in cells if cell.period == period])
        indicators += _indicator_rows(index, units, period, week)
        scores += _index_rows(index, units, period, week)
    return indicators, scores


def stage(index: RiskIndex, units: Sequence[Unit], cells: Sequence[Cell]) -> Week:
    """Bring the cells of one week through denomination, shrinkage, imputation and normalisation."""
    tiers = [unit.tier for unit in units]
    numerators, denominators, coverage = _counted(index, units, cells)
    raw = np.full(numerators.shape, np.nan)
    np.divide(numerators, denominators, out=raw, where=denominators > 0)
    shrunk = raw.copy()
    for place, indicator in enumerate(index.indicators):
        # The coverage is only known where it is asked for; NaN is no reason to doubt.
        thin = coverage[:, place] < indicator.minimum_coverage
        raw[thin, place] = np.nan
        shrunk[:, place] = np.where(thin, np.nan, _rate(indicator, numerators, denominators, place, tiers))
        raw[:, place] *= indicator.per
        shrunk[:, place] *= indicator.per
    raw, shrunk = np.round(raw, _DIGITS), np.round(shrunk, _DIGITS)
    used, imputed = stages.impute(shrunk, tiers)
    scores, clamped = stages.normalise(
        used,
        np.array([i.goalposts.minimum for i in index.indicators]),
        np.array([i.goalposts.maximum for i in index.indicators]),
        np.array([i.direction for i in index.indicators], dtype=float),
    )
    return Week(numerators, denominators, coverage, raw, used, scores, imputed, clamped)


def _counted(index: RiskIndex, units: Sequence[Unit], cells: Sequence[Cell]) -> tuple[Floats, Floats, Floats]:
    row = {unit.code: place for place, unit in enumerate(units)}
    column = {indicator.code: place for place, indicator in enumerate(index.indicators)}
    found = np.full((3, len(row), len(column)), np.nan)
    for cell in cells:
        parts = (cell.numerator, cell.denominator, cell.coverage)
        found[:, row[cell.unit], column[cell.indicator]] = [np.nan if part is None else part for part in parts]
    numerators, denominators, coverage = np.round(found, _DIGITS)
    return numerators, denominators, coverage


def _rate(indicator: Indicator, numerators: Floats, denominators: Floats, place: int, tiers: Sequence[str]) -> Floats:
    """Return numerator by denominator of one indicator, drawn towards the tier's where its counts are small."""
    if indicator.small_counts == "gamma_poisson":
        return stages.shrink(numerators[:, place], denominators[:, place], tiers)
    rate = np.full(len(numerators), np.nan)
    np.divide(numerators[:, place], denominators[:, place], out=rate, where=denominators[:, place] > 0)
    return rate


def _indicator_rows(index: RiskIndex, units: Sequence[Unit], period: date, week: Week) -> list[Row]:
    return [
        {
            "index_code": index.id,
            "unit_code": unit.code,
            "period_end_date": period,
            "indicator_code": indicator.code,
            "family_code": indicator.family,
            "tier_code": unit.tier,
            "numerator_value": _number(week.numerators[u, i]),
            "denominator_value": _number(week.denominators[u, i]),
            "raw_value": _number(week.raw[u, i]),
            "used_value": _number(week.used[u, i]),
            "normalised_value": _number(week.scores[u, i]),
            "is_imputed": bool(week.imputed[u, i]),
            "is_clamped": bool(week.clamped[u, i]),
            "coverage_share": _number(week.coverage[u, i]),
            "model_version": index.version,
        }
        for u, unit in enumerate(units)
        for i, indicator in enumerate(index.indicators)
    ]


def _index_rows(index: RiskIndex, units: Sequence[Unit], period: date, week: Week) -> list[Row]:
    families, scores = aggregate(index, week.scores)
    sides = {side: _side(index, families, side) for side in ("pressure", "capacity")}
    shown = np.round(np.column_stack([scores, sides["pressure"], sides["capacity"], families]), index.decimals)
    names = ("score", "pressure_score", "capacity_gap_score", *(f"{family.code}_score" for family in index.families))
    available = week.measured.mean(axis=1)
    ranked = (available >= index.minimum_availability) & ~np.isnan(scores)
    rank, low, high = rank_intervals(index, units, week.scores, ranked)
    return [
        {
            "index_code": index.id,
            "unit_code": unit.code,
            "period_end_date": period,
            "unit_name": unit.name,
            "tier_code": unit.tier,
            **{name: _number(shown[u, place]) for place, name in enumerate(names)},
            "is_ranked": bool(ranked[u]),
            "rank": int(rank[u]) if ranked[u] else None,
            "rank_low": int(low[u]) if ranked[u] else None,
            "rank_high": int(high[u]) if ranked[u] else None,
            "imputed_share": round(float(week.imputed[u].mean()), _DIGITS),
            "indicator_count": int(week.measured[u].sum()),
            "model_version": index.version,
        }
        for u, unit in enumerate(units)
    ]


def aggregate(index: RiskIndex, scores: Floats) -> tuple[Floats, Floats]:
    """Return the families' scores (units by families) and the index (units)."""
    families = _families(index, scores, np.array([indicator.weight for indicator in index.indicators]))
    return families, stages.overall(families, np.array([family.weight for family in index.families]))


def _families(index: RiskIndex, scores: Floats, weights: Floats) -> Floats:
    """Return the families' scores in the order in which the index declares them, for one or more sets of weights."""
    own = [indicator.family for indicator in index.indicators]
    order = list(dict.fromkeys(own))
    return stages.weighted_mean(scores, weights, own)[..., [order.index(f.code) for f in index.families]]


def _side(index: RiskIndex, families: Floats, side: str) -> Floats:
    weights = np.array([family.weight if family.side == side else 0.0 for family in index.families])
    return stages.overall(np.where(weights > 0, families, np.nan), weights)


def rank_intervals(
    index: RiskIndex, units: Sequence[Unit], scores: Floats, ranked: Flags
) -> tuple[Ranks, Ranks, Ranks]:
    """Rank the units of each tier, and say between which ranks each would stand under other defensible weights.

    Tried are weights of indicators and families drawn within the declared change, and each indicator left out once.

    Returns:
        Rank, smallest and largest rank of each unit; 0 where it is not ranked.
    """
    trials = index.rank_interval
    rng = np.random.default_rng(trials.seed)
    own = np.array([indicator.weight for indicator in index.indicators])
    family = np.array([f.weight for f in index.families])
    without_one = own * (1 - np.eye(len(own)))
    indicator_sets = np.vstack([own, without_one, stages.trial_weights(own, trials.draws, trials.weight_change, rng)])
    family_sets = np.vstack(
        [
            np.tile(family, (1 + len(own), 1)),
            stages.trial_weights(family, trials.draws, trials.weight_change, rng),
        ]
    )
    builds = stages.overall(_families(index, scores, indicator_sets), family_sets[:, None, :])
    found = np.zeros((3, len(units)), dtype=np.int64)
    for tier in stages.members([unit.tier for unit in units]):
        at = tier[ranked[tier]]
        placed = stages.ranks(builds[:, at], index.decimals)
        found[:, at] = placed[0], placed.min(axis=0), placed.max(axis=0)
    rank, low, high = found
    return rank, low, high


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
