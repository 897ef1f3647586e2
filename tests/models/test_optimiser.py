"""The population's AdamW against torch's own optimiser, clipping and schedule, on each member."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.candidate import Candidate, Strategy
from models.optimiser import AdamW

STEPS = 7
CHOICES: list[dict[str, Any]] = [
    {"learning_rate": 1e-2},
    {"learning_rate": 3e-1, "schedule": "cosine"},
    {"learning_rate": 1e-3, "weight_decay": 0.5, "clip_norm": 0.1},
    {"learning_rate": 2e-2, "weight_decay": 0.1, "clip_norm": 2.0, "schedule": "cosine"},
]


@pytest.fixture
def strategies(make_candidate: Callable[..., Candidate]) -> list[Strategy]:
    return [make_candidate(training_steps=STEPS, **choice).strategy for choice in CHOICES]


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def test_each_member_is_updated_as_by_torch(strategies: list[Strategy]) -> None:
    initial, gradients = random(0, len(strategies), 9), random(1, STEPS, len(strategies), 9)
    weights = initial.clone()
    optimiser = AdamW(strategies, weights, torch.ones_like(weights))
    ours = []
    for step in range(STEPS):
        optimiser.step(gradients[step].clone())
        ours.append(weights.clone())

    for member, strategy in enumerate(strategies):
        parameter = torch.nn.Parameter(initial[member].clone())
        theirs = torch.optim.AdamW(
            [parameter], lr=strategy.learning_rate, weight_decay=strategy.weight_decay
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=STEPS)
        for step in range(STEPS):
            parameter.grad = gradients[step, member].clone()
            torch.nn.utils.clip_grad_norm_([parameter], strategy.clip_norm)
            theirs.step()
            if strategy.schedule == "cosine":
                cosine.step()
            torch.testing.assert_close(ours[step][member], parameter.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_a_gradient_that_is_not_finite_changes_its_member_only_by_nothing(
    strategies: list[Strategy], bad: float
) -> None:
    """1e30 is finite, but its norm is not."""
    initial, gradients = random(0, len(strategies), 9), random(1, STEPS, len(strategies), 9)

    def run(spoilt_step: int | None) -> list[Tensor]:
        weights = initial.clone()
        optimiser = AdamW(strategies, weights, torch.ones_like(weights))
        seen = []
        for step in range(STEPS):
            gradient = gradients[step].clone()
            if step == spoilt_step:
                gradient[1, 4] = bad
            optimiser.step(gradient)
            seen.append(weights.clone())
        return seen

    clean, spoilt = run(None), run(3)
    assert torch.equal(spoilt[3][1], spoilt[2][1])
    assert not torch.equal(spoilt[4][1], spoilt[3][1])
    assert torch.isfinite(spoilt[-1]).all()
    others = [0, 2, 3]
    assert torch.equal(spoilt[-1][others], clean[-1][others])


def test_kept_members_go_on_unchanged(strategies: list[Strategy]) -> None:
    initial, gradients = random(0, len(strategies), 9), random(1, STEPS, len(strategies), 9)
    all_weights, kept_weights = initial.clone(), initial.clone()
    everyone, some = (
        AdamW(strategies, weights, torch.ones_like(weights))
        for weights in (all_weights, kept_weights)
    )
    rows = torch.tensor([3, 1])
    for step in range(STEPS):
        everyone.step(gradients[step].clone())
        if step == 3:
            kept_weights = kept_weights[rows].clone()
            some.keep(rows, kept_weights)
        some.step(gradients[step].clone() if step < 3 else gradients[step, rows])
    assert torch.equal(kept_weights, all_weights[rows])
