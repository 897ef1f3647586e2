"""The population's AdamW against torch's own optimiser, clipping and schedule, on each member."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.training.options.optimiser import AdamW
from models.training.trained_network import TrainedNetwork

STEPS = 7
CHOICES: list[dict[str, Any]] = [
    {"learning_rate": 1e-2},
    {"learning_rate": 3e-1, "schedule": "cosine"},
    {"learning_rate": 1e-3, "weight_decay": 0.5, "clip_norm": 0.1},
    {"learning_rate": 2e-2, "weight_decay": 0.1, "clip_norm": 2.0, "schedule": "cosine"},
]


@pytest.fixture
def candidates(make_candidate: Callable[..., TrainedNetwork]) -> list[TrainedNetwork]:
    return [make_candidate(training_steps=STEPS, **choice) for choice in CHOICES]


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


INITIAL, GRADIENTS = random(0, len(CHOICES), 9), random(1, STEPS, len(CHOICES), 9)


def test_each_member_is_updated_as_by_torch(candidates: list[TrainedNetwork]) -> None:
    weights = INITIAL.clone()
    optimiser = AdamW(candidates, weights, torch.ones_like(weights))
    ours = []
    for step in range(STEPS):
        optimiser.step(weights, GRADIENTS[step].clone())
        ours.append(weights.clone())

    for member, candidate in enumerate(candidates):
        own = candidate.optimiser
        parameter = torch.nn.Parameter(INITIAL[member].clone())
        theirs = torch.optim.AdamW([parameter], lr=own.learning_rate, weight_decay=own.weight_decay)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=STEPS)
        for step in range(STEPS):
            parameter.grad = GRADIENTS[step, member].clone()
            torch.nn.utils.clip_grad_norm_([parameter], own.clip_norm)
            theirs.step()
            if own.schedule == "cosine":
                cosine.step()
            torch.testing.assert_close(ours[step][member], parameter.detach(), rtol=1e-5, atol=1e-6)


def test_a_weight_that_is_not_trained_keeps_its_value(candidates: list[TrainedNetwork]) -> None:
    """Its gradient does not count in the norm that the others are clipped by."""

    def run(gradients: Tensor, trained: Tensor) -> Tensor:
        weights = INITIAL.clone()
        optimiser = AdamW(candidates, weights, trained)
        for gradient in gradients:
            optimiser.step(weights, gradient.clone())
        return weights

    trained = torch.ones_like(INITIAL)
    trained[1:, 3] = 0.0
    found = run(GRADIENTS, trained)
    assert torch.equal(found[1:, 3], INITIAL[1:, 3])
    assert torch.equal(found[0], run(GRADIENTS, torch.ones_like(INITIAL))[0])
    without = GRADIENTS * trained
    others = [0, 1, 2, 4, 5, 6, 7, 8]
    torch.testing.assert_close(found[:, others], run(without, torch.ones_like(INITIAL))[:, others])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_a_step_whose_gradient_is_not_finite_changes_nothing_of_its_member(
    candidates: list[TrainedNetwork], bad: float
) -> None:
    """1e30 is finite, but its norm is not."""

    def run(spoilt_step: int | None) -> list[Tensor]:
        weights = INITIAL.clone()
        optimiser = AdamW(candidates, weights, torch.ones_like(weights))
        seen = []
        for step in range(STEPS):
            gradient = GRADIENTS[step].clone()
            if step == spoilt_step:
                gradient[1, 4] = bad
            optimiser.step(weights, gradient)
            seen.append(weights.clone())
        return seen

    clean, spoilt = run(None), run(3)
    assert torch.equal(spoilt[3][1], spoilt[2][1])
    assert not torch.equal(spoilt[4][1], spoilt[3][1])
    assert torch.isfinite(spoilt[-1]).all()
    others = [0, 2, 3]
    assert torch.equal(spoilt[-1][others], clean[-1][others])


def test_kept_members_go_on_unchanged(candidates: list[TrainedNetwork]) -> None:
    all_weights, kept_weights = INITIAL.clone(), INITIAL.clone()
    everyone, some = (
        AdamW(candidates, weights, torch.ones_like(weights))
        for weights in (all_weights, kept_weights)
    )
    rows = [3, 1]
    for step in range(STEPS):
        everyone.step(all_weights, GRADIENTS[step].clone())
        if step == 3:
            kept_weights = kept_weights[rows].clone()
            some.keep(rows)
        gradient = GRADIENTS[step].clone() if step < 3 else GRADIENTS[step, rows]
        some.step(kept_weights, gradient)
    assert torch.equal(kept_weights, all_weights[rows])


@pytest.mark.parametrize("parameters", [1, 7, 8, 9, 40, 61])
def test_compiled_steps_are_those_of_torch(
    candidates: list[TrainedNetwork], parameters: int
) -> None:
    """Double precision, which torch computes, tells what single precision should be."""
    gradients = random(2, STEPS, len(CHOICES), parameters)
    gradients[3, 1, 0] = torch.nan
    trained = (random(3, len(CHOICES), parameters) > -1.5).float()
    found = []
    for dtype in (torch.float32, torch.float64):
        weights = random(4, len(CHOICES), parameters).to(dtype)
        optimiser = AdamW(candidates, weights, trained.to(dtype))
        for gradient in gradients:
            optimiser.step(weights, gradient.to(dtype))
        found.append(weights.double())
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_compiled_code_would_read_beyond_is_refused(
    candidates: list[TrainedNetwork], dtype: torch.dtype
) -> None:
    weights = INITIAL.to(dtype)
    optimiser = AdamW(candidates, weights, torch.ones_like(weights))
    with pytest.raises(ValueError, match=r"must have the shape \[4, 9\], .* \[4, 9\] and \[3, 9\]"):
        optimiser.step(weights, GRADIENTS[0][:3].to(dtype))
    for gradient in GRADIENTS:
        optimiser.step(weights, gradient.to(dtype))
    with pytest.raises(IndexError, match=f"there are {STEPS} steps"):
        optimiser.step(weights, GRADIENTS[0].to(dtype))
