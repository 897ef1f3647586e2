"""A candidate in a few words, and scores in three digits."""

from typing import Any

import pytest

from models.candidate import candidate_of
from search.analysis.wording import shown_score

GRU: dict[str, Any] = {
    "cell": "gru",
    "hidden_units": 16,
    "layers": 2,
    "context": "state",
    "warm_up_steps": 100,
    "rollout_steps": 1,
    "learning_rate": 1e-2,
    "clip_norm": 1.0,
    "training_steps": 1,
    "batch_size": 1,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "gru, 2 x 16 units, warm-up of 100, one-step loss"),
        ({"cell": "lem"}, "lem, 2 x 16 units, warm-up"),
        ({"cell": "orthogonal", "reflections": 4}, "orthogonal, 2 x 16 units, 4 reflections, "),
        ({"cell": "shplrnn", "expanded_units": 32}, "shplrnn, 2 x 16 units, expanded to 32, "),
        (
            {"layer_norm": True, "instance_norm": True},
            "units, layer norm, warm-up of 100, instance",
        ),
        ({"residual": True}, "units, warm-up of 100, residual, "),
        ({"residual": True, "scaled_increments": True}, "warm-up of 100, scaled increments, "),
        (
            {"cell": "mlp", "window_steps": 64, "window_rollout_steps": 1, "layers": 1},
            "mlp, 16 units, window of 64, one-step loss",
        ),
    ],
    ids=str,
)
def test_what_makes_an_architecture_is_named(change: dict[str, Any], words: str) -> None:
    assert words in candidate_of(GRU | change).description()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"cell": "esn", "reservoir_units": 16, "warm_up_steps": 100, "ridge": 1e-6},
            "esn, 16 units, warm-up of 100, ridge 1e-06",
        ),
        (
            {"cell": "nvar", "nvar_delays": 4, "delay_stride": 2, "degree": 3}
            | {"regularisation": "held-out"},
            "nvar, 4 delays of 2 steps, degree 3, ridge chosen on the last quarter",
        ),
        ({"cell": "ar", "ar_order": 100, "residual": True}, "ar, order 100, residual, ridge 0"),
        (
            {"cell": "ssa", "ssa_window": 100, "ssa_rank": 2, "time_reversal": True},
            "ssa, window of 100, both ways in time, rank 2",
        ),
        (
            {"cell": "kernel-ridge", "kernel_delays": 6, "kernel_stride": 3, "offset": False}
            | {"kernel_components": 5, "kernel_odd": True, "segment_steps": 2, "ridge": 1e-9},
            "kernel-ridge, 6 delays of 3 steps, 5 components, segments of 2, odd matern-3/2 "
            "kernel, length 1, ridge 1e-09",
        ),
    ],
    ids=str,
)
def test_closed_forms_have_words_of_their_own(settings: dict[str, Any], words: str) -> None:
    assert candidate_of(settings).description() == words


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        (0.00123456, "0.00123"),
        (999.4, "999"),
        (999.6, "1,000"),
        (20_000.0, "20,000"),
        (99_999.0, "99,999"),
        (123_456.0, "1.23e+05"),
    ],
)
def test_scores_have_three_digits_that_can_be_read(score: float, shown: str) -> None:
    assert shown_score(score) == shown
