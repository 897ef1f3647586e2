"""The fit of a hybrid's autoregression."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.training.autoregression import MOST_WINDOWS, fitted


def ar_2(steps: int, seed: int, noise_std: float = 0.1) -> Tensor:
    """A stationary autoregression of order 2, `[time, 1]`."""
    noise = noise_std * torch.randn(steps, generator=Generator().manual_seed(seed)).double()
    values = [torch.tensor(0.0).double()] * 2
    for own in noise:
        values.append(1.5 * values[-1] - 0.8 * values[-2] + own)
    return torch.stack(values[2:]).unsqueeze(1)


def test_it_finds_the_coefficients() -> None:
    fit = fitted([ar_2(4000, seed=0)], 2, 1, horizon=5, takes_level=False)
    expected = torch.tensor([[[-0.8], [1.5]]]).double()
    torch.testing.assert_close(fit.coefficients, expected, rtol=0.0, atol=0.05)
    torch.testing.assert_close(fit.rest_std, torch.tensor([0.1]).double(), rtol=0.05, atol=0.0)


def test_later_steps_are_fitted_by_themselves() -> None:
    """The coefficients two steps ahead are those of the recurrence applied twice."""
    fit = fitted([ar_2(4000, seed=1)], 2, 2, horizon=6, takes_level=False)
    expected = torch.tensor([1.5 * -0.8, 1.5**2 - 0.8]).double()
    torch.testing.assert_close(fit.coefficients[0, :, 1], expected, rtol=0.0, atol=0.1)
    # [step * channel]: the error grows with the step
    assert fit.rest_std[1] > 1.5 * fit.rest_std[0]


def test_of_very_many_windows_some_of_all_parts_are_fitted() -> None:
    """More are there than are fitted, and most of them, the first ones, say nothing."""
    wave = torch.sin(0.5 * torch.arange(9_000.0)).double()
    series = torch.cat([torch.zeros(2 * MOST_WINDOWS).double(), wave]).unsqueeze(1)
    fit = fitted([series], 2, 1, horizon=5, takes_level=False)
    expected = torch.tensor([-1.0, 2.0 * math.cos(0.5)]).double()
    torch.testing.assert_close(fit.coefficients[0, :, 0], expected, rtol=0.0, atol=0.01)


def test_channels_are_apart() -> None:
    one, other = ar_2(300, seed=2), torch.sin(torch.arange(300.0)).double().unsqueeze(1)
    both = fitted([torch.cat([one, other], 1)], 6, 3, horizon=9, takes_level=False)
    alone = [fitted([own], 6, 3, horizon=9, takes_level=False) for own in (one, other)]
    for channel, fit in enumerate(alone):
        assert torch.equal(both.coefficients[channel], fit.coefficients[0])
        assert torch.equal(both.rest_std[channel::2], fit.rest_std)


def test_no_window_runs_over_a_gap() -> None:
    """Pieces of a sine that do not meet are fitted as well as one."""
    wave = torch.sin(0.5 * torch.arange(300.0)).double().unsqueeze(1)
    fit = fitted([wave[:100], wave[107:180], wave[203:]], 8, 1, horizon=20, takes_level=False)
    assert fit.rest_std.item() < 1e-3


def test_both_ways_are_one_way_of_a_series_that_looks_the_same_backwards() -> None:
    """Of growth it is not: one lag that is fitted both ways suits neither."""
    wave = torch.cos(0.3 * torch.arange(-100.0, 101.0)).double().unsqueeze(1)
    growth = torch.exp(0.05 * torch.arange(60.0)).double().unsqueeze(1) / 10.0
    for series, is_alike in ((wave, True), (growth, False)):
        one, both = (
            fitted([series], 1, 1, horizon=10, takes_level=False, both_ways=way)
            for way in (False, True)
        )
        assert (both.rest_std < 2.0 * one.rest_std + 1e-5).item() == is_alike


@settings(max_examples=30, deadline=None)
@given(
    lags=st.integers(1, 12),
    ahead=st.integers(1, 6),
    scale=st.floats(0.5, 2.0),
    shift=st.floats(-2.0, 2.0),
    seed=st.integers(0, 100),
)
def test_symmetries(lags: int, ahead: int, scale: float, shift: float, seed: int) -> None:
    """Coefficients do not depend on the scale; of deviations, not on the level either."""
    # Standardised, since free runs are held within a bound.
    series = ar_2(120, seed)
    series = series / series.std()
    for takes_level in (False, True):
        fit = fitted([series], lags, ahead, horizon=10, takes_level=takes_level)
        moved = -scale * series + (shift if takes_level else 0.0)
        other = fitted([moved], lags, ahead, horizon=10, takes_level=takes_level)
        torch.testing.assert_close(other.coefficients, fit.coefficients, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(other.rest_std, scale * fit.rest_std, rtol=1e-6, atol=1e-6)
        if takes_level:
            sums = fit.coefficients.sum(1)
            torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("takes_level", [False, True])
@pytest.mark.parametrize("steps", [5, 6, 9, 40])
def test_short_and_constant_spans_have_finite_fits(steps: int, takes_level: bool) -> None:
    for series in (torch.full((steps, 1), 2.0), torch.zeros(steps, 1), ar_2(steps, seed=3)):
        fit = fitted([series], 3, 2, horizon=4, takes_level=takes_level)
        assert torch.isfinite(fit.coefficients).all()
        assert (fit.rest_std > 0.0).all()


def test_a_start_of_one_noisy_span_is_drawn_to_zero() -> None:
    """White noise has nothing to forecast: the strength that runs best has small coefficients."""
    noise = torch.randn(200, 1, generator=Generator().manual_seed(4)).double()
    fit = fitted([noise], 40, 1, horizon=40, takes_level=False)
    assert fit.coefficients.norm() < 0.3
