"""A member that runs away by itself changes nothing; members that go together are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble import without_runaways

RNG = np.random.default_rng(0)
CONTEXTS = RNG.standard_normal((3, 2, 20, 1))
CALM = [RNG.standard_normal((3, 2, 30, 1)) for _ in range(5)]


@given(growth=st.floats(0.0, 10.0), level=st.floats(-1e6, 1e6))
def test_members_that_grow_together_are_left_alone(growth: float, level: float) -> None:
    trend = level + growth * np.arange(30.0)[:, np.newaxis]
    runs = [run + trend for run in CALM]
    for run, kept in zip(runs, without_runaways(runs, CONTEXTS + level), strict=True):
        np.testing.assert_array_equal(run, kept)


@pytest.mark.parametrize("end", [1e3, -1e9, 1e308, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("members", [3, 4, 5])
def test_a_member_that_runs_away_becomes_the_median_of_the_others(end: float, members: int) -> None:
    runs = [run.copy() for run in CALM[:members]]
    runs[1][2, 0, -1] = end
    kept = without_runaways(runs, CONTEXTS)
    expected = np.median(np.delete(np.stack(runs), 1, axis=0), axis=0)
    np.testing.assert_allclose(kept[1][2, 0], expected[2, 0], rtol=1e-12, atol=1e-12)
    # The other starts and replicas of the same member, and the other members, are as they were.
    np.testing.assert_array_equal(kept[1][2, 1], runs[1][2, 1])
    np.testing.assert_array_equal(kept[1][:2], runs[1][:2])
    for member in (0, *range(2, members)):
        np.testing.assert_array_equal(kept[member], runs[member])


def test_each_channel_is_looked_at_by_itself() -> None:
    runs = [np.concatenate([run, 1e6 * run], axis=-1) for run in CALM]
    contexts = np.concatenate([CONTEXTS, 1e6 * CONTEXTS], axis=-1)
    runs[0][..., 0] *= 1e4
    kept = without_runaways(runs, contexts)[0]
    assert np.abs(kept[..., 0]).max() < 10
    np.testing.assert_array_equal(kept[..., 1], runs[0][..., 1])


def test_of_one_or_two_members_none_is_told_to_be_wrong() -> None:
    for others in ([], [CALM[1]]):
        runs = [1e9 * CALM[0], *others]
        for run, kept in zip(runs, without_runaways(runs, CONTEXTS), strict=True):
            assert kept is run
