"""Weights of an ensemble: where they lie, and that no others have a smaller error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ensemble import combined, shrunk, simplex_weights

FloatArray = NDArray[np.float64]


def errors(seed: int, members: int, values: int = 50) -> FloatArray:
    """Errors `[member, value]`, correlated and of different sizes."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=values)
    sizes = generator.uniform(0.1, 3.0, size=(members, 1))
    return np.asarray(sizes * (generator.normal(size=(members, values)) + shared))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 16))
def test_weights_are_a_mean_of_the_least_error(seed: int, members: int) -> None:
    own = errors(seed, members)
    weights = simplex_weights(own @ own.T, ridge=1e-9)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)
    least = np.mean((weights @ own) ** 2)
    others = np.random.default_rng(seed).dirichlet(np.full(members, 0.3), size=300)
    tried = np.concatenate([others, np.eye(members)])
    assert least <= np.mean((tried @ own) ** 2, axis=1).min() * (1 + 1e-6)


@given(scale=st.floats(1e-12, 1e12))
def test_the_unit_of_errors_does_not_matter(scale: float) -> None:
    own = errors(3, 4)
    expected = simplex_weights(own @ own.T)
    np.testing.assert_allclose(simplex_weights(scale * (own @ own.T)), expected, atol=1e-8)


def test_members_of_equal_errors_share_and_a_bad_one_gets_nothing() -> None:
    same = errors(1, 1)
    twins = np.concatenate([same, same])
    np.testing.assert_allclose(simplex_weights(twins @ twins.T), [0.5, 0.5], atol=1e-6)
    with_bad = np.concatenate([same, 1e6 * errors(2, 1) + same])
    assert simplex_weights(with_bad @ with_bad.T)[1] < 1e-5


@given(seed=st.integers(0, 10_000), members=st.integers(1, 16))
def test_shrunk_weights_are_weights_and_each_member_has_some(seed: int, members: int) -> None:
    made = errors(seed, members)
    products = made @ made.T
    own = shrunk(simplex_weights(products), products)
    assert own.sum() == pytest.approx(1.0)
    assert own.min() > 0.0


def test_shrinking_goes_to_weights_as_the_inverse_squares_of_squared_errors() -> None:
    products = np.diag([1.0, 2.0, 4.0])
    own = shrunk(np.array([0.0, 0.0, 1.0]), products)
    expected = 0.5 * np.array([16.0, 4.0, 1.0]) / 21.0 + np.array([0.0, 0.0, 0.5])
    np.testing.assert_allclose(own, expected)


def test_shrinking_leaves_weights_where_a_member_errs_nowhere() -> None:
    weights = np.array([1.0, 0.0])
    assert np.array_equal(shrunk(weights, np.diag([0.0, 1.0])), weights)


def test_members_without_errors_share() -> None:
    assert simplex_weights(np.zeros((3, 3))).tolist() == [1 / 3] * 3


@pytest.mark.parametrize("products", [np.ones((2, 3)), np.full((2, 2), np.nan), np.ones((0, 0))])
def test_what_is_no_product_of_errors_is_refused(products: FloatArray) -> None:
    with pytest.raises(ValueError, match="products"):
        simplex_weights(products)


def test_a_member_without_weight_and_one_that_runs_away_change_nothing() -> None:
    good, bad = np.ones((2, 3)), np.full((2, 3), np.nan)
    assert np.array_equal(combined([good, bad], [1.0, 0.0]), good)
    assert np.array_equal(combined([good, 1e30 * good, 2 * good], None), 2 * good)
