"""Sums over all windows against sums over windows that are made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.hankel import hankel_products, less_level

FloatArray = NDArray[np.float64]


def windows_of(pieces: list[FloatArray], width: int) -> FloatArray:
    """All windows of some pieces, `[window, width * channel]`."""
    own = [p[t : t + width].ravel() for p in pieces for t in range(len(p) - width + 1)]
    return np.stack(own)


@settings(deadline=None)
@given(
    width=st.integers(1, 6),
    channels=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_products_are_those_of_all_windows(
    width: int, channels: int, lengths: list[int], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    pieces = [generator.normal(size=(length, channels)) for length in lengths]
    if max(lengths) < width:
        with pytest.raises(ValueError, match=f"must have a window of {width} values"):
            hankel_products(pieces, width)
        return
    windows = windows_of(pieces, width)
    found, count = hankel_products(pieces, width)
    assert count == len(windows)
    np.testing.assert_allclose(found, windows.T @ windows, atol=1e-11)


@settings(deadline=None)
@given(width=st.integers(1, 6), channels=st.integers(1, 3), seed=st.integers(0, 1000))
def test_a_level_is_taken_off_each_window(width: int, channels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    series, weights = generator.normal(size=(12, channels)), generator.normal(size=width)
    windows = windows_of([series], width).reshape(-1, width, channels)
    level = np.einsum("w,nwc->nc", weights, windows)
    shifted = (windows - level[:, None]).reshape(len(windows), -1)
    found = less_level(hankel_products([series], width)[0], weights, channels)
    np.testing.assert_allclose(found, shifted.T @ shifted, atol=1e-11)


def test_products_stay_exact_over_a_long_series() -> None:
    """Each is made of the one before it, so that rounding could add up."""
    series = np.random.default_rng(0).normal(size=(3000, 1)).cumsum(axis=0)
    windows = windows_of([series], 300)
    found, _ = hankel_products([series], 300)
    np.testing.assert_allclose(found, windows.T @ windows, rtol=1e-12)
