"""Ridge regression against its closed formula and numpy's least squares."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.closed_form.ridge import Ridge

FloatArray = NDArray[np.float64]


def problem(rows: int, features: int, channels: int = 2) -> tuple[FloatArray, FloatArray]:
    generator = np.random.default_rng(rows)
    return generator.normal(size=(rows, features)), generator.normal(size=(rows, channels))


@pytest.mark.parametrize("strength", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize(("rows", "features"), [(40, 7), (7, 7), (5, 12)])
def test_every_strength_is_the_solution_of_the_normal_equations(
    rows: int, features: int, strength: float
) -> None:
    x, y = problem(rows, features)
    gram = x.T @ x + rows * strength * np.eye(features)
    expected = np.linalg.solve(gram, x.T @ y)
    np.testing.assert_allclose(Ridge.of([(x, y)]).at(strength), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("rows", "features"), [(40, 7), (5, 12)])
def test_without_strength_it_is_the_least_squares_of_least_norm(rows: int, features: int) -> None:
    x, y = problem(rows, features)
    expected = np.linalg.lstsq(x, y)[0]
    np.testing.assert_allclose(Ridge.of([(x, y)]).at(0.0), expected, atol=1e-10)


def test_features_that_repeat_share_a_coefficient_and_absent_ones_have_none() -> None:
    x, y = problem(30, 3)
    doubled = np.concatenate([x, x, np.zeros((30, 1))], axis=1)
    found = Ridge.of([(doubled, y)]).at(0.0)
    np.testing.assert_allclose(found[:3], found[3:6], atol=1e-10)
    assert not found[6].any()
    np.testing.assert_allclose(found[:3] + found[3:6], np.linalg.lstsq(x, y)[0], atol=1e-10)


def test_blocks_of_rows_are_one_problem() -> None:
    x, y = problem(50, 6)
    whole = Ridge.of([(x, y)]).at(1e-3)
    parts = Ridge.of([(x[:3], y[:3]), (x[3:20], y[3:20]), (x[20:], y[20:])]).at(1e-3)
    np.testing.assert_allclose(parts, whole, rtol=1e-10)


def test_fitted_increments_are_drawn_to_the_latest_values() -> None:
    x, y = problem(50, 6)
    latest = slice(4, 6)
    increments = Ridge.of([(x, y - x[:, latest])]).at(0.1)
    increments[latest] += np.eye(2)
    np.testing.assert_allclose(Ridge.of([(x, y)], latest).at(0.1), increments, rtol=1e-12)
    persistence = Ridge.of([(x, y)], latest).at(1e12)
    np.testing.assert_allclose(persistence[latest], np.eye(2), atol=1e-6)


def test_the_condition_is_not_squared() -> None:
    """Directions of 1e-9, whose squares are below the rounding of the largest one's square."""
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.normal(size=(n, 4)))[0] for n in (60, 4))
    sizes = np.array([1.0, 1e-3, 1e-6, 1e-9])
    wanted = np.array([[1.0], [2.0], [3.0], [4.0]])
    x = (left * sizes) @ right.T
    found = Ridge.of([(x, x @ right @ wanted)]).at(0.0)
    np.testing.assert_allclose(right.T @ found, wanted, rtol=1e-5)
