"""Teacher forcing beside the free run, carried states and dropout, against the plain network."""

from collections.abc import Callable
from typing import Any

import pytest

from models.training.trained_network import TrainedNetwork
from tests.models.training.reference_step import check_next_gradient, training_of

BRANCHED: dict[str, dict[str, Any]] = {
    "rnn-window": {"cell": "rnn", "context": "window", "head_layers": 1},
    "gru-state": {"cell": "gru", "context": "state", "layers": 2},
    "lstm-state": {"cell": "lstm", "context": "state", "residual": True},
    "lstm-window": {"cell": "lstm", "context": "window", "layers": 2, "context_steps": 3},
    "lru-state": {"cell": "lru", "context": "state"},
    "autonomous": {"cell": "lru", "context": "state", "autonomous": True, "residual": True},
    "lstm-stateful": {"cell": "lstm", "context": "state", "layers": 2, "stateful": True},
    "lru-stateful": {"cell": "lru", "context": "state", "stateful": True, "head_layers": 1},
}


@pytest.mark.parametrize("detach", ["teacher", "free", "none"])
@pytest.mark.parametrize("choice", BRANCHED.values(), ids=BRANCHED)
def test_gradient_of_professor_forcing(
    make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any], detach: str
) -> None:
    """Members without a match, and with another side held fixed, are company."""
    settings = [(0.5, 0.5, 0.0, detach), (0.2, 0.0, 0.0, "none"), (0.0, 5.0, 1.0, detach)]
    candidates = [
        make_candidate(
            **choice,
            rollout_steps=5,
            teacher_span="rollout",
            teacher_weight=share,
            professor_weight=weight,
            professor_detach=side,
            curriculum_fraction=fraction,
            input_noise_std=0.1,
            feedback_noise_std=0.1 * fraction,
            output_noise_std=0.1,
            label_noise_std=0.1,
        )
        for share, weight, fraction, side in settings
    ]
    training = training_of(candidates)
    check_next_gradient(training)
    check_next_gradient(training)


@pytest.mark.parametrize("choice", BRANCHED.values(), ids=BRANCHED)
def test_gradient_of_professor_forcing_after_a_pushforward(
    make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]
) -> None:
    """What is run without a gradient is not matched either."""
    settings = [(2, 0.5, "teacher"), (0, 1.0, "none"), (9, 0.0, "free")]
    candidates = [
        make_candidate(
            **choice,
            rollout_steps=5,
            teacher_span="rollout",
            teacher_weight=0.3,
            professor_weight=2.0,
            professor_detach=side,
            pushforward_steps=pushforward,
            curriculum_fraction=fraction,
            label_noise_std=0.1,
        )
        for pushforward, fraction, side in settings
    ]
    training = training_of(candidates)
    check_next_gradient(training)
    check_next_gradient(training)


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("teacher_span", ["warm-up", "rollout"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_gradient_over_chunks_that_carry_the_state(
    make_candidate: Callable[..., TrainedNetwork], cell: str, teacher_span: str, rate: float
) -> None:
    """Long enough for streams to arrive at the end of the span and to set out again."""
    candidates = [
        make_candidate(
            cell=cell,
            context="state",
            layers=2,
            stateful=True,
            rollout_steps=6,
            training_steps=8,
            teacher_span=teacher_span,
            teacher_weight=0.5,
            professor_weight=0.5,
            time_reversal=reversal,
            learning_rate=3e-2,
            dropout=rate,
        )
        for reversal in (False, True, False)
    ]
    training = training_of(candidates)
    assert training.subsequences.fresh[:, 1:].any()
    for step in range(8):
        if step == 4:
            training.keep([2, 0])
        check_next_gradient(training)


@pytest.mark.parametrize("teacher_span", ["warm-up", "rollout"])
@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize(("layers", "head_layers"), [(1, 0), (3, 1)])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_gradient_with_dropout(
    make_candidate: Callable[..., TrainedNetwork],
    cell: str,
    layers: int,
    head_layers: int,
    context: str,
    teacher_span: str,
) -> None:
    # A linear cohort has dropout in all of its members or in none.
    rates = (0.3, 0.1, 0.5) if cell == "lru" else (0.3, 0.0, 0.5)
    candidates = [
        make_candidate(
            cell=cell,
            context=context,
            layers=layers,
            head_layers=head_layers,
            rollout_steps=3,
            teacher_span=teacher_span,
            teacher_weight=0.5,
            professor_weight=0.5,
            label_noise_std=0.1,
            dropout=rate,
        )
        for rate in rates
    ]
    training = training_of(candidates)
    check_next_gradient(training)
    check_next_gradient(training)
