"""States by least squares, against complex powers and a least-squares solver in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.cohort import Member
from models.network.forecaster import Forecaster
from models.network.linear import LEAST_RIDGE
from models.network.options.shape import Scaling
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.losses.squared_error import SquaredError
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from tests.models.network.reference_network import Weights, read
from tests.models.training.reference_step import (
    MEMBERS,
    drawn_for,
    gradients_of_next_step,
    horizon_of,
    training_of,
    weights_of,
)

LEAST_SQUARES: dict[str, Any] = {
    "cell": "lru",
    "context": "state",
    "context_steps": 12,
    "autonomous": True,
    "state_estimate": "least-squares",
}


def responses(weights: Weights, layers: int, steps: int) -> Tensor:
    """What each number of the state puts out, `[position, state, channel]`: run from each alone.

    The state at position 0 is the one that is read out there.
    """
    width = 2 * weights["cell.0.nu"].shape[1]
    states = list(torch.eye(layers * width).double().split(width, dim=1))
    outputs = []
    for _ in range(steps):
        outputs.append(states[-1] @ weights["head.0.weight"])
        below: Tensor | None = None
        for i in range(layers):
            own = {k.split(".")[2]: w for k, w in weights.items() if f"cell.{i}." in k}
            if below is None:
                own["input"] = torch.zeros(1, width).double()
                below = torch.zeros(len(states[i]), 1).double()
            below = states[i] = read("lru", own, below, states[i])
    return torch.stack(outputs)


def fit(weights: Weights, layers: int, context: Tensor, steps: int) -> Tensor:
    """Outputs over the context `[time, batch, channel]` and `steps` more.

    The ridge stands as further rows of the least-squares problem.
    """
    found = responses(weights, layers, len(context) + steps)
    seen = found[: len(context)].transpose(1, 2).flatten(0, 1)
    ridge = weights["state.log_ridge"].exp() + LEAST_RIDGE
    penalty = (ridge * seen.square().sum(0).mean()).sqrt() * torch.eye(seen.shape[1]).double()
    wanted = (context - weights["head.0.bias"]).transpose(1, 2).flatten(0, 1)
    rows = torch.cat([seen, penalty])
    padded = torch.cat([wanted, torch.zeros(len(penalty), wanted.shape[1]).double()])
    state = torch.linalg.lstsq(rows, padded).solution
    outputs = torch.einsum("tsc,sb->tbc", found, state)
    return outputs + weights["head.0.bias"]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("damping", [False, True])
@pytest.mark.parametrize("offset", [False, True])
def test_gradient(
    make_candidate: Callable[..., TrainedNetwork],
    channels: int,
    layers: int,
    damping: bool,
    offset: bool,
) -> None:
    candidates = [
        make_candidate(
            **LEAST_SQUARES,
            units=2,
            layers=layers,
            rollout_steps=6,
            teacher_weight=share,
            curriculum_fraction=fraction,
            input_noise_std=0.1,
            label_noise_std=0.1,
            output_noise_std=0.1,
            time_reversal=share > 0,
            damping=damping,
            offset=offset,
        )
        for share, fraction in ((0.3, 0.0), (0.0, 0.0), (0.7, 1.0))
    ]
    training = training_of(candidates, channels)
    expected = [reference_gradient(training, member, layers) for member in range(MEMBERS)]
    ours = gradients_of_next_step(training)
    for member, gradients in enumerate(expected):
        largest = max(float(g.abs().max()) for g in gradients.values())
        for name, gradient in gradients.items():
            error = (ours[name][member] - gradient).abs().max()
            assert error <= 5e-5 * largest, f"{name} of member {member}"


def reference_gradient(training: Trainer, member: int, layers: int) -> Weights:
    candidate, shape = training.members[member].candidate, training.subsequences.shape
    drawn = drawn_for(training, member, slots=0)
    weights = weights_of(training, member)
    reads, targets = drawn.values + drawn.noise["input"], drawn.values + drawn.noise["label"]
    outputs = fit(weights, layers, reads[: shape.warm_up], shape.rollout) + drawn.noise["output"]
    by_step = (outputs - targets).square().mean((1, 2))
    horizon = horizon_of(training, member)
    teacher = by_step[shape.one_step_from : shape.warm_up + 1].mean()
    free = by_step[shape.warm_up : shape.warm_up + horizon].mean()
    share = candidate[SquaredError].teacher_weight
    (share * teacher + (1 - share) * free).backward()
    held = [] if candidate[Scaling].offset else ["head.0.bias"]
    held += [] if candidate.values()["damping"] else [f"cell.{i}.nu" for i in range(layers)]
    return {
        n: torch.zeros_like(w) if w.grad is None or n in held else w.grad
        for n, w in weights.items()
    }


@pytest.mark.parametrize("layers", [1, 3])
def test_free_run(make_candidate: Callable[..., TrainedNetwork], layers: int) -> None:
    architecture = make_candidate(**LEAST_SQUARES, layers=layers, units=3).architecture
    forecaster = Forecaster(architecture, channels=2)
    generator = Generator().manual_seed(2)
    population = torch.stack([forecaster.initialise(generator) for _ in range(MEMBERS)])
    contexts = torch.randn(MEMBERS, 4, 12, 2, generator=generator)
    run = free_run(forecaster, population, contexts, 30, one_step_from=5)
    views = forecaster.layout().views(population)
    for member in range(MEMBERS):
        weights = {name: view[member].double() for name, view in views.items()}
        fitted = fit(weights, layers, contexts[member].transpose(0, 1).double(), 30)
        expected = fitted[5:].transpose(0, 1).clamp(-CLIP_STD, CLIP_STD)
        torch.testing.assert_close(run[member].double(), expected, rtol=1e-3, atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(
    frequency=st.floats(0.02, 3.0),
    decay=st.floats(1e-4, 1e-2),
    phase=st.floats(0, 2 * math.pi),
    amplitude=st.floats(0.1, 5.0),
)
def test_a_mode_of_the_right_eigenvalue_continues_any_wave(
    make_candidate: Callable[..., TrainedNetwork],
    frequency: float,
    decay: float,
    phase: float,
    amplitude: float,
) -> None:
    """What the recurrence would need gains for, least squares find in the warm-up alone."""
    choice = LEAST_SQUARES | {"context_steps": 400, "units": 1}
    forecaster = Forecaster(make_candidate(**choice).architecture)
    row = forecaster.initialise(Generator().manual_seed(1)).unsqueeze(0)
    named = forecaster.layout().views(row)
    named["cell.0.nu"].fill_(math.log(decay))
    named["cell.0.theta"].fill_(math.log(frequency))
    named["head.0.bias"].fill_(0.0)
    named["state.log_ridge"].fill_(-40.0)
    time = torch.arange(600, dtype=torch.float64)
    wave = amplitude * torch.exp(-decay * time) * torch.cos(frequency * time + phase)
    given = wave[:400].float().view(1, 1, -1, 1)
    run = free_run(forecaster, row, given, 200)[0, 0, :, 0].double()
    assert (run - wave[400:]).abs().max() <= 5e-3 * amplitude


def test_weights_that_are_not_finite_run_into_the_clip(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """And leave the other members of the cohort alone."""
    candidate = make_candidate(**LEAST_SQUARES, rollout_steps=8, learning_rate=10.0)
    values = torch.randn(2, 40, 1, generator=Generator().manual_seed(0))
    values[1] *= 1e30
    training = Trainer([Member(candidate, series, seed=1) for series in (0, 1)], values)
    for _ in training:
        pass
    given = values[:, None, :12]
    run = free_run(training.forecaster, training.weights, given, 50)
    assert run.isfinite().all()
    assert run.abs().max() <= CLIP_STD
    assert training.weights[0].isfinite().all()


def test_undamped_modes_keep_their_amplitude(make_candidate: Callable[..., TrainedNetwork]) -> None:
    """Also under weight decay, which would pull the modulus to where a mode dies at once."""
    candidate = make_candidate(
        cell="lru",
        context="state",
        layers=2,
        damping=False,
        weight_decay=100.0,
        learning_rate=1e-2,
        training_steps=5,
    )
    training = training_of([candidate] * MEMBERS)
    for _ in training:
        pass
    for name, view in training.forecaster.layout().views(training.weights).items():
        if name.endswith(".nu"):
            assert (torch.exp(-torch.exp(view)) == 1.0).all()
