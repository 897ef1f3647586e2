"""The further losses' gradients against their formulas by autograd in float64, and their limits."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.methods import methods
from models.network.parameters import ALIGNMENT
from models.training.losses.growth import GrowthPenalty
from models.training.losses.loss import CountedSteps, Loss
from models.training.losses.spectral import Spectral, tables
from tests.models.training.reference_loss import amplitude_of, spectral_of, velocity_of

LOSSES = {m.name: m.gradient for m in methods() if issubclass(m, Loss)}

FORMULAS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "velocity": lambda forecast, truth, _: velocity_of(forecast, truth),
    "spectral": spectral_of,
    "amplitude": lambda forecast, truth, _: amplitude_of(forecast, truth),
}


def counted(first: list[int], end: list[int]) -> CountedSteps:
    return CountedSteps(torch.tensor(first).float(), torch.tensor(end).float())


def runs(members: int, batch: int, channels: int, steps: int, seed: int = 0) -> Tensor:
    return torch.randn(members, batch, channels, steps, generator=Generator().manual_seed(seed))


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(sorted(FORMULAS)),
    steps=st.integers(1, 17),
    batch=st.integers(1, 3),
    channels=st.integers(1, 2),
    data=st.data(),
)
def test_gradient_over_any_steps_that_count(
    name: str, steps: int, batch: int, channels: int, data: st.DataObject
) -> None:
    firsts = data.draw(st.lists(st.integers(0, steps - 1), min_size=2, max_size=2))
    ends = [data.draw(st.integers(first + 1, steps)) for first in firsts]
    forecast, truth = runs(2, batch, channels, steps, 1), runs(2, batch, channels, steps, 2)
    ours = LOSSES[name](forecast, truth, counted(firsts, ends))
    for member, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        leaf = forecast[member].double().requires_grad_()
        inside = leaf[..., first:end], truth[member].double()[..., first:end]
        loss = FORMULAS[name](*inside, steps)
        expected = torch.zeros_like(leaf)
        if loss.requires_grad:
            (expected,) = torch.autograd.grad(loss, leaf)
        torch.testing.assert_close(ours[member].double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_gradient_is_that_of_some_function(name: str) -> None:
    """Its Jacobian, by central differences, is symmetric."""
    forecast, truth = (runs(1, 1, 2, 5, seed).double() for seed in (1, 2))
    steps = counted([1], [5])

    def gradient(moved: Tensor) -> Tensor:
        return LOSSES[name](forecast + moved.view_as(forecast), truth, steps).flatten()

    moves = 1e-5 * torch.eye(forecast.numel()).double()
    jacobian = torch.stack([(gradient(m) - gradient(-m)) / 2e-5 for m in moves])
    assert gradient(moves[0]).abs().max() > 0.01
    torch.testing.assert_close(jacobian, jacobian.T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_only_the_steps_that_count_have_a_gradient_and_members_are_apart(name: str) -> None:
    forecast, truth = runs(3, 2, 2, 9, 1), runs(3, 2, 2, 9, 2)
    gradient = LOSSES[name](forecast, truth, counted([0, 2, 5], [9, 7, 6]))
    assert not gradient[1, ..., :2].any()
    assert not gradient[1, ..., 7:].any()
    assert not gradient[2, ..., [0, 1, 2, 3, 4, 6, 7, 8]].any()
    alone = LOSSES[name](forecast[[1, 1]], truth[[1, 1]], counted([2, 2], [7, 7]))
    assert torch.equal(gradient[1], alone[0])


@pytest.mark.parametrize("name", LOSSES)
def test_the_truth_itself_costs_nothing(name: str) -> None:
    truth = runs(2, 3, 1, 20)
    gradient = LOSSES[name](truth.clone(), truth, counted([0, 2], [20, 9]))
    assert gradient.abs().max() < 1e-5


def test_a_level_has_no_velocity_and_no_amplitude() -> None:
    """Both losses let a forecast be shifted as a whole."""
    truth = runs(1, 2, 1, 30)
    for name in ("velocity", "amplitude"):
        shifted = LOSSES[name](truth + 3.0, truth, counted([0], [30]))
        assert shifted.abs().max() < 1e-5


def test_the_amplitude_loss_enlarges_a_small_swing_of_a_flat_line() -> None:
    wave = torch.sin(torch.arange(50) * 2 * math.pi / 25).view(1, 1, 1, 50)
    gradient = LOSSES["amplitude"](0.01 * wave, wave, counted([0], [50]))
    # Descent enlarges what is there; the loss is (std - 100 std)^2, however small std is.
    assert (gradient * wave).sum() < 0
    spread = float(wave.std(correction=0))
    assert (gradient * wave).sum() == pytest.approx(-2 * 0.99 * spread**2, rel=1e-4)


def test_the_spectral_loss_pulls_an_error_at_one_frequency_as_hard_however_small_it_is() -> None:
    wave = torch.cos(torch.arange(40) * 2 * math.pi * 4 / 40).view(1, 1, 1, 40)
    truth = torch.zeros_like(wave)
    large = LOSSES["spectral"](wave, truth, counted([0], [40]))
    small = LOSSES["spectral"](1e-3 * wave, truth, counted([0], [40]))
    assert (large * wave).sum() == pytest.approx(float((small * wave).sum()), rel=1e-2)
    # |rfft| of the wave is 20 at one of 21 frequencies; over the root of 40 steps.
    assert (large * wave).sum() == pytest.approx(20 / 21 / 40**0.5, rel=1e-3)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_the_growth_penalty_pulls_differences_to_keep_their_size(factor: float) -> None:
    """A difference that is multiplied by `factor` with each step."""
    run = runs(1, 2, 1, 12)
    apart = 0.1 * factor ** torch.arange(12.0).view(1, 1, 1, 12)
    gradient = GrowthPenalty.gradient(run, run + apart, counted([0], [12]))
    late = gradient[..., 6:].sum()
    if factor == 1.0:
        assert gradient.abs().max() < 1e-4
    else:
        assert (late > 0) == (factor > 1.0)
        assert (gradient[..., :6].sum() < 0) == (factor > 1.0)


def test_one_step_grows_nowhere() -> None:
    run = runs(2, 2, 2, 5)
    gradient = GrowthPenalty.gradient(run, run + 0.1, counted([0, 3], [1, 4]))
    assert not gradient.any()


@pytest.mark.parametrize("steps", [5, 64, 150, 301])
def test_all_members_of_any_cohort_share_the_spectral_losses_tables(steps: int) -> None:
    """Which takes no bit away from what a member has alone, beside its twin."""
    forecast, truth = runs(37, 4, 1, steps, 1), runs(37, 4, 1, steps, 2)
    every = Spectral.gradient(forecast, truth, counted([0] * 37, [steps] * 37))
    for member in (0, 17, 36):
        twins = [member, member]
        alone = Spectral.gradient(forecast[twins], truth[twins], counted([0] * 2, [steps] * 2))
        assert torch.equal(every[member], alone[0])
    shared = tables(steps)
    assert tables.cache_info().currsize == 1
    assert all(table is other for table, other in zip(shared, tables(steps), strict=True))
    padded = steps + ALIGNMENT
    assert all(table.numel() <= padded * (padded + ALIGNMENT) for table in shared)
