"""Compiled kernels against the torch engine: gradients, streams and free runs, bit for bit alone.

The gradients of RNN, GRU and LSTM cells in the other tests are those of kernels, which are compared
with a plain network; here the torch engine, which a GPU runs, is compared with them.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.cohort import Member
from models.network.forecaster import Forecaster
from models.network.kernels.covered import covers
from models.network.options.covariates import has_known_inputs
from models.network.walk import free_run, unrolled_free_run
from models.training.fused_gradient import FusedGradient
from models.training.gradient import UnrolledGradient
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

SPAN = 60
CELLS = ("rnn", "gru", "lstm")
# Of a member's largest gradient; the latter where it comes from the small difference of two runs.
TOLERANCE, TOLERANCE_OF_DIFFERENCES = 2e-5, 2e-3

OPTIONS: dict[str, dict[str, Any]] = {
    "window": {"context": "window"},
    "window-segments": {"context": "window", "segment_steps": 2, "rollout_steps": 7},
    "one-step": {"context": "window", "rollout_steps": 1, "units": 9},
    "state": {"context": "state", "units": 7, "batch_size": 5},
    "layers": {"context": "state", "layers": 3, "head_layers": 2, "units": 17},
    "segments": {"context": "state", "segment_steps": 3, "residual": True, "batch_size": 6},
    "read-in": {"context": "state", "segment_steps": 2, "read_in": "linear", "layers": 2},
    "relu": {"context": "window", "segment_steps": 2, "read_in": "relu", "residual": True},
    "increments": {"context": "state", "residual": True, "scaled_increments": True},
    "instance-norm": {"context": "state", "instance_norm": True, "segment_steps": 2},
    "last-value": {"context": "window", "segment_steps": 2, "layers": 2, "input_noise_std": 0.2}
    | {"instance_norm": True, "instance_level": "last"},
    "autonomous": {"context": "state", "autonomous": True, "residual": True},
    "noises": {"context": "state", "feedback_noise_std": 0.2, "output_noise_std": 0.1}
    | {"input_noise_std": 0.3, "label_noise_std": 0.1, "segment_steps": 2},
    "disturbed": {"context": "state", "state_noise_std": 0.2, "dropout": 0.3, "layers": 2},
    "dropped-window": {"context": "window", "dropout": 0.5, "layers": 2, "head_layers": 1},
    "forced": {"context": "state", "forcing": "scheduled-linear", "segment_steps": 2},
    "pushed": {"context": "state", "pushforward_steps": 2, "layers": 2},
    "demonstrated": {"context": "state", "data_as_demonstrator": True},
    "professor": {"context": "state", "teacher_span": "rollout", "professor_weight": 0.7},
    "stateful": {"context": "state", "stateful": True, "layers": 2, "state_noise_std": 0.1},
    "growth": {"context": "state", "growth_penalty": True, "growth_weight": 0.5},
    "growth-from-last": {"context": "state", "growth_penalty": True, "growth_weight": 0.5}
    | {"instance_norm": True, "instance_level": "last"},
    "losses": {"context": "window", "velocity_weight": 1.0, "spectral_weight": 0.3},
    "mirrored": {"context": "state", "sign_augmentation": True, "time_reversal": True},
    "mirrored-segments": {"context": "window", "sign_augmentation": True, "time_reversal": True}
    | {"segment_steps": 9, "context_steps": 18, "rollout_steps": 18},
    "known": {"context": "state", "known_inputs": True, "residual": True},
    "known-window": {"context": "window", "known_inputs": True, "segment_steps": 2}
    | {"rollout_steps": 7, "time_reversal": True, "instance_norm": True},
    "known-read-in": {"context": "state", "known_inputs": True, "segment_steps": 3}
    | {"read_in": "relu", "layers": 2, "residual": True, "scaled_increments": True},
    "known-branches": {"context": "state", "known_inputs": True, "teacher_span": "rollout"}
    | {"professor_weight": 0.7, "input_noise_std": 0.2, "stateful": True},
    "known-autonomous": {"context": "state", "known_inputs": True, "autonomous": True},
    "known-forced": {"context": "state", "known_inputs": True, "segment_steps": 2}
    | {"forcing": "scheduled-linear", "feedback_noise_std": 0.1}
    | {"growth_penalty": True, "growth_weight": 0.5},
}
COLUMNS = 2


def training_of(candidate: TrainedNetwork, members: int = 3, channels: int = 1) -> Trainer:
    """A training of members with series of their own."""
    generator = Generator().manual_seed(1)
    values, exogenous = torch.randn(members, SPAN, channels, generator=generator), None
    if has_known_inputs(candidate):
        exogenous = torch.randn(members, SPAN, COLUMNS, generator=generator)
    own = [Member(candidate, i, seed=i + 5) for i in range(members)]
    return Trainer(own, values, exogenous=exogenous)


def torch_gradient(training: Trainer) -> tuple[UnrolledGradient, Tensor, Tensor]:
    """The torch engine with the state of a training, where its gradient goes, and its streams."""
    grads, stream = torch.zeros_like(training.weights), training.stream_state.clone()
    masks, noise = (
        drawn.values.flatten(3, 4) if drawn.is_used else None
        for drawn in (training.dropout, training.state_noise)
    )
    engine = UnrolledGradient(
        training.forecaster,
        training.candidate,
        training.weights,
        grads,
        training.forcing,
        masks,
        noise,
        stream if training.candidate.carries_state else None,
    )
    return engine, grads, stream


def check_engines_agree(training: Trainer, atol: float = 1e-4) -> None:
    """Compare a gradient and free runs by kernels with those of torch, and a free run alone.

    The spans have room for a free run of 11 steps; atol: of free runs.
    """
    chance = training.batches.chance(0, training.generators)
    engine, expected, _ = torch_gradient(training)
    engine.add(training.batches.batch(0, chance), training.objective, 0)
    assert isinstance(training.gradient, FusedGradient)
    training.gradient.add(chance, 0)
    largest = expected.abs().amax(1, keepdim=True)
    assert largest.min() > 0.0
    assert ((training.grads - expected).abs() / largest).max() <= TOLERANCE

    forecaster, weights = training.forecaster, training.weights
    contexts = training.values[:, None, : training.warm_up].expand(-1, 2, -1, -1) + 0.1
    beside = of_one = None
    if has_known_inputs(training.candidate):
        beside = training.exogenous[:, None, : training.warm_up + 11].expand(-1, 2, -1, -1) - 0.1
        of_one = beside[1:2, :1]
    run = free_run(forecaster, weights, contexts, 11, exogenous=beside)
    given_ = (forecaster, weights, contexts, contexts, 11, training.warm_up)
    by_torch = unrolled_free_run(*given_, exogenous=beside)
    torch.testing.assert_close(run, by_torch, rtol=1e-3, atol=atol)
    alone = free_run(forecaster, weights[1:2], contexts[1:2, :1], 11, exogenous=of_one)
    assert torch.equal(alone[0, 0], run[1, 0])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_agree(
    make_candidate: Callable[..., TrainedNetwork], cell: str, option: str, channels: int
) -> None:
    settings_of = {"rollout_steps": 6, "teacher_weight": 0.4, "context_steps": 6} | OPTIONS[option]
    candidate = make_candidate(cell=cell, **settings_of)
    training = training_of(candidate, channels=channels)
    fused = training.gradient
    assert isinstance(fused, FusedGradient)
    is_difference = "growth_penalty" in OPTIONS[option]
    tolerance = TOLERANCE_OF_DIFFERENCES if is_difference else TOLERANCE
    # In the second step streams go on, and memory is used again.
    for step, _ in zip(range(2), iter(training), strict=False):
        chance = training.batches.chance(step + 1, training.generators)
        training.dropout.draw(training.generators)
        training.state_noise.draw(training.generators)
        engine, expected, stream = torch_gradient(training)
        engine.add(training.batches.batch(step + 1, chance), training.objective, step + 1)
        fused.add(chance, step + 1)
        largest = expected.abs().amax(1, keepdim=True)
        assert largest.min() > 0.0
        assert ((training.grads - expected).abs() / largest).max() <= tolerance
        torch.testing.assert_close(training.stream_state, stream, rtol=1e-5, atol=1e-5)


sizes = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(CELLS),
        "units": st.integers(1, 40),
        "layers": st.integers(1, 3),
        "head_layers": st.integers(0, 2),
        "residual": st.booleans(),
        "context": st.sampled_from(["window", "state"]),
        "context_steps": st.integers(17, 20),
        "rollout_steps": st.integers(1, 9),
        "batch_size": st.integers(1, 17),
        "segment_steps": st.integers(1, 7) | st.sampled_from([8, 9, 16, 17]),
        "time_reversal": st.booleans(),
        "sign_augmentation": st.booleans(),
        "instance_norm": st.booleans(),
        "known_inputs": st.booleans(),
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
    candidate = make_candidate(teacher_weight=0.4, **choice)
    check_engines_agree(training_of(candidate, members, channels))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("level", ["mean", "last"])
@pytest.mark.parametrize("columns", [0, 3])
def test_free_runs_agree(
    make_candidate: Callable[..., TrainedNetwork], cell: str, truth: bool, level: str, columns: int
) -> None:
    """With one-step forecasts of the context, on the truth, and from a displaced context."""
    norm: dict[str, Any] = {"instance_norm": True, "instance_level": level}
    norm["known_inputs"] = columns > 0
    architecture = make_candidate(
        cell=cell, context="state", context_steps=6, layers=2, segment_steps=2, **norm
    ).architecture
    forecaster, generator = Forecaster(architecture, 2, columns), Generator().manual_seed(0)
    weights = torch.stack([forecaster.initialise(generator) for _ in range(3)])
    contexts = torch.randn(3, 2, 6, 2, generator=generator)
    later = torch.randn(3, 2, 9, 2, generator=generator) if truth else None
    known = contexts.clone()
    known[:, :, -1] += 0.5
    beside = torch.randn(3, 2, 15, columns, generator=generator) if columns else None
    more: dict[str, Any] = {"one_step_from": 4, "truth": later, "displacement": 0.5}
    ours = free_run(forecaster, weights, contexts, 9, **more, exogenous=beside)
    given_ = (forecaster, weights, contexts, known, 9, 4, later)
    expected = unrolled_free_run(*given_, exogenous=beside)
    assert ours.shape == (3, 2, 11, 2)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_what_is_given_in_double_precision_runs_in_single(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    architecture = make_candidate(cell="gru", units=9, context="state").architecture
    forecaster, generator = Forecaster(architecture), Generator().manual_seed(0)
    weights = torch.stack([forecaster.initialise(generator) for _ in range(2)])
    contexts = torch.randn(2, 3, architecture.context_steps, 1, generator=generator)
    double = free_run(forecaster, weights.double(), contexts.double(), 9)
    assert torch.equal(double, free_run(forecaster, weights, contexts, 9))


@pytest.mark.parametrize("bound", [5.0, 1e18])
def test_runs_that_run_away_stop_at_the_bound(
    make_candidate: Callable[..., TrainedNetwork], bound: float
) -> None:
    architecture = make_candidate(cell="gru", context_steps=6, residual=True).architecture
    forecaster, generator = Forecaster(architecture, channels=1), Generator().manual_seed(0)
    weights = torch.stack([forecaster.initialise(generator) for _ in range(2)])
    forecaster.layout().views(weights)["head.0.bias"].copy_(torch.tensor([[[-3.0]], [[3.0]]]))
    contexts = torch.randn(2, 2, 6, 1, generator=generator)
    ours = free_run(forecaster, weights, contexts, 9, bound=bound)
    given_ = (forecaster, weights, contexts, contexts, 9, 6, None, bound)
    torch.testing.assert_close(ours, unrolled_free_run(*given_), rtol=1e-4, atol=1e-5)
    assert (ours[:, :, -1].abs() == bound).all() == (bound == 5.0)
    assert ours[:, :, -1].abs().min() >= 5.0


def test_a_diverged_member_leaves_the_others_alone(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(cell="gru", context="state", rollout_steps=4)
    broken, whole = training_of(candidate), training_of(candidate)
    broken.weights[1] = torch.nan
    for training in (broken, whole):
        next(iter(training))
    assert torch.isnan(broken.grads[1]).any()
    assert torch.equal(broken.weights[[0, 2]], whole.weights[[0, 2]])
    run = free_run(broken.forecaster, broken.weights, broken.values[:, None, :4], 5)
    assert torch.isfinite(run).all()


def test_what_kernels_leave_to_torch(make_candidate: Callable[..., TrainedNetwork]) -> None:
    weights = torch.zeros(2, 3)
    covered = [
        covers(make_candidate(**choice).architecture, weights)
        for choice in (
            {"cell": "gru"},
            {"cell": "gru", "layer_norm": True},
            {"cell": "lru"},
            {"cell": "lem", "context": "state"},
        )
    ]
    assert covered == [True, False, False, False]
    assert not covers(make_candidate(cell="gru").architecture, weights.to("meta"))
