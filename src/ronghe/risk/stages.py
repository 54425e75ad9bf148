"""The stages of a composite index as pure functions of arrays.

After the OECD/JRC handbook on composite indicators (2008); each stage that COINr has too is held against it in
tests/unit/test_risk_stages.py. Rows are units, columns are indicators, NaN is a missing value.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int64]

SCALE = (1.0, 100.0)


def members(groups: Sequence[Hashable]) -> list[npt.NDArray[np.int64]]:
    """Return the positions of each group's members, groups in the order in which they first come."""
    return [np.array([i for i, g in enumerate(groups) if g == group]) for group in dict.fromkeys(groups)]


def shrink(counts: Floats, bases: Floats, groups: Sequence[Hashable]) -> Floats:
    """Return rates of counts by base, drawn towards the rate of the unit's group the more, the smaller the base.

    Empirical Bayes with a gamma prior (Marshall 1991, Applied Statistics 40): with the group's rate m and the variance
    s2 of rates beyond that of Poisson counts, the rate is (count + m*m/s2) / (base + m/s2). Where rates vary no more
    than chance would have them, every unit gets the group's rate.
    """
    rates = np.full(len(counts), np.nan)
    known = np.isfinite(counts) & np.isfinite(bases) & (bases > 0)
    for group in members(groups):
        at = group[known[group]]
        if at.size == 0:
            continue
        count, base = counts[at], bases[at]
        mean = count.sum() / base.sum()
        variance = (base * (count / base - mean) ** 2).sum() / base.sum() - mean / base.mean()
        if variance <= 0:
            rates[at] = mean
        else:
            rates[at] = (count + mean**2 / variance) / (base + mean / variance)
    return rates


def impute(values: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Flags]:
    """Fill each missing value with the median of the unit's group, or of all units where the group has none.

    Returns:
        The values (still NaN where no unit has one) and which of them were filled.
    """
    filled = values.copy()
    for column in range(values.shape[1]):
        everybody = _median(values[:, column])
        for group in members(groups):
            own = _median(values[group, column])
            missing = group[np.isnan(values[group, column])]
            filled[missing, column] = everybody if np.isnan(own) else own
    return filled, np.isnan(values) & ~np.isnan(filled)


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def normalise(
    values: Floats, minimum: Floats, maximum: Floats, direction: Floats, scale: tuple[float, float] = SCALE
) -> tuple[Floats, Flags]:
    """Bring values between fixed goalposts to one scale; values beyond a goalpost are set to it.

    Args:
        values: units by indicators.
        minimum: lower goalpost of each indicator.
        maximum: upper goalpost of each indicator.
        direction: 1 where a higher value is a higher score, -1 where it is a lower one.
        scale: ends of the scale.

    Returns:
        The scores and which of the values lay beyond a goalpost.
    """
    share = (values - minimum) / (maximum - minimum)
    clamped = (share < 0) | (share > 1)
    share = np.clip(share, 0, 1)
    low, high = scale
    return low + (high - low) * np.where(direction > 0, share, 1 - share), clamped


def weighted_mean(scores: Floats, weights: Floats, groups: Sequence[Hashable]) -> Floats:
    """Return the weighted arithmetic mean of each group of columns.

    Args:
        scores: units by columns; NaN is left out.
        weights: one set of weights (columns), or several (sets by columns).
        groups: the group of each column.

    Returns:
        Units by groups, or sets by units by groups; NaN where a group has no score or no weight.
    """
    sets = np.atleast_2d(weights)
    known = ~np.isnan(scores)
    values = np.where(known, scores, 0.0)
    means = np.full((len(sets), len(scores), len(set(groups))), np.nan)
    for place, group in enumerate(members(groups)):
        total = sets[:, group] @ known[:, group].T
        sums = sets[:, group] @ values[:, group].T
        np.divide(sums, total, out=means[:, :, place], where=total > 0)
    return means if weights.ndim > 1 else means[0]


def overall(families: Floats, weights: Floats) -> Floats:
    """Return the weighted arithmetic mean over the last axis, leaving out NaN; `weights` broadcast over it."""
    known = ~np.isnan(families)
    held = np.where(known, weights, 0.0)
    total = held.sum(axis=-1)
    sums = np.where(known, families * held, 0.0).sum(axis=-1)
    means = np.full(total.shape, np.nan)
    np.divide(sums, total, out=means, where=total > 0)
    return means


def ranks(scores: Floats, decimals: int) -> Ranks:
    """Rank scores along the last axis, 1 is the highest, after rounding: scores shown as equal share a rank.

    The rank counts the scores above plus one, as UNDP ranks the Human Development Index.
    """
    shown = np.round(scores, decimals)
    above = shown[..., None, :] > shown[..., :, None]
    return np.asarray(above.sum(axis=-1) + 1, dtype=np.int64)


def trial_weights(weights: Floats, draws: int, change: float, rng: np.random.Generator) -> Floats:
    """Return sets of weights, each within `change` (a share) of its own, drawn evenly."""
    return weights * rng.uniform(1 - change, 1 + change, size=(draws, len(weights)))
