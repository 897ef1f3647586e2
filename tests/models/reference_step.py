"""The gradient of one optimiser step of a member, from the plain network by autograd."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from models.candidate import Candidate
from models.losses.growth import DISPLACEMENT
from models.optimiser import BETA1
from models.training import Member, Training
from tests.models.reference_network import (
    Forced,
    Network,
    Weights,
    further_of,
    growth_of,
    loss_of,
    match_of,
    run_network,
)

MEMBERS, SPAN = 3, 40


def training_of(candidates: list[Candidate], channels: int = 1) -> Training:
    values = torch.randn(MEMBERS, SPAN, channels, generator=Generator().manual_seed(3))
    return Training([Member(c, i, seed=i + 5) for i, c in enumerate(candidates)], values)


def weights_of(training: Training, member: int) -> Weights:
    """One member's weights as float64 leaves."""
    views = training.forecaster.layout().views(training.weights)
    return {name: v[member].double().clone().requires_grad_() for name, v in views.items()}


@dataclass
class Drawn:
    """What chance gives a member for its next step: float64 `[time, batch, channel]`.

    masks, state_noise: `[slot, layer, batch, unit]`. shares: of the truth, `[rollout, batch, 1]`.
    """

    values: Tensor
    noise: dict[str, Tensor]
    shares: Tensor
    masks: Tensor | None
    state_noise: Tensor | None


def drawn_for(training: Training, member: int, slots: int) -> Drawn:
    candidate, step = training.members[member].candidate, training.steps_done
    strategy, segments = candidate.strategy, training.segments
    values = []
    for batch in range(strategy.batch_size):
        start = int(segments.starts[member, step, batch])
        segment = training.values[member, start : start + segments.shape.steps]
        values.append(segment.flip(0) if segments.backwards[member, step, batch] else segment)
    truth = torch.stack(values, dim=1).double()
    factor = training.augmentation.factor(step)
    if factor is not None:
        truth = truth * factor[member].double()
    generator = Generator()
    generator.set_state(training.generators[member].get_state())
    noise = {}
    for kind in ("input", "feedback", "output", "label"):
        std = getattr(strategy, f"{kind}_noise_std")
        drawn = torch.randn(truth.shape, generator=generator) if std else torch.zeros(1)
        noise[kind] = (std * drawn).double().expand(truth.shape)
    size = (strategy.rollout_steps, strategy.batch_size)
    schedule, shares = training.forcing.schedules[member], torch.zeros(size)
    if schedule is not None:
        share = torch.as_tensor(schedule.share(step)).view(-1, 1).expand(size)
        drawn = torch.rand(size, generator=generator) < share if schedule.draws else share
        shares = drawn.float()
    masks, state_noise = None, None
    if rate := strategy.dropout:
        layers, width = candidate.architecture.layers, training.forecaster.output_units
        uniform = torch.rand(slots, layers, strategy.batch_size, width, generator=generator)
        masks = (uniform >= rate).double() / (1 - rate)
    if std := strategy.state_noise_std:
        layers, width = candidate.architecture.layers, training.forecaster.state_units
        drawn = torch.randn(slots, layers, strategy.batch_size, width, generator=generator)
        state_noise = std * drawn.double()
    return Drawn(truth, noise, shares.double().unsqueeze(2), masks, state_noise)


def reference_step(training: Training, member: int) -> tuple[Weights, Tensor]:
    """The gradient of the member's next optimiser step, by autograd, and the state it leaves."""
    candidate = training.members[member].candidate
    architecture, strategy = candidate.architecture, candidate.strategy
    shape = training.segments.shape
    slots = shape.steps - 1
    if architecture.context == "window":
        slots = shape.rollout * (1 if architecture.cell == "mlp" else shape.warm_up)
    drawn = drawn_for(training, member, slots)
    weights = weights_of(training, member)
    reads, targets = drawn.values + drawn.noise["input"], drawn.values + drawn.noise["label"]
    networks = [
        Network(architecture, weights, strategy.batch_size, drawn.masks, drawn.state_noise)
        for _ in ("free", "forced", "displaced")
    ]
    if candidate.carries_state:
        fresh = training.segments.fresh[member, training.steps_done].unsqueeze(1)
        for network in networks:
            states = training.stream_state[:, member].double()
            network.states = [torch.where(fresh, 0.0, state) for state in states]
            network.is_fresh = False
    pushforward = min(strategy.pushforward_steps, shape.rollout - 1)
    own: dict[str, Any] = {
        "feedback_noise": drawn.noise["feedback"],
        "forced": Forced(reads, drawn.shares, pushforward, strategy.data_as_demonstrator),
    }
    given = (reads[: shape.warm_up], shape.rollout, drawn.noise["output"])
    free = run_network(networks[0], *given, **own)
    forced = run_network(networks[1], *given, truth=reads)
    displaced = run_network(networks[2], *given, **own, displacement=DISPLACEMENT)
    grown = strategy.curriculum_fraction * strategy.training_steps
    share = min(1.0, (training.steps_done + 1) / grown) if grown else 1.0
    horizon = 1 + int((shape.rollout - 1) * share)
    spans = (candidate, shape.warm_up, horizon)
    loss = loss_of(free, forced, targets, *spans) + match_of(free, forced, *spans)
    loss = loss + further_of(free, targets, *spans)
    if strategy.growth_penalty:
        loss = loss + growth_of(free, displaced, *spans)
    loss.backward()
    if not strategy.offset:
        weights[f"head.{architecture.head_layers}.bias"].grad = None
    gradient = {n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in weights.items()}
    return gradient, torch.stack(networks[1].states).detach()


def check_next_gradient(training: Training, tolerance: float = 1e-5) -> None:
    """Take one step, and compare the gradient that the optimiser's first moment took in.

    tolerance: of each number, beside the member's largest one.
    """
    expected = [reference_step(training, member) for member in range(training.count)]
    before = training.optimiser.first_moment.double()
    next(iter(training))
    taken = (training.optimiser.first_moment.double() - BETA1 * before) / (1 - BETA1)
    ours = training.forecaster.layout().views(taken)
    for member, (gradients, state) in enumerate(expected):
        largest = tolerance * max(float(g.abs().max()) for g in gradients.values())
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                ours[name][member], gradient, rtol=0.0, atol=largest, msg=f"{member} {name}"
            )
        if training.members[member].candidate.carries_state:
            left = training.stream_state[:, member].double()
            torch.testing.assert_close(left, state, rtol=1e-5, atol=1e-5)
