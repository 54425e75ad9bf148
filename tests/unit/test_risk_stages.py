"""The stages of a composite index: small cases worked by hand, and COINr's build of the ASEM index."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ronghe.risk import stages

ASEM = Path("/work/shared/data/index/asem")
NAN = float("nan")
needs_asem = pytest.mark.skipif(not ASEM.is_dir(), reason="COINr's reference build is not on this machine")


# Worked by hand ----------------------------------------------------------------------------------------------------


def test_missing_value_becomes_the_median_of_its_group() -> None:
    values = np.array([[1.0], [3.0], [10.0], [NAN], [7.0]])
    filled, imputed = stages.impute(values, ["a", "a", "a", "a", "b"])
    assert filled[:, 0].tolist() == [1, 3, 10, 3, 7]
    assert imputed[:, 0].tolist() == [False, False, False, True, False]


def test_group_without_a_value_takes_the_median_of_all_and_nobodys_value_stays_missing() -> None:
    values = np.array([[1.0, NAN], [3.0, NAN], [NAN, NAN]])
    filled, imputed = stages.impute(values, ["a", "a", "b"])
    assert filled[:, 0].tolist() == [1, 3, 2]
    assert np.isnan(filled[:, 1]).all()
    assert not imputed[:, 1].any()


def test_goalposts_clamp_flag_and_turn_round() -> None:
    values = np.array([[-1.0, 0.0], [5.0, 5.0], [11.0, 10.0], [NAN, NAN]])
    scores, clamped = stages.normalise(values, np.array([0.0, 0.0]), np.array([10.0, 10.0]), np.array([1.0, -1.0]))
    assert scores[:3].tolist() == [[1, 100], [50.5, 50.5], [100, 1]]
    assert np.isnan(scores[3]).all()
    assert clamped.tolist() == [[True, False], [False, False], [True, False], [False, False]]


def test_score_of_a_unit_does_not_move_when_another_ones_does() -> None:
    posts = (np.array([0.0]), np.array([10.0]), np.array([1.0]))
    before, _ = stages.normalise(np.array([[4.0], [6.0]]), *posts)
    after, _ = stages.normalise(np.array([[4.0], [9.0]]), *posts)
    assert before[0] == after[0]


def test_weighted_mean_leaves_out_what_is_missing() -> None:
    scores = np.array([[10.0, 40.0, 7.0], [10.0, NAN, NAN]])
    means = stages.weighted_mean(scores, np.array([1.0, 2.0, 5.0]), ["x", "x", "y"])
    assert means[0].tolist() == [30, 7]
    assert means[1, 0] == 10
    assert np.isnan(means[1, 1])
    assert stages.overall(means, np.array([1.0, 3.0])).tolist() == [(30 + 21) / 4, 10]


def test_each_set_of_weights_is_a_build_of_its_own() -> None:
    scores = np.array([[10.0, 40.0]])
    means = stages.weighted_mean(scores, np.array([[1.0, 1.0], [1.0, 0.0]]), ["x", "x"])
    assert means.tolist() == [[[25]], [[10]]]


def test_scores_shown_as_equal_share_a_rank() -> None:
    assert stages.ranks(np.array([50.04, 61.0, 50.01, 40.0]), 1).tolist() == [2, 1, 2, 4]
    assert stages.ranks(np.array([50.04, 61.0, 50.01, 40.0]), 2).tolist() == [2, 1, 3, 4]


def test_small_base_is_drawn_towards_the_group_and_a_large_one_hardly() -> None:
    counts = np.array([0.0, 5.0, 400.0, 1600.0])
    bases = np.array([20.0, 20.0, 20_000.0, 20_000.0])
    rates = stages.shrink(counts, bases, ["g"] * 4)
    mean = counts.sum() / bases.sum()
    assert 0 < rates[0] < mean < rates[1] < 0.25
    assert rates[2:] == pytest.approx(counts[2:] / bases[2:], rel=0.03)
    # Marshall's formula, written out.
    spread = (bases * (counts / bases - mean) ** 2).sum() / bases.sum() - mean / bases.mean()
    share = spread / (spread + mean / bases)
    assert rates == pytest.approx(mean + share * (counts / bases - mean))


def test_rates_that_vary_by_chance_alone_are_all_the_groups() -> None:
    counts, bases = np.array([10.0, 11.0, 9.0, NAN]), np.array([100.0, 100.0, 100.0, 100.0])
    rates = stages.shrink(counts, bases, ["g"] * 4)
    assert rates[:3] == pytest.approx([0.1, 0.1, 0.1])
    assert np.isnan(rates[3])


def test_groups_are_shrunk_apart_and_no_base_is_no_rate() -> None:
    counts, bases = np.array([10.0, 10.0, 90.0, 90.0, 3.0]), np.array([100.0, 100.0, 100.0, 100.0, 0.0])
    rates = stages.shrink(counts, bases, ["a", "a", "b", "b", "b"])
    assert rates[:4] == pytest.approx([0.1, 0.1, 0.9, 0.9])
    assert np.isnan(rates[4])


def test_trial_weights_stay_within_their_change_and_come_again_from_the_same_seed() -> None:
    own = np.array([1.0, 4.0])
    one, other = (stages.trial_weights(own, 500, 0.25, np.random.default_rng(7)) for _ in range(2))
    assert (one == other).all()
    assert (one / own).min() >= 0.75
    assert (one / own).max() <= 1.25
    assert np.ptp(one[:, 1] / 4) > 0.45


# COINr's build of the ASEM index -----------------------------------------------------------------------------------


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(ASEM / f"{name}.csv").set_index("uCode").sort_index()


@pytest.fixture(scope="module")
def meta() -> pd.DataFrame:
    return pd.read_csv(ASEM / "iMeta.csv").set_index("iCode")


@pytest.fixture(scope="module")
def indicators(meta: pd.DataFrame) -> list[str]:
    return meta.index[(meta["Type"] == "Indicator")].tolist()


@needs_asem
def test_imputation_by_group_median_is_coinrs(indicators: list[str]) -> None:
    groups = table("iData")["EurAsia_group"].tolist()
    before, wanted = table("stage_denominated")[indicators], table("impute_i_median_grp")[indicators]
    filled, imputed = stages.impute(before.to_numpy(float), groups)
    assert imputed.sum() == before.isna().to_numpy().sum() > 0
    assert filled == pytest.approx(wanted.to_numpy(float), abs=1e-12)


@needs_asem
def test_normalisation_between_given_goalposts_is_coinrs(meta: pd.DataFrame, indicators: list[str]) -> None:
    treated, wanted = table("stage_treated")[indicators], table("stage_normalised")[indicators]
    direction = meta.loc[indicators, "Direction"].to_numpy(float)
    assert {-1, 1} == set(direction)
    scores, clamped = stages.normalise(
        treated.to_numpy(float), treated.min().to_numpy(), treated.max().to_numpy(), direction, (0.0, 100.0)
    )
    assert not clamped.any()
    assert scores == pytest.approx(wanted.to_numpy(float), abs=1e-9)


@needs_asem
def test_aggregation_by_weighted_means_and_ranks_are_coinrs(meta: pd.DataFrame, indicators: list[str]) -> None:
    wanted = table("stage_aggregated")
    below, scores = indicators, wanted[indicators].to_numpy(float)
    levels = []
    while below != ["Index"]:
        parents = meta.loc[below, "Parent"].tolist()
        scores = stages.weighted_mean(scores, meta.loc[below, "Weight"].to_numpy(float), parents)
        below = list(dict.fromkeys(parents))
        assert scores == pytest.approx(wanted[below].to_numpy(float), abs=1e-9)
        levels.append(len(below))
    assert levels == [8, 2, 1]
    published = table("scores_and_ranks")["Rank"].tolist()
    assert stages.ranks(scores[:, 0], 9).tolist() == published


@needs_asem
def test_leaving_an_indicator_out_moves_ranks_as_in_coinr(meta: pd.DataFrame, indicators: list[str]) -> None:
    """COINr's mean absolute rank shift by indicator that is left out."""
    scores = table("stage_normalised")[indicators].to_numpy(float)
    nominal = stages.ranks(_asem_index(meta, indicators, scores, None), 9)
    wanted = pd.read_csv(ASEM / "remove_indicator.csv").set_index("removed")["mean_abs_rank_diff"]
    assert len(wanted) > 40
    for removed in wanted.index.drop("Nominal"):
        trial = stages.ranks(_asem_index(meta, indicators, scores, removed), 9)
        assert np.abs(trial - nominal).mean() == pytest.approx(wanted[removed], abs=1e-9), removed


def _asem_index(meta: pd.DataFrame, indicators: list[str], scores: np.ndarray, removed: str | None) -> np.ndarray:
    below = indicators
    while below != ["Index"]:
        parents = meta.loc[below, "Parent"].tolist()
        weights = np.array([0.0 if code == removed else meta.loc[code, "Weight"] for code in below])
        scores, below = stages.weighted_mean(scores, weights, parents), list(dict.fromkeys(parents))
    return scores[:, 0]
