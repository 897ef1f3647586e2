"""The stated error of tanh and the logistic function, and what they make of special numbers."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from models.network.kernels.squashing import logistic, tanh
from models.network.kernels.vectors import LANES, load, store

ERROR = 5e-7


@njit
def squash(x, by_tanh, by_logistic):  # type: ignore[no-untyped-def]
    for i in range(0, len(x), LANES):
        store(by_tanh, i, tanh(load(x, i)))  # type: ignore[no-untyped-call]
        store(by_logistic, i, logistic(load(x, i)))


def squashed(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both functions of as many numbers as fill whole vectors."""
    by_tanh, by_logistic = np.empty_like(x), np.empty_like(x)
    squash(x, by_tanh, by_logistic)
    return by_tanh, by_logistic


def test_error_in_single_precision() -> None:
    dense = np.linspace(-20, 20, LANES * 200_000)
    small = np.geomspace(1e-35, 20, LANES * 50_000)
    x = np.concatenate([dense, small, -small]).astype(np.float32)
    by_tanh, by_logistic = squashed(x)
    exact = x.astype(np.float64)
    assert np.abs(by_tanh - np.tanh(exact)).max() <= ERROR
    assert np.abs(by_logistic - 1 / (1 + np.exp(-exact))).max() <= ERROR
    # Near zero the relative error counts: tanh is odd, and as good as its argument.
    near = np.abs(x) < 0.5
    np.testing.assert_allclose(by_tanh[near], np.tanh(exact[near]), rtol=5e-7)
    np.testing.assert_array_equal(by_tanh, -squashed(-x)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_numbers(dtype: type[np.floating[Any]]) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 100.0, -100.0, 3e38, -3e38], dtype=dtype)
    by_tanh, by_logistic = squashed(x)
    assert np.isnan(by_tanh[0])
    assert np.isnan(by_logistic[0])
    np.testing.assert_allclose(by_tanh[1:], [1, -1, 0, 1, -1, 1, -1], atol=ERROR)
    np.testing.assert_allclose(by_logistic[1:], [1, 0, 0.5, 1, 0, 1, 0], atol=ERROR)


def test_double_precision() -> None:
    x = np.linspace(-20, 20, LANES * 100)
    np.testing.assert_allclose(squashed(x)[0], np.tanh(x), rtol=1e-14)
