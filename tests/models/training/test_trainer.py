"""Trainer a cohort: what it refuses, that it learns, drops members and is repeatable."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.cohort import Member
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer


def sine(steps: int = 120) -> Tensor:
    """Two series `[series, time, channel]`: a sine and its cosine, of variance 1."""
    phase = 2 * math.pi * torch.arange(steps) / 20
    return torch.stack([torch.sin(phase), torch.cos(phase)]).unsqueeze(2) * 2**0.5


LEARNERS: list[dict[str, Any]] = [
    {"cell": "rnn", "context": "window", "context_steps": 8},
    {"cell": "gru", "context": "window", "context_steps": 8},
    {"cell": "lstm", "context": "state", "context_steps": 8, "rollout_steps": 4},
    {"cell": "lru", "context": "state", "context_steps": 20, "rollout_steps": 10},
    {"cell": "lru", "context": "window", "context_steps": 8, "head_layers": 1},
    {"cell": "lstm", "context": "state", "context_steps": 20, "rollout_steps": 8}
    | {"stateful": True, "teacher_span": "rollout", "professor_weight": 0.5},
]


@pytest.mark.parametrize("choice", LEARNERS, ids=lambda c: "-".join(map(str, c.values())))
def test_training_learns_a_sine(
    make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]
) -> None:
    candidate = make_candidate(
        units=8,
        teacher_weight=0.5,
        learning_rate=2e-2,
        clip_norm=1.0,
        schedule="cosine",
        training_steps=120,
        batch_size=8,
        **choice,
    )
    training = Trainer([Member(candidate, i % 2, seed=i) for i in range(4)], sine())
    before = training.loss()
    for _ in training:
        pass
    assert (before > 0.3).all()
    assert training.loss().median() < 0.02


def test_progress_counts_steps_up_to_the_last(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    training = Trainer([Member(make_candidate(training_steps=4), 0, seed=0)], sine())
    assert list(training) == [1, 2, 3, 4]
    assert list(training) == []


def test_a_training_that_has_ended_goes_on(make_candidate: Callable[..., TrainedNetwork]) -> None:
    """The optimiser starts afresh: the first step of three has the whole learning rate again."""
    candidate = make_candidate(training_steps=4, schedule="cosine", learning_rate=1e-2)
    fresh, ended = (Trainer([Member(candidate, 0, seed=0)], sine()) for _ in range(2))
    assert list(ended) == [1, 2, 3, 4]
    given = torch.zeros_like(ended.scored_weights[:1])
    moved = []
    for training in (fresh, ended):
        training.go_on(given, 3)
        steps = iter(training)
        assert next(steps) == 2
        moved.append(training.weights[0].abs().max())
        assert list(steps) == [3, 4]
    # The first step of Adam is as long as its rate, whatever the gradient is.
    assert moved[0] == pytest.approx(1e-2, rel=1e-2)
    assert moved[1] == pytest.approx(1e-2, rel=1e-2)


def test_what_goes_on_averages_from_the_weights_given(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """Neither what was averaged before counts, nor are the first steps averaged over again."""
    choice = {"weight_average": "exponential", "average_fraction": 0.5, "training_steps": 20}
    fresh, ended = (
        Trainer([Member(make_candidate(**choice), 0, seed=0)], sine()) for _ in range(2)
    )
    assert list(ended)
    for training in (fresh, ended):
        training.go_on(torch.zeros_like(training.weights[:1]), 3)
        assert next(iter(training)) == 18
        # Of ten steps that are averaged over, the newest counts a tenth.
        torch.testing.assert_close(training.scored_weights, 0.1 * training.weights)


@pytest.mark.parametrize(("members", "steps"), [(1, 0), (1, 5), (2, 3)])
def test_what_can_not_go_on_is_refused(
    make_candidate: Callable[..., TrainedNetwork], members: int, steps: int
) -> None:
    training = Trainer([Member(make_candidate(training_steps=4), 0, seed=0)], sine())
    given = torch.zeros(members, training.weights.shape[1])
    with pytest.raises(ValueError, match=rf"1 to 4 steps, but got \[{members}, .* and {steps}$"):
        training.go_on(given, steps)


def test_the_twin_of_a_single_network_is_hidden(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """The twin that keeps it company shows nowhere."""
    training = Trainer([Member(make_candidate(), 0, seed=0)], sine())
    assert training.count == 1
    assert training.loss().shape == (1,)


def test_restarts_differ_and_are_compared_by_their_loss(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """Restarts are members of the same candidate and series whose seeds differ."""
    candidate = make_candidate(cell="gru", training_steps=30)
    training = Trainer([Member(candidate, 0, seed) for seed in (1, 2, 1)], sine())
    assert not torch.equal(training.weights[0], training.weights[1])
    assert not torch.equal(training.subsequences.starts[0], training.subsequences.starts[1])
    for _ in training:
        pass
    losses = training.loss().tolist()
    assert losses[0] == losses[2] != losses[1]


def test_kept_members_are_numbered_anew(make_candidate: Callable[..., TrainedNetwork]) -> None:
    candidates = [make_candidate(learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]
    training = Trainer([Member(c, 0, seed) for seed, c in enumerate(candidates)], sine())
    next(iter(training))
    weights, losses = training.weights.clone(), training.loss()
    training.keep([2, 0])
    assert training.count == 2
    assert [m.seed for m in training.members] == [2, 0]
    assert torch.equal(training.weights, weights[[2, 0]])
    assert torch.equal(training.loss(), losses[[2, 0]])
    training.keep([1])
    assert training.count == 1
    assert torch.equal(training.loss(), losses[[0]])
    assert list(training) == [2, 3]


def test_subsequences_cover_the_whole_span_and_no_more(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context="state", rollout_steps=3, training_steps=50, batch_size=16)
    training = Trainer([Member(candidate, 0, seed=0)], sine(steps=20))
    assert training.subsequences.starts.min() == 0
    assert training.subsequences.starts.max() == 20 - (4 + 3)


def test_a_span_that_just_fits_is_trained_on(make_candidate: Callable[..., TrainedNetwork]) -> None:
    candidate = make_candidate(context="state", rollout_steps=3)
    training = Trainer([Member(candidate, 0, seed=0)], sine(steps=7))
    assert list(training) == [1, 2, 3]
    assert torch.isfinite(training.loss()).all()


def test_too_short_a_span_is_refused(make_candidate: Callable[..., TrainedNetwork]) -> None:
    member = Member(make_candidate(rollout_steps=3), 0, seed=0)
    with pytest.raises(ValueError, match="at most the training span's 6 steps, but got 7"):
        Trainer([member], sine(steps=6))


def test_no_members_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        Trainer([], sine())


def test_members_of_other_cohorts_are_refused(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    members = [Member(make_candidate(units=units), 0, seed=0) for units in (4, 5)]
    with pytest.raises(ValueError, match="equal cohort keys"):
        Trainer(members, sine())


def test_keeping_nobody_is_refused(make_candidate: Callable[..., TrainedNetwork]) -> None:
    training = Trainer([Member(make_candidate(), 0, seed=0)], sine())
    with pytest.raises(ValueError, match="at least one member"):
        training.keep([])


def test_the_series_is_not_changed(make_candidate: Callable[..., TrainedNetwork]) -> None:
    values = torch.randn(2, 30, 1, generator=Generator().manual_seed(0))
    given = values.clone()
    candidate = make_candidate(
        context="state", rollout_steps=3, input_noise_std=1.0, label_noise_std=1.0
    )
    for _ in Trainer([Member(candidate, i, seed=i) for i in range(2)], values):
        pass
    assert torch.equal(values, given)


def test_parameter_count_leaves_padding_out(make_candidate: Callable[..., TrainedNetwork]) -> None:
    training = Trainer([Member(make_candidate(units=4), 0, seed=0)], sine())
    assert training.parameter_count == (4 + 16 + 4) + (4 + 1)
