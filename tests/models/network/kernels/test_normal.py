"""Normal random numbers: their distribution, and that they follow from a seed alone."""

from statistics import NormalDist

import numpy as np
import pytest

from models.network.kernels.normal import fill

MANY = 400_000


def drawn(count: int, seed: int, std: float = 1.0) -> np.ndarray:
    numbers = np.full(count, np.nan, dtype=np.float32)
    fill(numbers, seed, std)
    return numbers


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_they_are_normal(seed: int) -> None:
    """Moments and shares below some values are within four standard errors."""
    numbers = drawn(MANY, seed).astype(np.float64)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (numbers**power).mean() == pytest.approx(mean, abs=4 * (variance / MANY) ** 0.5)
    for value in (-3.5, -2.0, -1.0, -0.1, 0.0, 0.3, 1.0, 2.5, 4.0):
        share = NormalDist().cdf(value)
        error = 4 * (share * (1 - share) / MANY) ** 0.5
        assert (numbers < value).mean() == pytest.approx(share, abs=error)


def test_numbers_know_nothing_of_each_other() -> None:
    numbers, others = drawn(MANY, 3), drawn(MANY, 4)
    limit = 4 / MANY**0.5
    assert abs(np.corrcoef(numbers, others)[0, 1]) < limit
    for lag in (1, 2, 7, 8, 9, 15, 16, 32):
        now, later = numbers[:-lag], numbers[lag:]
        assert abs(np.corrcoef(now, later)[0, 1]) < limit
        assert abs(np.corrcoef(now**2, later**2)[0, 1]) < limit


def test_each_count_begins_with_the_same_numbers() -> None:
    whole = drawn(100, 5)
    assert np.isfinite(whole).all()
    for count in range(50):
        assert np.array_equal(drawn(count, 5), whole[:count])
    assert len(np.unique(whole)) == 100


def test_they_have_the_standard_deviation_that_is_asked_for() -> None:
    np.testing.assert_allclose(drawn(40, 6, 0.3), 0.3 * drawn(40, 6), rtol=1e-6)
    assert not drawn(40, 6, 0.0).any()
