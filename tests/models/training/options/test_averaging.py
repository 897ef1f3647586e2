"""Averages of weights: what they are of, and that others keep their weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator

from models.cohort import Member
from models.training.options.averaging import Averages
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

STEPS = 10


def averages(
    make_candidate: Callable[..., TrainedNetwork], walked: int = STEPS
) -> tuple[Averages, list[torch.Tensor]]:
    """Those of a member without, one of each kind, after each of `walked` of ten steps."""
    candidates = [
        make_candidate(weight_average=name, average_fraction=0.3, training_steps=STEPS)
        for name in ("none", "tail", "exponential")
    ]
    generator = Generator().manual_seed(0)
    walk = [torch.randn(3, 5, generator=generator) for _ in range(walked + 1)]
    found = Averages(candidates, walk[0])
    scored = []
    for weights in walk[1:]:
        found.update(weights)
        scored.append(found.of(weights))
    return found, [torch.stack(walk[1:]), torch.stack(scored)]


def test_a_tail_is_the_mean_over_the_end_of_training(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    _, (walk, scored) = averages(make_candidate)
    assert torch.equal(scored[:, 0], walk[:, 0])
    assert torch.equal(scored[:8, 1], walk[:8, 1])  # until the last three steps
    torch.testing.assert_close(scored[9, 1], walk[7:, 1].mean(0))


def test_an_exponential_average_forgets_over_its_span(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    _, (walk, scored) = averages(make_candidate)
    # A plain mean while it is shorter than its span of three steps.
    torch.testing.assert_close(scored[2, 2], walk[:3, 2].mean(0))
    for step in range(3, STEPS):
        expected = scored[step - 1, 2] * 2 / 3 + walk[step, 2] / 3
        torch.testing.assert_close(scored[step, 2], expected)


def test_averaging_keeps_fixed_parameters_exactly(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    for name in ("tail", "exponential"):
        choice = {"cell": "cornn", "weight_average": name, "average_fraction": 0.7}
        candidate = make_candidate(**choice, training_steps=STEPS, cornn_damping=0.1)
        values = torch.randn(1, 40, 1, generator=Generator().manual_seed(1))
        training = Trainer([Member(candidate, 0, seed=0)], values)
        for _ in training:
            scored = training.forecaster.layout().views(training.scored_weights)
            assert torch.equal(scored["fixed.cornn_damping"], torch.full((2, 1, 1), 0.1))
        assert not torch.equal(training.scored_weights, training.weights)


def test_kept_members_keep_their_averages(make_candidate: Callable[..., TrainedNetwork]) -> None:
    found, (walk, scored) = averages(make_candidate, STEPS - 1)
    for rows in ([2, 1], [0, 2, 2], [0]):
        rest, _ = averages(make_candidate, STEPS - 1)
        rest.keep(rows)
        assert torch.equal(rest.of(walk[-1, rows]), scored[-1, rows])
        rest.update(walk[0, rows])
    found.update(walk[0])
    rest, _ = averages(make_candidate, STEPS - 1)
    rest.keep([2, 1])
    rest.update(walk[0, [2, 1]])
    assert torch.equal(rest.of(walk[0, [2, 1]]), found.of(walk[0])[[2, 1]])


@pytest.mark.parametrize("kind", ["exponential", "tail"])
def test_training_is_compared_by_its_average(
    make_candidate: Callable[..., TrainedNetwork], kind: str
) -> None:
    """Trainer itself goes on from the weights, as if there were no average."""
    choice = {"cell": "gru", "context": "state", "training_steps": 12, "learning_rate": 0.1}
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    plain, averaged = (
        Trainer(
            [Member(make_candidate(weight_average=name, **choice), 0, seed) for seed in range(2)],
            values,
        )
        for name in ("none", kind)
    )
    seen = [plain.weights.clone() for _ in zip(plain, averaged, strict=True)]
    assert torch.equal(plain.weights, averaged.weights)
    assert torch.equal(plain.scored_weights, plain.weights)
    assert not torch.equal(averaged.scored_weights, averaged.weights)
    assert not torch.equal(averaged.loss(), plain.loss())
    if kind == "tail":
        span = int(0.1 * 12)
        torch.testing.assert_close(
            averaged.scored_weights, torch.stack(seen[-span - 1 :]).mean(0), rtol=1e-4, atol=1e-6
        )
