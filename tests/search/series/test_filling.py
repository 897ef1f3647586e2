"""What is missing is filled in from its neighbours and the season, and never from what comes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.series.filling import FillError, Filling, Run, fill, without_foresight

MONTHS = np.arange(240)
SEASONAL = 10 + 0.05 * MONTHS + 3 * np.sin(2 * np.pi * MONTHS / 12) + np.cos(np.pi * MONTHS / 3)


def with_gaps(values: np.ndarray, *gaps: slice) -> np.ndarray:
    holed = values.astype(float).copy()
    for gap in gaps:
        holed[gap] = np.nan
    return holed[:, np.newaxis] if holed.ndim == 1 else holed


def test_a_straight_line_is_between_the_neighbours() -> None:
    filled = fill(with_gaps(np.arange(10.0), slice(3, 6), slice(8, 9)), ["x"], "interpolate", None)
    np.testing.assert_allclose(filled.values[:, 0], np.arange(10.0))
    assert filled.runs == (Run(0, 3, 6, seen=7, end=7), Run(0, 8, 9, seen=10, end=10))


@pytest.mark.parametrize("periods", [(12.0,), (4.0, 12.0)])
@pytest.mark.parametrize("gap", [slice(100, 130), slice(30, 33), slice(5, 9), slice(227, 239)])
def test_a_season_with_a_trend_is_filled_in(gap: slice, periods: tuple[float, ...]) -> None:
    filled = fill(with_gaps(SEASONAL, gap), ["x"], "seasonal", periods)
    np.testing.assert_allclose(filled.values[:, 0], SEASONAL, atol=0.1)
    assert [run.season for run in filled.runs] == [12.0]
    line = fill(with_gaps(SEASONAL, gap), ["x"], "interpolate", None)
    assert np.abs(line.values[:, 0] - SEASONAL).max() > 0.5


def test_noise_does_not_mislead_the_season() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, len(MONTHS))
    filled = fill(with_gaps(SEASONAL + noise, slice(100, 130)), ["x"], "seasonal", (12.0,))
    assert np.abs(filled.values[100:130, 0] - SEASONAL[100:130]).mean() < 0.5


def test_channels_are_filled_in_each_by_itself() -> None:
    values = np.column_stack([SEASONAL, -2 * SEASONAL])
    holed = values.copy()
    holed[50:60, 0] = np.nan
    holed[55:70, 1] = np.nan
    filled = fill(holed, ["a", "b"], "seasonal", (12.0,))
    np.testing.assert_allclose(filled.values, values, atol=0.1)
    assert [(run.channel, run.start, run.stop) for run in filled.runs] == [(0, 50, 60), (1, 55, 70)]


def test_the_season_of_a_gap_does_not_look_ahead() -> None:
    changed = SEASONAL.copy()
    changed[150:] = 100  # behind the value that ends the gap
    a, b = (
        fill(with_gaps(v, slice(120, 149)), ["x"], "seasonal", (12.0,)) for v in (SEASONAL, changed)
    )
    np.testing.assert_array_equal(a.values[:149], b.values[:149])


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 999),
    gaps=st.lists(
        st.tuples(st.integers(1, 80), st.integers(1, 19))
        | st.tuples(st.integers(1, 9), st.just(1)),
        min_size=1,
        max_size=3,
    ),
    starts=st.lists(st.integers(2, 118) | st.integers(2, 20), min_size=1, max_size=3),
    how=st.sampled_from(["interpolate", "seasonal"]),
)
@example(seed=0, gaps=[(1, 1)], starts=[6], how="seasonal")
@example(seed=0, gaps=[(1, 4)], starts=[4, 9], how="seasonal")
# A season from rows that a later gap's line is in; and one from a gap that itself looked ahead.
@example(seed=0, gaps=[(1, 1), (8, 12)], starts=[15], how="seasonal")
@example(seed=0, gaps=[(1, 3), (9, 1)], starts=[12], how="seasonal")
def test_no_row_before_a_start_knows_what_comes(
    seed: int, gaps: list[tuple[int, int]], starts: list[int], how: Filling
) -> None:
    """Rows that a free run reads are the same whatever the rows are that it forecasts."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=120)
    for start in starts:
        other = np.concatenate([values[:start], 50 + rng.normal(size=120 - start)])
        seen = []
        for own in (values, other):
            gapped = with_gaps(own, *(slice(first, first + rows) for first, rows in gaps))
            filled = fill(gapped, ["x"], how, (4.0,))
            seen.append(without_foresight(filled.values, filled.runs, starts))
            last = max(starts)
            np.testing.assert_array_equal(seen[-1][last:], filled.values[last:])
        np.testing.assert_array_equal(seen[0][:start], seen[1][:start])


def test_ends_are_cut_off_and_long_ones_refused() -> None:
    filled = fill(with_gaps(SEASONAL, slice(0, 5), slice(230, 240)), ["x"], "interpolate", None)
    assert filled.kept == range(5, 230)
    np.testing.assert_array_equal(filled.values[:, 0], SEASONAL[5:230])
    with pytest.raises(FillError, match="'x' begins in row 31 of 240; leave it out, or cut the ta"):
        fill(with_gaps(SEASONAL, slice(0, 30)), ["x"], "interpolate", None)
    with pytest.raises(FillError, match="'x' ends in row 200 of 240"):
        fill(with_gaps(SEASONAL, slice(200, 240)), ["x"], "interpolate", None)


def test_what_can_not_be_filled_in_is_refused() -> None:
    with pytest.raises(FillError, match=r"more than half of the values must .* 'x' has 40"):
        fill(with_gaps(SEASONAL, slice(20, 220)), ["x"], "interpolate", None)
    straight = with_gaps(np.arange(50.0), slice(20, 25))
    with pytest.raises(FillError, match=r"no period is given; write the period in \[series\]"):
        fill(straight, ["x"], "seasonal", None)
    with pytest.raises(FillError, match="the rows look like period = 12"):
        fill(with_gaps(SEASONAL, slice(100, 130)), ["x"], "seasonal", None)
    with pytest.raises(FillError, match="fits into the rows twice"):
        fill(straight, ["x"], "seasonal", (26.0,))
