"""The gradient of one optimiser step of a member, from the plain network by autograd."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from models.cohort import Member
from models.methods import MethodSet
from models.network.options.shape import Scaling
from models.tensors import MemberParameter
from models.training.forcing.forcing import DataAsDemonstrator, Pushforward
from models.training.losses.growth import DISPLACEMENT
from models.training.losses.squared_error import SquaredError
from models.training.options.noise import (
    Dropout,
    FeedbackNoise,
    InputNoise,
    LabelNoise,
    Noise,
    OutputNoise,
    StateNoise,
)
from models.training.options.optimiser import AdamW
from models.training.subsequence import training_plan
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from tests.models.network.reference_network import Forced, Network, Weights, run_network
from tests.models.training.reference_loss import further_of, growth_of, loss_of, match_of

MEMBERS, SPAN = 3, 40
# In the order in which a member's generator draws them.
NOISES: dict[str, type[Noise]] = {
    "input": InputNoise,
    "feedback": FeedbackNoise,
    "output": OutputNoise,
    "label": LabelNoise,
}


class RecordingAdamW(AdamW):
    """The optimiser, which keeps a copy of the last gradient, zero for what is not trained."""

    def __init__(
        self, candidates: Sequence[MethodSet], weights: MemberParameter, trained: MemberParameter
    ) -> None:
        super().__init__(candidates, weights, trained)
        self.gradient = torch.zeros_like(weights)

    def step(self, weights: MemberParameter, grads: MemberParameter) -> None:
        self.gradient = grads * self.trained
        super().step(weights, grads)


def training_of(candidates: list[TrainedNetwork], channels: int = 1, columns: int = 0) -> Trainer:
    """A training of members with series and seeds of their own, whose gradients are recorded.

    columns: known ones that are inputs.
    """
    generator = Generator().manual_seed(3)
    values = torch.randn(MEMBERS, SPAN, channels, generator=generator)
    exogenous = torch.randn(MEMBERS, SPAN, columns, generator=generator) if columns else None
    members = [Member(c, i, seed=i + 5) for i, c in enumerate(candidates)]
    training = Trainer(members, values, exogenous=exogenous)
    trained = training.optimiser.trained
    training.optimiser = RecordingAdamW(candidates, training.weights, trained)
    return training


def gradients_of_next_step(training: Trainer) -> Weights:
    """Take one step, and return what the optimiser was given: by name, `[member, *shape]`."""
    optimiser = training.optimiser
    assert isinstance(optimiser, RecordingAdamW)
    next(iter(training))
    return training.forecaster.layout().views(optimiser.gradient.double())


def weights_of(training: Trainer, member: int) -> Weights:
    """One member's weights as float64 leaves."""
    views = training.forecaster.layout().views(training.weights)
    return {name: v[member].double().clone().requires_grad_() for name, v in views.items()}


@dataclass
class Drawn:
    """What chance gives a member for its next step: float64 `[time, batch, channel]`.

    masks, state_noise: `[slot, layer, batch, unit]`. shares: of the truth, `[rollout, batch, 1]`.
    exogenous: known columns, None without any.
    """

    values: Tensor
    noise: dict[str, Tensor]
    shares: Tensor
    masks: Tensor | None
    state_noise: Tensor | None
    exogenous: Tensor | None


def drawn_for(training: Trainer, member: int, slots: int) -> Drawn:
    """The member's values and noise, from a copy of its generator."""
    candidate, step = training.members[member].candidate, training.steps_done
    subsequences, batch_size = training.subsequences, candidate.optimiser.batch_size

    def cut(series: Tensor) -> Tensor:
        values = []
        for batch in range(batch_size):
            start = int(subsequences.starts[member, step, batch])
            part = series[member, start : start + subsequences.shape.steps]
            part = part.flip(0) if subsequences.backwards[member, step, batch] else part
            missing = subsequences.shape.whole_steps - len(part)
            values.append(torch.cat([part, part[-1:].expand(missing, -1)]))
        return torch.stack(values, dim=1).double()

    truth = cut(training.values)
    exogenous = cut(training.exogenous) if training.forecaster.exogenous else None
    factor = training.factors.of_step(step)
    if factor is not None:
        truth = truth * factor[member].double()
    generator = Generator()
    generator.set_state(training.generators[member].get_state())
    noise = {}
    for name, kind in NOISES.items():
        own = candidate[kind]
        drawn = own.draw(tuple(truth.shape), generator) if own.std else torch.zeros(1)
        noise[name] = drawn.double().expand(truth.shape)
    segment = candidate.architecture.segment_steps
    size = (-(-candidate.rollout_steps // segment), batch_size)
    schedule, shares = training.forcing.schedules[member], torch.zeros(size)
    if schedule is not None:
        share = torch.as_tensor(schedule.share(step)).view(-1, 1).expand(size)
        is_drawn = schedule.forcing.draws
        drawn = torch.rand(size, generator=generator) < share if is_drawn else share
        shares = drawn.float()
    masks, state_noise = None, None
    layers, cell = candidate.architecture.layers, candidate.cell
    if rate := candidate[Dropout].rate:
        hidden = (slots, layers, batch_size, cell.output_units)
        masks = (torch.rand(hidden, generator=generator) >= rate).double() / (1 - rate)
    if candidate[StateNoise].std:
        state = (slots, layers, batch_size, cell.state_units)
        state_noise = candidate[StateNoise].draw(state, generator).double()
    return Drawn(truth, noise, shares.double().unsqueeze(2), masks, state_noise, exogenous)


def horizon_of(training: Trainer, member: int) -> int:
    """The steps of the rollout that count in the member's next optimiser step."""
    candidate = training.members[member].candidate
    grown = candidate[SquaredError].curriculum_fraction * candidate.optimiser.training_steps
    share = min(1.0, (training.steps_done + 1) / grown) if grown else 1.0
    return 1 + int((candidate.rollout_steps - 1) * share)


def reference_step(training: Trainer, member: int) -> tuple[Weights, Tensor]:
    """The gradient of the member's next optimiser step, by autograd, and the state it leaves."""
    candidate = training.members[member].candidate
    architecture, batch_size = candidate.architecture, candidate.optimiser.batch_size
    shape = training.subsequences.shape
    segments = -(-shape.rollout // shape.segment)
    drawn = drawn_for(training, member, len(training_plan(candidate)))
    weights = weights_of(training, member)
    reads, targets = drawn.values + drawn.noise["input"], drawn.values + drawn.noise["label"]
    networks = [
        Network(architecture, weights, batch_size, drawn.masks, drawn.state_noise)
        for _ in ("free", "forced", "displaced")
    ]
    if candidate.carries_state:
        fresh = training.subsequences.fresh[member, training.steps_done].unsqueeze(1)
        for network in networks:
            states = training.stream_state[member].double()
            network.states = [torch.where(fresh, 0.0, state) for state in states]
            network.is_fresh = False
    pushforward = min(candidate[Pushforward].pushforward_steps, segments - 1)
    detached = candidate[DataAsDemonstrator].data_as_demonstrator
    beside: dict[str, Any] = {"exogenous": drawn.exogenous}
    own: dict[str, Any] = {
        **beside,
        "feedback_noise": drawn.noise["feedback"],
        "forced": Forced(reads, drawn.shares, pushforward, detached),
    }
    given = (reads[: shape.warm_up], shape.rollout, drawn.noise["output"])
    free = run_network(networks[0], *given, **own)
    forced = run_network(networks[1], *given, truth=reads, **beside)
    displaced = run_network(networks[2], *given, **own, displacement=DISPLACEMENT)
    spans = (candidate, shape.warm_up, horizon_of(training, member))
    loss = loss_of(free, forced, targets, *spans) + match_of(free, forced, *spans)
    loss = loss + further_of(free, targets, *spans) + growth_of(free, displaced, *spans)
    loss.backward()
    if not candidate[Scaling].offset:
        weights[training.forecaster.output_bias].grad = None
    gradient = {n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in weights.items()}
    return gradient, torch.stack(networks[1].states).detach()


def check_next_gradient(training: Trainer, tolerance: float = 1e-5) -> None:
    """Take one step, and compare its gradient with that of the plain network.

    tolerance: of each number, beside the member's largest one.
    """
    expected = [reference_step(training, member) for member in range(training.count)]
    ours = gradients_of_next_step(training)
    for member, (gradients, state) in enumerate(expected):
        largest = tolerance * max(float(g.abs().max()) for g in gradients.values())
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                ours[name][member], gradient, rtol=0.0, atol=largest, msg=f"{member} {name}"
            )
        if training.members[member].candidate.carries_state:
            left = training.stream_state[member].double()
            torch.testing.assert_close(left, state, rtol=1e-5, atol=1e-5)
