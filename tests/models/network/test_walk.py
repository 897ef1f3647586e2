"""The order in which an unroll reads, resets and emits; free runs, and one-step forecasts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.cohort import Member
from models.network.architecture import Architecture
from models.network.forecaster import Forecaster
from models.network.plan import Step, plan
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

WINDOW, STATE, WHOLE_WINDOW = (
    Architecture.of({"cell": cell, "hidden_units": 1, "context": context, **steps})
    for cell, context, steps in (
        ("rnn", "window", {"window_steps": 3}),
        ("rnn", "state", {"warm_up_steps": 3}),
        ("mlp", None, {"window_steps": 3}),
    )
)


def test_a_window_is_read_anew_for_every_forecast() -> None:
    assert plan(WINDOW, warm_up=3, rollout_steps=2, one_step_from=3) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=None),
        Step(reads=2, reset=False, emits=3),
        Step(reads=1, reset=True, emits=None),
        Step(reads=2, reset=False, emits=None),
        Step(reads=3, reset=False, emits=4),
    ]


def test_a_state_is_carried_along() -> None:
    assert plan(STATE, warm_up=3, rollout_steps=3, one_step_from=2) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=2),
        Step(reads=2, reset=False, emits=3),
        Step(reads=3, reset=False, emits=4),
        Step(reads=4, reset=False, emits=5),
    ]


def test_a_state_that_comes_from_an_earlier_chunk_is_never_reset() -> None:
    assert plan(STATE, 1, rollout_steps=2, one_step_from=1, carries_state=True) == [
        Step(reads=0, reset=False, emits=1),
        Step(reads=1, reset=False, emits=2),
    ]


def test_a_whole_window_is_read_in_one_step() -> None:
    steps = plan(WHOLE_WINDOW, warm_up=3, rollout_steps=2, one_step_from=3)
    assert steps == [
        Step(reads=0, reset=True, emits=3, count=3),
        Step(reads=1, reset=True, emits=4, count=3),
    ]
    assert [step.newest for step in steps] == [2, 3]


def test_a_window_is_read_oldest_first() -> None:
    values = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 3, 1)
    assert Step(reads=1, reset=True, emits=None, count=3).read(values)[1, 2].tolist() == [1, 2, 3]
    assert Step(reads=4, reset=True, emits=None).read(values)[0, 0].tolist() == [4]


def population(candidate: TrainedNetwork, members: int = 2, scale: float = 1.0) -> Tensor:
    forecaster = Forecaster(candidate.architecture)
    rows = [forecaster.initialise(Generator().manual_seed(i)) for i in range(members)]
    return torch.stack(rows) * scale


@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_one_step_more_changes_no_earlier_step(
    make_candidate: Callable[..., TrainedNetwork], cell: str, context: str
) -> None:
    candidate = make_candidate(cell=cell, context=context)
    forecaster, weights = Forecaster(candidate.architecture), population(candidate)
    given = torch.randn(2, 3, 4, 1, generator=Generator().manual_seed(0))
    short, long = (free_run(forecaster, weights, given, steps) for steps in (6, 7))
    assert torch.equal(short, long[:, :, :6])


def test_one_step_forecasts_stand_before_the_free_run(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate, shorter = (
        make_candidate(cell="gru", context="state", context_steps=steps) for steps in (6, 4)
    )
    forecaster, weights = Forecaster(candidate.architecture), population(candidate)
    given = torch.randn(2, 3, 6, 1, generator=Generator().manual_seed(0))
    both = free_run(forecaster, weights, given, 5, one_step_from=4)
    assert both.shape == (2, 3, 2 + 5, 1)
    torch.testing.assert_close(both[:, :, 2:], free_run(forecaster, weights, given, 5))
    first = free_run(Forecaster(shorter.architecture), weights, given[:, :, :4], 1)
    torch.testing.assert_close(both[:, :, :1], first)


HOSTILE_STRATEGIES: list[dict[str, Any]] = [
    {"state_noise_std": 10.0, "forcing": "adaptive", "velocity_weight": 1000.0},
    {"forcing": "increasing", "pushforward_steps": 50, "spectral_weight": 1000.0},
    {"data_as_demonstrator": True, "amplitude_weight": 1000.0, "scale_augmentation_std": 3.0},
]


@pytest.mark.parametrize("rollout_steps", [1, 9])
@pytest.mark.parametrize("growth_penalty", [False, True])
@pytest.mark.parametrize(("cell", "context"), [("rnn", "state"), ("lstm", "window")])
def test_hostile_strategies_end_in_finite_free_runs(
    make_candidate: Callable[..., TrainedNetwork],
    cell: str,
    context: str,
    growth_penalty: bool,
    rollout_steps: int,
) -> None:
    candidates = [
        make_candidate(
            cell=cell,
            units=8,
            layers=3,
            context=context,
            learning_rate=10.0,
            input_noise_std=10.0,
            feedback_noise_std=10.0,
            rollout_steps=rollout_steps,
            growth_penalty=growth_penalty,
            growth_weight=1000.0,
            weight_average=average,
            teacher_weight=0.0,
            training_steps=10,
            **strategy,
        )
        for strategy, average in zip(
            HOSTILE_STRATEGIES, ("none", "tail", "exponential"), strict=True
        )
    ]
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    training = Trainer([Member(c, 0, seed) for seed, c in enumerate(candidates)], values)
    assert list(training) == list(range(1, 11))
    assert torch.isfinite(training.scored_weights).all()
    assert torch.isfinite(training.loss()).all()
    given = 10 * torch.randn(3, 2, 4, 1, generator=Generator().manual_seed(1))
    run = free_run(training.forecaster, training.scored_weights, given, 300)
    assert torch.isfinite(run).all()


@pytest.mark.parametrize("beside", [{}, {"teacher_span": "rollout", "stateful": True}], ids=len)
@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_hostile_training_ends_in_finite_free_runs(
    make_candidate: Callable[..., TrainedNetwork], cell: str, context: str, beside: dict[str, Any]
) -> None:
    hostile = {f"{kind}_noise_std": 10.0 for kind in ("input", "feedback", "output", "label")} | {
        "learning_rate": 10.0,
        "clip_norm": 1e9,
        "teacher_weight": 0.5,
        "professor_weight": 1000.0,
        "dropout": 0.95 if beside else 0.0,
    }
    candidates = [
        make_candidate(
            cell=cell,
            context=context,
            residual=True,
            rollout_steps=9,
            training_steps=12,
            **(hostile | beside | change),
        )
        for change in ({}, {"weight_decay": 0.19}, {"teacher_weight": 0.0})
    ]
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    training = Trainer([Member(c, 0, seed) for seed, c in enumerate(candidates)], values)
    assert list(training) == list(range(1, 13))
    assert torch.isfinite(training.weights).all()
    assert torch.isfinite(training.loss()).all()
    given = 10 * torch.randn(3, 2, 4, 1, generator=Generator().manual_seed(1))
    run = free_run(training.forecaster, training.weights, given, 300)
    assert torch.isfinite(run).all()
    assert run.abs().max() <= CLIP_STD


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_give_the_clip(
    make_candidate: Callable[..., TrainedNetwork], bad: float
) -> None:
    candidate = make_candidate(cell="lru", context="state")
    forecaster, weights = Forecaster(candidate.architecture), population(candidate)
    forecaster.layout().views(weights)["head.0.bias"][1] = bad
    given = torch.randn(2, 3, 4, 1, generator=Generator().manual_seed(0))
    run = free_run(forecaster, weights, given, 20)
    assert torch.isfinite(run).all()
    assert (run[1].abs() == CLIP_STD).all()
    assert (run[0].abs() < CLIP_STD).all()
