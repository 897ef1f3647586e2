"""Gradients, losses and free runs against one network written plainly, in float64 with autograd."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from models.candidate import Architecture, Candidate
from models.forecaster import Forecaster
from models.freerun import CLIP_STD, free_run
from models.optimiser import BETA1
from models.training import Member, Training

Weights = dict[str, Tensor]  # one member's parameters by name, without a member axis
MEMBERS, SPAN = 3, 40


def read(cell: str, w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """The state of one layer after reading x `[batch, inputs]`; the output is its beginning."""
    if cell == "rnn":
        return torch.tanh(x @ w["input"] + state @ w["recurrent"] + w["bias"])
    if cell == "lru":
        eigenvalues = torch.exp(-torch.exp(w["nu"]) + 1j * torch.exp(w["theta"]))
        real, imaginary = state.chunk(2, dim=1)
        from_real, from_imaginary = (x @ w["input"]).chunk(2, dim=1)
        modes = eigenvalues * torch.complex(real, imaginary)
        modes = modes + torch.complex(from_real, from_imaginary)
        return torch.cat([modes.real, modes.imag], dim=1)
    if cell == "gru":
        of_x = (x @ w["input"] + w["input_bias"]).chunk(3, dim=1)
        of_h = (state @ w["recurrent"] + w["recurrent_bias"]).chunk(3, dim=1)
        reset, update = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
        return (1 - update) * torch.tanh(of_x[2] + reset * of_h[2]) + update * state
    hidden, memory = state.chunk(2, dim=1)
    sums = (x @ w["input"] + hidden @ w["recurrent"] + w["bias"]).chunk(4, dim=1)
    write, keep, out = (torch.sigmoid(s) for s in sums[:3])
    memory = keep * memory + write * torch.tanh(sums[3])
    return torch.cat([out * torch.tanh(memory), memory], dim=1)


class Network:
    """One network that carries its states from call to call."""

    def __init__(self, architecture: Architecture, weights: Weights, batch: int) -> None:
        self.architecture, self.weights, self.batch = architecture, weights, batch
        self.forget()

    def forget(self) -> None:
        a = self.architecture
        width = a.units * (2 if a.cell in ("lstm", "lru") else 1)
        self.states = [torch.zeros(self.batch, width).double() for _ in range(a.layers)]

    def __call__(self, value: Tensor) -> Tensor:
        """Read a value `[batch, channel]`, forecast the next one."""
        a, x = self.architecture, value
        for i in range(a.layers):
            own = {k.split(".")[2]: w for k, w in self.weights.items() if f"cell.{i}." in k}
            self.states[i] = read(a.cell, own, x, self.states[i])
            x = self.states[i] if a.cell == "lru" else self.states[i][:, : a.units]
        for i in range(a.head_layers + 1):
            x = x @ self.weights[f"head.{i}.weight"] + self.weights[f"head.{i}.bias"]
            x = torch.tanh(x) if i < a.head_layers else x
        return x + value if a.residual else x


def forecasts(
    architecture: Architecture,
    weights: Weights,
    context: Tensor,
    steps: int,
    output_noise: Tensor | None = None,
    feedback_noise: Tensor | None = None,
) -> dict[int, Tensor]:
    """Forecast by position, those of the warm-up's own values included where a state is carried.

    context `[time, batch, channel]`; noise `[time, batch, channel]` over warm-up and rollout.
    """
    warm_up, batch, _ = context.shape
    network = Network(architecture, weights, batch)
    known, found = list(context), {}

    def emit(position: int, forecast: Tensor) -> None:
        found[position] = forecast if output_noise is None else forecast + output_noise[position]
        if position >= warm_up:
            fed_back = found[position].clamp(-CLIP_STD, CLIP_STD)
            known.append(
                fed_back if feedback_noise is None else fed_back + feedback_noise[position]
            )

    for position in range(1, warm_up + steps):
        if architecture.context == "state":
            is_idle = architecture.autonomous and position > warm_up
            value = known[position - 1]
            emit(position, network(torch.zeros_like(value) if is_idle else value))
        elif position >= warm_up:
            network.forget()
            emit(position, [network(x) for x in known[position - warm_up : position]][-1])
    return found


def loss_of(
    found: dict[int, Tensor], targets: Tensor, candidate: Candidate, horizon: int
) -> Tensor:
    """Shares of the one-step and the free-running loss; targets `[time, batch, channel]`."""
    warm_up = candidate.architecture.context_steps
    washout = warm_up // 2 + 1 if candidate.architecture.context == "state" else warm_up
    error = {t: ((found[t] - targets[t]) ** 2).mean() for t in found}
    teacher = torch.stack([error[t] for t in range(washout, warm_up + 1)]).mean()
    free = torch.stack([error[t] for t in range(warm_up, warm_up + horizon)]).mean()
    share = candidate.strategy.teacher_weight if candidate.strategy.rollout_steps > 1 else 1.0
    return share * teacher + (1 - share) * free


def weights_of(training: Training, member: int) -> Weights:
    """One member's weights as float64 leaves."""
    views = training.forecaster.layout().views(training.weights)
    return {name: v[member].double().clone().requires_grad_() for name, v in views.items()}


def reference_gradient(training: Training, member: int) -> Weights:
    """The gradient of the member's next optimiser step, by autograd."""
    candidate = training.members[member].candidate
    strategy, step = candidate.strategy, training.steps_done
    warm_up, rollout = candidate.architecture.context_steps, strategy.rollout_steps
    starts = training.starts[member, step].tolist()
    segments = [training.values[member, s : s + warm_up + rollout] for s in starts]
    for index in range(len(segments)):
        if strategy.time_reversal and (step * strategy.batch_size + index) % 2:
            segments[index] = segments[index].flip(0)
    targets = torch.stack(segments, dim=1).double()
    generator = Generator()
    generator.set_state(training.generators[member].get_state())
    noise = {}
    for kind in ("input", "feedback", "output", "label"):
        std = getattr(strategy, f"{kind}_noise_std")
        drawn = torch.randn(targets.shape, generator=generator) if std else torch.zeros(1)
        noise[kind] = (std * drawn).double().expand(targets.shape)
    grown = strategy.curriculum_fraction * strategy.training_steps
    share = min(1.0, (step + 1) / grown) if grown else 1.0
    weights = weights_of(training, member)
    found = forecasts(
        candidate.architecture,
        weights,
        (targets + noise["input"])[:warm_up],
        rollout,
        noise["output"],
        noise["feedback"],
    )
    horizon = 1 + int((rollout - 1) * share)
    loss_of(found, targets + noise["label"], candidate, horizon).backward()
    if not strategy.offset:
        weights[f"head.{candidate.architecture.head_layers}.bias"].grad = None
    return {n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in weights.items()}


def check_next_gradient(training: Training) -> None:
    """Take one step, and compare the gradient that the optimiser's first moment took in."""
    expected = [reference_gradient(training, member) for member in range(training.count)]
    before = training.optimiser.first_moment.double()
    next(iter(training))
    taken = (training.optimiser.first_moment.double() - BETA1 * before) / (1 - BETA1)
    ours = training.forecaster.layout().views(taken)
    for member, gradients in enumerate(expected):
        largest = max(float(g.abs().max()) for g in gradients.values())
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                ours[name][member], gradient, rtol=0.0, atol=1e-5 * largest, msg=f"{member} {name}"
            )


def training_of(candidates: list[Candidate], channels: int = 1) -> Training:
    values = torch.randn(MEMBERS, SPAN, channels, generator=Generator().manual_seed(3))
    return Training([Member(c, i, seed=i + 5) for i, c in enumerate(candidates)], values)


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
def test_gradient(make_candidate: Callable[..., Candidate], choice: dict[str, Any]) -> None:
    candidates = [
        make_candidate(**choice, teacher_weight=share, curriculum_fraction=fraction)
        for share, fraction in ((0.3, 0.0), (0.0, 0.0), (0.7, 1.0))
    ]
    check_next_gradient(training_of(candidates))


@pytest.mark.parametrize("head_layers", [0, 1])
@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", ["gru", "lru"])
def test_gradient_without_offset_and_backwards_in_time(
    make_candidate: Callable[..., Candidate], cell: str, context: str, head_layers: int
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
    make_candidate: Callable[..., Candidate], cell: str, context: str, kinds: list[str]
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
def test_gradient_of_several_channels(make_candidate: Callable[..., Candidate], cell: str) -> None:
    choice = {"context": "state", "residual": True, "rollout_steps": 3, "teacher_weight": 0.5}
    candidate = make_candidate(cell=cell, input_noise_std=0.1, **choice)
    check_next_gradient(training_of([candidate] * MEMBERS, channels=2))


def test_curriculum_grows_over_its_share_of_training(
    make_candidate: Callable[..., Candidate],
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


@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lru"])
@pytest.mark.parametrize("rollout_steps", [1, 5])
def test_loss(
    make_candidate: Callable[..., Candidate], cell: str, context: str, rollout_steps: int
) -> None:
    """Noise belongs to training only; segments are spread evenly over the training span."""
    candidate = make_candidate(
        cell=cell,
        context=context,
        rollout_steps=rollout_steps,
        teacher_weight=0.3,
        curriculum_fraction=1.0,
        label_noise_std=1.0,
    )
    training = training_of([candidate] * MEMBERS)
    next(iter(training))
    last = SPAN - 4 - rollout_steps
    starts = np.linspace(0, last, 16).round().astype(int)
    for member, ours in enumerate(training.loss()):
        segments = [training.values[member, s : s + 4 + rollout_steps] for s in starts]
        targets = torch.stack(segments, dim=1).double()
        weights = weights_of(training, member)
        found = forecasts(candidate.architecture, weights, targets[:4], rollout_steps)
        expected = loss_of(found, targets, candidate, rollout_steps)
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
def test_free_run(make_candidate: Callable[..., Candidate], cell: str, context: str) -> None:
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
        found = forecasts(architecture, weights, context_of_member, 30)
        expected = torch.stack([found[5 + step] for step in range(30)], dim=1)
        torch.testing.assert_close(
            run[member].double(), expected.clamp(-CLIP_STD, CLIP_STD), rtol=1e-4, atol=1e-4
        )
