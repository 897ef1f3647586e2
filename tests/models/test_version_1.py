"""What came later changes nothing for a candidate without it: networks written down once."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator

from models.training.trained_network import Member, TrainedNetwork
from models.training.trainer import Trainer

# Mean and root mean square of the weights after training, from the version before forcing, further
# losses, augmentation, state noise and averages. Rounded, since other processors round otherwise.
OLDER: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "gru": (
        {"cell": "gru", "context": "state", "teacher_span": "rollout", "professor_weight": 0.5}
        | {"time_reversal": True, "curriculum_fraction": 0.5, "dropout": 0.2},
        (0.00288, 0.228456),
    ),
    "lru": ({"cell": "lru", "context": "state", "output_noise_std": 0.1}, (-0.570817, 2.08445)),
}


@pytest.mark.parametrize(("choice", "expected"), OLDER.values(), ids=OLDER)
def test_an_older_candidate_is_the_network_it_was(
    make_candidate: Callable[..., TrainedNetwork],
    choice: dict[str, Any],
    expected: tuple[float, float],
) -> None:
    candidate = make_candidate(
        rollout_steps=5,
        training_steps=10,
        teacher_weight=0.5,
        input_noise_std=0.1,
        feedback_noise_std=0.1,
        **choice,
    )
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    training = Trainer([Member(candidate, 0, seed=11)], values)
    for _ in training:
        pass
    weights = training.weights[0]
    found = float(weights.mean()), float(weights.square().mean().sqrt())
    assert found == pytest.approx(expected, abs=2e-5)
