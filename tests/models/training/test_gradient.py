"""Gradients, losses and free runs against one network written plainly, in float64 with autograd."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from models.network.forecaster import Forecaster
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from tests.models.network.reference_network import Network, run_network
from tests.models.training.reference_loss import loss_of
from tests.models.training.reference_step import (
    MEMBERS,
    SPAN,
    check_next_gradient,
    training_of,
    weights_of,
)

ARCHITECTURES: list[dict[str, Any]] = (
    [
        {"cell": c, "context": x, "layers": n, "head_layers": h, "residual": r, "rollout_steps": k}
        for c, x, (n, h), r, k in itertools.product(
            ("rnn", "gru", "lstm", "lru"),
            ("window", "state"),
            ((1, 0), (2, 1)),
            (False, True),
            (1, 4),
        )
    ]
    + [
        {"cell": c, "context": "state", "layers": n, "head_layers": h, "residual": r}
        | {"autonomous": not r, "rollout_steps": 4}
        for c, n, h, r in (
            ("rnn", 1, 1, False),
            ("gru", 3, 2, True),
            ("lstm", 2, 0, False),
            ("lru", 3, 0, True),
            ("lru", 1, 0, False),
            ("lru", 2, 1, False),
        )
    ]
    + [
        {
            "cell": "lru",
            "context": "state",
            "residual": True,
            "autonomous": True,
            "rollout_steps": 3,
        }
    ]
)


@pytest.mark.parametrize("choice", ARCHITECTURES, ids=lambda c: "-".join(map(str, c.values())))
def test_gradient(make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]) -> None:
    candidates = [
        make_candidate(**choice, teacher_weight=share, curriculum_fraction=fraction)
        for share, fraction in ((0.3, 0.0), (0.0, 0.0), (0.7, 1.0))
    ]
    check_next_gradient(training_of(candidates))


@pytest.mark.parametrize("head_layers", [0, 1])
@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", ["gru", "lru"])
def test_gradient_without_offset_and_backwards_in_time(
    make_candidate: Callable[..., TrainedNetwork], cell: str, context: str, head_layers: int
) -> None:
    choice = {"cell": cell, "context": context, "head_layers": head_layers}
    training = training_of(
        [
            make_candidate(
                **choice, batch_size=3, rollout_steps=4, time_reversal=reversal, offset=offset
            )
            for reversal, offset in ((True, False), (False, False), (True, True))
        ]
    )
    check_next_gradient(training)
    check_next_gradient(training)


NOISE = ["input_noise_std", "feedback_noise_std", "output_noise_std", "label_noise_std"]


@pytest.mark.parametrize("cell", ["rnn", "lru"])
@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("kinds", [*([kind] for kind in NOISE), NOISE], ids="-".join)
def test_gradient_with_noise(
    make_candidate: Callable[..., TrainedNetwork], cell: str, context: str, kinds: list[str]
) -> None:
    candidates = [
        make_candidate(
            cell=cell,
            context=context,
            rollout_steps=4,
            teacher_weight=0.4,
            **{kind: std * (1 + i) for i, kind in enumerate(kinds)},
        )
        for std in (0.1, 0.0, 0.3)
    ]
    training = training_of(candidates)
    check_next_gradient(training)
    check_next_gradient(training)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_gradient_of_several_channels(
    make_candidate: Callable[..., TrainedNetwork], cell: str
) -> None:
    choice = {"context": "state", "residual": True, "rollout_steps": 3, "teacher_weight": 0.5}
    candidate = make_candidate(cell=cell, input_noise_std=0.1, **choice)
    check_next_gradient(training_of([candidate] * MEMBERS, channels=2))


def test_curriculum_grows_over_its_share_of_training(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidates = [
        make_candidate(
            context="state",
            rollout_steps=6,
            teacher_weight=0.2,
            curriculum_fraction=fraction,
            training_steps=10,
        )
        for fraction in (0.05, 0.5, 1.0)
    ]
    training = training_of(candidates)
    for _ in range(10):
        check_next_gradient(training)


@pytest.mark.parametrize("teacher_span", ["warm-up", "rollout"])
@pytest.mark.parametrize("context", ["window", "state", "stateful"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
@pytest.mark.parametrize("rollout_steps", [1, 5])
def test_loss(
    make_candidate: Callable[..., TrainedNetwork],
    cell: str,
    context: str,
    rollout_steps: int,
    teacher_span: str,
) -> None:
    """Without noise, over parts with the whole context that are spread over the span."""
    candidate = make_candidate(
        cell=cell,
        context=context.removesuffix("ful"),
        stateful=context == "stateful",
        rollout_steps=rollout_steps,
        teacher_span=teacher_span,
        teacher_weight=0.3,
        curriculum_fraction=1.0,
        label_noise_std=1.0,
        professor_weight=1.0,
        dropout=0.5,
    )
    training = training_of([candidate] * MEMBERS)
    next(iter(training))
    last = SPAN - 4 - rollout_steps
    starts = np.linspace(0, last, 16).round().astype(int)
    for member, ours in enumerate(training.loss()):
        parts = [training.values[member, s : s + 4 + rollout_steps] for s in starts]
        targets = torch.stack(parts, dim=1).double()
        networks = [
            Network(candidate.architecture, weights_of(training, member), batch=16)
            for _ in ("free", "forced")
        ]
        free = run_network(networks[0], targets[:4], rollout_steps)
        forced = run_network(networks[1], targets[:4], rollout_steps, truth=targets)
        expected = loss_of(free, forced, targets, candidate, 4, rollout_steps)
        assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


CONTEXTS: dict[str, dict[str, Any]] = {
    "window": {"context": "window"},
    "window-residual": {"context": "window", "residual": True},
    "state": {"context": "state"},
    "state-residual": {"context": "state", "residual": True},
    "autonomous-residual": {"context": "state", "residual": True, "autonomous": True},
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
def test_free_run(make_candidate: Callable[..., TrainedNetwork], cell: str, context: str) -> None:
    architecture = make_candidate(
        cell=cell, context_steps=5, layers=2, head_layers=1, **CONTEXTS[context]
    ).architecture
    forecaster = Forecaster(architecture, channels=2)
    generator = Generator().manual_seed(2)
    population = torch.stack([forecaster.initialise(generator) for _ in range(MEMBERS)])
    contexts = torch.randn(MEMBERS, 4, 5, 2, generator=generator)
    run = free_run(forecaster, population, contexts, 30)
    assert run.shape == (MEMBERS, 4, 30, 2)
    views = forecaster.layout().views(population)
    for member in range(MEMBERS):
        weights = {name: view[member].double() for name, view in views.items()}
        context_of_member = contexts[member].transpose(0, 1).double()
        network = Network(architecture, weights, batch=4)
        found = run_network(network, context_of_member, 30).forecasts
        expected = torch.stack([found[5 + step] for step in range(30)], dim=1)
        torch.testing.assert_close(
            run[member].double(), expected.clamp(-CLIP_STD, CLIP_STD), rtol=1e-4, atol=1e-4
        )
