"""The kernel for states by least squares against torch in float64, and bit for bit alone.

`test_estimated_state` compares the gradients with a least-squares solver.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.cohort import Member
from models.network.forecaster import Forecaster
from models.network.kernels.covered import MOST_ESTIMATED_MODES, covers_estimate
from models.network.linear import EstimatedRun
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.batches import Batch, Chance
from models.training.estimated_gradient import EstimatedGradient
from models.training.gradient import LinearGradient
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

SPAN = 60
# Of a member's largest gradient; the latter where torch takes further losses in single precision.
TOLERANCE, TOLERANCE_OF_LOSSES = 2e-6, 2e-5
LEAST_SQUARES: dict[str, Any] = {
    "cell": "lru",
    "context": "state",
    "context_steps": 12,
    "autonomous": True,
    "state_estimate": "least-squares",
    "rollout_steps": 6,
    "teacher_weight": 0.4,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "modes": {"units": 7, "batch_size": 5},
    "most-modes": {"units": MOST_ESTIMATED_MODES, "context_steps": 20},
    "norm": {"instance_norm": True},
    "last-value": {"input_noise_std": 0.2} | {"instance_norm": True, "instance_level": "last"},
    "undamped": {"damping": False, "offset": False},
    "noises": {"input_noise_std": 0.3, "output_noise_std": 0.1, "label_noise_std": 0.2},
    "curriculum": {"curriculum_fraction": 1.0, "training_steps": 4},
    "one-step": {"rollout_steps": 1, "context_steps": 2, "units": 1, "batch_size": 1},
    "mirrored": {"sign_augmentation": True, "time_reversal": True, "scale_augmentation_std": 0.2},
    "losses": {"velocity_weight": 1.0, "amplitude_weight": 0.5, "output_noise_std": 0.1},
}


def training_of(candidate: TrainedNetwork, members: int = 3, channels: int = 1) -> Trainer:
    """A training of members with series of their own."""
    generator = Generator().manual_seed(1)
    values = torch.randn(members, SPAN, channels, generator=generator)
    return Trainer([Member(candidate, i, seed=i + 5) for i in range(members)], values)


def in_double(batch: Batch) -> Batch:
    noise = None if batch.output_noise is None else batch.output_noise.double()
    reads, targets = batch.reads.double(), batch.targets.double()
    return replace(batch, reads=reads, targets=targets, output_noise=noise)


def torch_gradient(training: Trainer, chance: Chance, step: int) -> Tensor:
    """What torch finds in float64."""
    grads = torch.zeros_like(training.weights, dtype=torch.float64)
    shape = training.subsequences.shape
    engine = LinearGradient(training.forecaster, training.weights.double(), grads, shape)
    engine.add(in_double(training.batches.batch(step, chance)), training.objective, step)
    return grads


def check_gradient(training: Trainer, chance: Chance, step: int, tolerance: float) -> None:
    expected = torch_gradient(training, chance, step)
    assert isinstance(training.gradient, EstimatedGradient)
    training.gradient.add(chance, step)
    largest = expected.abs().amax(1, keepdim=True)
    assert largest.min() > 0.0
    assert ((training.grads - expected).abs() / largest).max() <= tolerance


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("option", OPTIONS)
def test_gradients_agree(
    make_candidate: Callable[..., TrainedNetwork], option: str, channels: int
) -> None:
    training = training_of(make_candidate(**LEAST_SQUARES | OPTIONS[option]), channels=channels)
    tolerance = TOLERANCE_OF_LOSSES if option == "losses" else TOLERANCE
    # In the second step memory is used again.
    for step, _ in zip(range(2), iter(training), strict=False):
        chance = training.batches.chance(step + 1, training.generators)
        check_gradient(training, chance, step + 1, tolerance)


sizes = st.fixed_dictionaries(
    {
        "units": st.integers(1, 9),
        "context_steps": st.integers(1, 30),
        "rollout_steps": st.integers(1, 20),
        "batch_size": st.integers(1, 17),
        "teacher_weight": st.sampled_from([0.0, 0.3, 1.0]),
        "instance_norm": st.booleans(),
        "input_noise_std": st.sampled_from([0.0, 0.1]),
        "label_noise_std": st.sampled_from([0.0, 0.1]),
        "output_noise_std": st.sampled_from([0.0, 0.1]),
    }
)


@settings(max_examples=25, deadline=None)
@given(choice=sizes, channels=st.integers(1, 3), members=st.integers(2, 5))
def test_gradients_and_free_runs_of_odd_sizes(
    make_candidate: Callable[..., TrainedNetwork],
    choice: dict[str, Any],
    channels: int,
    members: int,
) -> None:
    training = training_of(make_candidate(**LEAST_SQUARES | choice), members, channels)
    chance = training.batches.chance(0, training.generators)
    check_gradient(training, chance, 0, TOLERANCE)

    forecaster, weights = training.forecaster, training.weights
    contexts = training.values[:, None, : training.warm_up].expand(-1, 2, -1, -1) + 0.1
    run = free_run(forecaster, weights, contexts, 11)
    alone = free_run(forecaster, weights[1:2], contexts[1:2, :1], 11)
    assert torch.equal(alone[0, 0], run[1, 0])


@pytest.mark.parametrize("log_ridge", [-40.0, -7.0, 2.0])
def test_gradients_where_modes_are_alike(
    make_candidate: Callable[..., TrainedNetwork], log_ridge: float
) -> None:
    """The Gram matrix is singular but for its ridge."""
    training = training_of(make_candidate(**LEAST_SQUARES, units=3))
    named = training.forecaster.layout().views(training.weights)
    named["cell.0.theta"][0] = -2.0
    named["cell.0.theta"][1] = -2.0 + 1e-4 * torch.arange(3)
    named["cell.0.nu"].fill_(-5.0)
    named["state.log_ridge"].fill_(log_ridge)
    chance = training.batches.chance(0, training.generators)
    check_gradient(training, chance, 0, 1e-5)


@pytest.mark.parametrize("displacement", [0.0, 0.5])
@pytest.mark.parametrize("level", [None, "mean", "last"])
def test_free_runs_agree(
    make_candidate: Callable[..., TrainedNetwork], level: str | None, displacement: float
) -> None:
    norm = {} if level is None else {"instance_norm": True, "instance_level": level}
    candidate = make_candidate(**LEAST_SQUARES, units=3, **norm)
    forecaster, generator = Forecaster(candidate.architecture, channels=2), Generator()
    generator.manual_seed(0)
    weights = torch.stack([forecaster.initialise(generator) for _ in range(3)])
    contexts = torch.randn(3, 2, 12, 2, generator=generator)
    run = free_run(forecaster, weights, contexts, 9, one_step_from=7, displacement=displacement)
    known, read = contexts.double(), contexts.double()
    mean, std = torch.zeros(1), torch.ones(1)
    if level is not None:
        mean = known[:, :, -1:].clone() if level == "last" else known.mean(2, keepdim=True)
        std = (known.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
    read[:, :, -1] += displacement
    estimated = EstimatedRun.of(candidate.architecture, forecaster.layout().views(weights.double()))
    expected = estimated.outputs((read - mean) / std, 9, 7) * std + mean
    assert run.shape == (3, 2, 14, 2)
    torch.testing.assert_close(run.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 80.0])
def test_weights_that_are_not_finite_leave_the_others_alone(
    make_candidate: Callable[..., TrainedNetwork], value: float
) -> None:
    candidate = make_candidate(**LEAST_SQUARES, units=3, batch_size=3)
    broken, whole = training_of(candidate), training_of(candidate)
    broken.weights[1] = value
    for training in (broken, whole):
        for _ in zip(range(2), training, strict=False):
            pass
    assert torch.equal(broken.weights[[0, 2]], whole.weights[[0, 2]])
    run = free_run(broken.forecaster, broken.weights, broken.values[:, None, :12], 5)
    assert torch.isfinite(run).all()
    assert run.abs().max() <= CLIP_STD
    expected = free_run(whole.forecaster, whole.weights, whole.values[:, None, :12], 5)
    assert torch.equal(run[[0, 2]], expected[[0, 2]])


def test_what_the_kernel_leaves_to_torch(make_candidate: Callable[..., TrainedNetwork]) -> None:
    choices = [
        LEAST_SQUARES,
        LEAST_SQUARES | {"layers": 2},
        LEAST_SQUARES | {"units": MOST_ESTIMATED_MODES + 1},
        LEAST_SQUARES | {"state_estimate": "recurrence"},
    ]
    trainings = [training_of(make_candidate(**choice)) for choice in choices]
    kinds = [type(training.gradient) for training in trainings]
    assert kinds == [EstimatedGradient, LinearGradient, LinearGradient, LinearGradient]
    architecture = trainings[0].candidate.architecture
    assert not covers_estimate(architecture, trainings[0].weights.to("meta"))
