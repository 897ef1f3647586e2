"""Forcing, gates of gradients, further losses, augmentation and state noise, by the plain network.

Every member of a cohort has another strategy, so that each is tested in company of the others.
"""

from collections.abc import Callable
from typing import Any

import pytest

from models.training.trained_network import TrainedNetwork
from tests.models.training.reference_step import check_next_gradient, training_of

# Single precision: that of terms which are small beside others, and that of small differences, of a
# nearly constant run from its mean or of one run from another.
TOLERANCE, TOLERANCE_OF_DIFFERENCES = 1e-4, 2e-3
FORECASTERS: dict[str, dict[str, Any]] = {
    "rnn-window": {"cell": "rnn", "context": "window", "head_layers": 1, "residual": True},
    "gru-state": {"cell": "gru", "context": "state", "layers": 2},
    "lstm-window": {"cell": "lstm", "context": "window", "layers": 2, "context_steps": 2},
    "lstm-stateful": {"cell": "lstm", "context": "state", "stateful": True},
    "lru-head": {"cell": "lru", "context": "state", "head_layers": 1},
    "lru-beside": {"cell": "lru", "context": "state", "teacher_span": "rollout"},
    "mlp-norm": {"cell": "mlp", "instance_norm": True, "layers": 2},
    "lem-norms": {"cell": "lem", "context": "state", "layer_norm": True, "instance_norm": True}
    | {"residual": True, "scaled_increments": True},
    "cornn-alone": {"cell": "cornn", "context": "state", "autonomous": True, "instance_norm": True},
}
STRATEGIES: dict[str, list[dict[str, Any]]] = {
    "drawn": [
        {"forcing": "scheduled-linear"},
        {"forcing": "increasing", "feedback_noise_std": 0.2},
        {"forcing": "scheduled-sigmoid", "input_noise_std": 0.2},
    ],
    "mixed": [
        {"forcing": "generalised", "forcing_strength": 0.3, "feedback_noise_std": 0.1},
        {"forcing": "scheduled-exponential", "dropout": 0.2},
        {"forcing": "sparse", "forcing_interval": 2},
    ],
    "gated": [
        {"pushforward_steps": 2, "curriculum_fraction": 0.0},
        {"data_as_demonstrator": True},
        {"pushforward_steps": 1, "forcing": "generalised", "feedback_noise_std": 0.1},
    ],
    "pushed to the end": [
        {"pushforward_steps": 9},
        {"pushforward_steps": 3, "velocity_weight": 1.0, "amplitude_weight": 1.0},
        {},
    ],
    "losses": [
        {"velocity_weight": 3.0, "output_noise_std": 0.1},
        {"spectral_weight": 2.0, "teacher_weight": 1.0},
        {"amplitude_weight": 5.0, "velocity_weight": 0.5, "spectral_weight": 0.5},
    ],
    "disturbed": [
        {"state_noise_std": 0.3},
        {"state_noise_std": 0.1, "dropout": 0.3, "forcing": "increasing"},
        {"sign_augmentation": True, "scale_augmentation_std": 0.5},
    ],
    "growing": [
        {"growth_penalty": True, "growth_weight": weight, "pushforward_steps": pushforward}
        for weight, pushforward in ((0.1, 0), (0.0, 0), (1.0, 2))
    ],
}


@pytest.mark.parametrize("strategies", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("choice", FORECASTERS.values(), ids=FORECASTERS)
def test_gradient(
    make_candidate: Callable[..., TrainedNetwork],
    choice: dict[str, Any],
    strategies: list[dict[str, Any]],
) -> None:
    shared = {"rollout_steps": 6, "training_steps": 8, "teacher_weight": 0.3}
    shared |= {"forcing_midpoint": 0.2, "curriculum_fraction": 0.3, "label_noise_std": 0.1}
    training = training_of([make_candidate(**(shared | choice | other)) for other in strategies])
    rests_on_differences = {"growth_weight", "amplitude_weight"} & set().union(*strategies)
    tolerance = TOLERANCE_OF_DIFFERENCES if rests_on_differences else TOLERANCE
    for _ in range(2):
        check_next_gradient(training, tolerance)


@pytest.mark.parametrize("change", [{}, {"autonomous": True}, {"residual": True}], ids=str)
@pytest.mark.parametrize("curriculum", [0.0, 1.0])
def test_gradient_of_further_losses_without_a_loop(
    make_candidate: Callable[..., TrainedNetwork], change: dict[str, Any], curriculum: float
) -> None:
    choice = {"cell": "lru", "context": "state", "rollout_steps": 7, "teacher_weight": 0.3}
    training = training_of(
        [
            make_candidate(
                **choice,
                **change,
                curriculum_fraction=curriculum,
                output_noise_std=0.1,
                scale_augmentation_std=0.2,
                **{f"{name}_weight": 2.0},
            )
            for name in ("velocity", "spectral", "amplitude")
        ]
    )
    check_next_gradient(training, TOLERANCE)
    check_next_gradient(training, TOLERANCE)


@pytest.mark.parametrize("kind", ["velocity", "spectral", "amplitude"])
def test_gradient_of_further_losses_of_several_channels(
    make_candidate: Callable[..., TrainedNetwork], kind: str
) -> None:
    choice = {"context": "state", "rollout_steps": 5, f"{kind}_weight": 2.0}
    candidates = [make_candidate(cell="gru", teacher_weight=w, **choice) for w in (0.0, 0.5, 1.0)]
    training = training_of(candidates, channels=2)
    check_next_gradient(training, TOLERANCE)
    check_next_gradient(training, TOLERANCE)


def test_gradient_of_the_growth_penalty_beside_professor_forcing(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """All three branches at once."""
    training = training_of(
        [
            make_candidate(
                cell="gru",
                context="state",
                rollout_steps=5,
                teacher_span="rollout",
                teacher_weight=0.5,
                professor_weight=0.5,
                professor_detach=detach,
                growth_penalty=True,
                growth_weight=0.5,
                stateful=True,
                state_noise_std=0.1,
            )
            for detach in ("teacher", "free", "none")
        ],
        channels=2,
    )
    check_next_gradient(training, TOLERANCE_OF_DIFFERENCES)
    check_next_gradient(training, TOLERANCE_OF_DIFFERENCES)
