"""Conformal bounds reach their level on exchangeable scores; bands follow errors by horizon."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.conformal import (
    RunErrors,
    conformal_quantile,
    conformal_rank,
    interval_score,
    least_scores,
)

HORIZON = 20
STEPS = np.arange(1, HORIZON + 1)


def apart(runs: int) -> np.ndarray:
    """Places of runs that share no rows."""
    return HORIZON * np.arange(runs)


def walks(random: np.random.Generator, runs: int, channels: int = 1) -> np.ndarray:
    """Errors that grow with the root of the horizon."""
    return random.standard_normal((runs, HORIZON, channels)).cumsum(axis=1)


@given(level=st.floats(0.05, 0.99))
def test_the_fewest_scores_are_those_at_which_a_rank_is_among_them(level: float) -> None:
    least = least_scores(level)
    assert conformal_rank(least, level) <= least
    assert least == 1 or conformal_rank(least - 1, level) > least - 1


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_the_fewest_scores_are_those_of_the_literature(level: float, least: int) -> None:
    assert least_scores(level) == least


@settings(deadline=None)
@given(
    count=st.integers(1, 60),
    level=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_bound_is_the_order_statistic_of_split_conformal(
    count: int, level: float, seed: int
) -> None:
    scores = np.random.default_rng(seed).random(count)
    rank = min(conformal_rank(count, level), count)
    assert conformal_quantile(scores, level) == np.sort(scores)[rank - 1]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-6, 1e6))
def test_half_widths_have_the_units_of_errors_and_grow_with_the_level(
    seed: int, scale: float
) -> None:
    errors = walks(np.random.default_rng(seed), 12)
    own = RunErrors(errors, STEPS, apart(12))
    half = own.half_widths(0.8, 30)
    np.testing.assert_allclose(
        RunErrors(scale * errors, STEPS, apart(12)).half_widths(0.8, 30), scale * half, rtol=1e-9
    )
    assert (own.half_widths(0.5, 30) <= half).all()


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("runs", [9, 16, 64])
def test_a_level_is_reached_by_new_exchangeable_scores(level: float, runs: int) -> None:
    """Exact for one score each: below the level by at most four standard errors of the count."""
    random, times = np.random.default_rng(7), 2000
    inside = 0
    for _ in range(times):
        scores = random.standard_exponential(runs + 1)
        inside += bool(scores[-1] <= conformal_quantile(scores[:-1], level))
    assert inside / times >= level - 4 * np.sqrt(level * (1 - level) / times)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_bands_hold_their_level_of_new_exchangeable_runs(level: float) -> None:
    random, runs, shares, measured = np.random.default_rng(3), 16, [], []
    for _ in range(60):
        own = RunErrors(walks(random, runs), STEPS, apart(runs))
        new = np.abs(walks(random, 40))
        shares.append((new <= own.half_widths(level, HORIZON)).mean())
        measured.append(own.covered(level))
    error = 4 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) >= level - error - 0.01
    assert np.mean(shares) <= level + 0.15
    assert abs(np.mean(measured) - np.mean(shares)) < 0.06


def test_a_channel_has_its_own_band() -> None:
    errors = walks(np.random.default_rng(0), 30, channels=2) * np.array([1.0, 100.0])
    both = RunErrors(errors, STEPS, apart(30)).half_widths(0.8, HORIZON)
    alone = RunErrors(errors[:, :, 1:], STEPS, apart(30)).half_widths(0.8, HORIZON)
    np.testing.assert_allclose(both[:, 1:], alone)
    assert (both[:, 1] > 20 * both[:, 0]).all()


def test_beyond_the_longest_run_a_band_goes_on_and_never_narrows() -> None:
    random = np.random.default_rng(1)
    walk = RunErrors(walks(random, 200), STEPS, apart(200)).half_widths(0.8, 4 * HORIZON)
    # Four horizons on, the error of a random walk is twice as large.
    assert walk[-1, 0] / walk[HORIZON - 1, 0] == pytest.approx(2.0, rel=0.25)
    fading = random.standard_normal((200, HORIZON, 1)) / STEPS[:, np.newaxis]
    steady = RunErrors(fading, STEPS, apart(200)).half_widths(0.8, 4 * HORIZON)
    np.testing.assert_allclose(steady[HORIZON:, 0], steady[HORIZON - 1, 0])
    exploding = random.standard_normal((200, HORIZON, 1)) * 2.0 ** STEPS[:, np.newaxis]
    bounded = RunErrors(exploding, STEPS, apart(200)).half_widths(0.8, 2 * HORIZON)
    assert bounded[-1, 0] == pytest.approx(2 * bounded[HORIZON - 1, 0])


def test_thinned_steps_are_interpolated_and_runs_may_end_early() -> None:
    errors = walks(np.random.default_rng(2), 60)
    whole = RunErrors(errors, STEPS, apart(60)).half_widths(0.8, HORIZON)
    kept = np.array([0, 4, 9, 14, 19])
    thinned = RunErrors(errors[:, kept], STEPS[kept], apart(60)).half_widths(0.8, HORIZON)
    assert thinned.shape == whole.shape
    np.testing.assert_allclose(thinned, whole, rtol=0.5)
    errors[::2, 10:] = np.nan
    cut = RunErrors(errors, STEPS, apart(60))
    assert np.isfinite(cut.half_widths(0.8, HORIZON)).all()
    assert 0.6 < cut.covered(0.8) < 1.0


@pytest.mark.parametrize("scale", [0.1, 100.0])
def test_a_channel_that_only_runs_near_each_other_know_has_a_band(scale: float) -> None:
    errors = scale * walks(np.random.default_rng(5), 9, channels=2)
    places = np.concatenate([[0, 1, 2], HORIZON * np.arange(1, 7)])
    errors[3:, :, 1] = np.nan
    own = RunErrors(errors, STEPS, places)
    most = np.nanmax(np.abs(errors))
    for half in (own.half_widths(0.8, HORIZON), own.crosswise(0.8)):
        assert np.isfinite(half).all()
        assert half.max() < 10 * most
    assert 0.5 < own.covered(0.8) <= 1.0


def test_runs_near_each_other_count_less_than_all() -> None:
    errors = walks(np.random.default_rng(4), 40)
    near = RunErrors(errors, STEPS, np.arange(40))
    assert RunErrors(errors, STEPS, apart(40)).count == 40
    assert near.count == 14  # an eighth of 20 steps is 2.5
    assert near.runs == 40


def test_a_single_run_and_errors_of_zero_have_bands() -> None:
    single = RunErrors(np.ones((1, HORIZON, 1)), STEPS, apart(1))
    np.testing.assert_allclose(single.half_widths(0.8, HORIZON), 1.0)
    exact = RunErrors(np.zeros((5, HORIZON, 1)), STEPS, apart(5))
    assert exact.half_widths(0.8, HORIZON).max() < 1e-300


@pytest.mark.parametrize(
    ("errors", "steps", "places", "said"),
    [
        (np.zeros((3, 4, 1)), np.arange(1, 4), np.arange(3), "must go with"),
        (np.zeros((3, 4, 1)), np.arange(1, 5), np.arange(2), "must go with"),
        (np.zeros((3, 4, 1)), np.arange(4), np.arange(3), "increase from 1 on"),
        (np.full((3, 4, 1), np.nan), np.arange(1, 5), np.arange(3), "finite error"),
        (np.full((3, 4, 1), np.inf), np.arange(1, 5), np.arange(3), "finite error"),
    ],
)
def test_errors_that_do_not_fit_are_refused(
    errors: np.ndarray, steps: np.ndarray, places: np.ndarray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        RunErrors(errors, steps, places)


def test_the_interval_score_of_a_normal_distribution_is_least_at_its_quantiles() -> None:
    observed = np.random.default_rng(0).standard_normal((20_000, 1))
    observed[::7] = np.nan
    scores = [
        interval_score(-half * np.ones_like(observed), half * np.ones_like(observed), observed, 0.8)
        for half in (0.9, 1.2816, 1.7)
    ]
    assert scores[1] < min(scores[0], scores[2])
    # 2 phi(z) / (alpha / 2), Gneiting & Raftery (2007).
    assert scores[1] == pytest.approx(2 * 0.17550 / 0.1, rel=0.02)
