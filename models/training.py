"""Training of a cohort: members of one architecture, each with its own data, strategy and seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.axes import MemberParameter, MemberTimeChannel, TimeMemberBatchChannel
from models.candidate import Candidate, Strategy
from models.cells.lru import phases_of_spectrum
from models.forecaster import Forecaster, Unroll
from models.freerun import CLIP_STD, free_run
from models.linear import LinearRun, is_linear
from models.noise import Noise
from models.optimiser import AdamW
from models.plan import plan

# Segments on which the training loss is measured when restarts are compared.
LOSS_SEGMENTS = 16
# Members whose linear free runs are computed together: more would need matrices that no longer
# fit into the processor's caches, and gain nothing.
LINEAR_MEMBERS = 32


@dataclass(frozen=True)
class Member:
    """One network to be trained.

    `series` is the row of the data it trains on. `seed` fixes its initialisation, its segments
    and its noise, and nothing else does.
    """

    candidate: Candidate
    series: int
    seed: int


class Training:
    """Trains the members of one cohort together; a member's numbers are as if it were alone.

    `values` `[series, time, channel]` are training spans, scaled (see `Strategy.offset`).
    Iterating yields the number of optimiser steps done after each step; between two of them,
    members may be dropped with `keep`.

    Raises ValueError where the members can't form a cohort or the span is too short for them.
    """

    def __init__(self, members: Sequence[Member], values: Tensor, device: str = "cpu") -> None:
        if not members:
            raise ValueError("a cohort must have at least one member, but got none")
        candidate = members[0].candidate
        if any(m.candidate.cohort_key() != candidate.cohort_key() for m in members):
            raise ValueError("members of a cohort must have equal cohort keys, but got several")
        self.strategy: Strategy = candidate.strategy
        self.forecaster = Forecaster(candidate.architecture, channels=values.shape[-1])
        self.output_bias = f"head.{candidate.architecture.head_layers}.bias"
        self.warm_up = candidate.architecture.context_steps
        self.segment_steps = self.warm_up + self.strategy.rollout_steps
        if self.segment_steps > values.shape[1]:
            raise ValueError(
                "context_steps + rollout_steps must be at most the training span's "
                f"{values.shape[1]} steps, but got {self.segment_steps}"
            )
        self.device = torch.device(device)
        self.steps_done = 0
        # One network alone takes other kernels and rounds differently, so it gets a twin.
        self.count = len(members)
        self.members = list(members) * 2 if len(members) == 1 else list(members)
        self.data = values
        self.values: MemberTimeChannel = values[[m.series for m in self.members]].to(self.device)
        self.generators = [Generator().manual_seed(m.seed) for m in self.members]
        self.weights: MemberParameter = torch.stack(
            [self._initialise(m, g) for m, g in zip(self.members, self.generators, strict=True)]
        ).to(self.device)
        self.starts = torch.stack([self._draw_starts(g) for g in self.generators])
        self.optimiser = AdamW([m.candidate.strategy for m in self.members], self.weights)
        self._bind()

    def __iter__(self) -> Iterator[int]:
        while self.steps_done < self.strategy.training_steps:
            self.grads.zero_()
            self._gradient()
            self._output_bias(self.grads).mul_(self.has_offset)
            self.optimiser.step(self.grads)
            self.steps_done += 1
            yield self.steps_done

    def keep(self, members: Sequence[int]) -> None:
        """Drop every member but those at these positions; their training goes on unchanged.

        Raises ValueError where nothing would be left.
        """
        if not members:
            raise ValueError("at least one member must be kept, but got none")
        kept = list(members) * 2 if len(members) == 1 else list(members)
        self.count = len(members)
        rows = torch.tensor(kept)
        # Copies, since a twin that drew from its member's own generator would change its numbers.
        self.members = [self.members[i] for i in kept]
        self.generators = [_copy(self.generators[i]) for i in kept]
        self.values = self.values[rows].clone()
        self.starts = self.starts[rows].clone()
        self.weights = self.weights[rows].clone()
        self.optimiser.keep(rows, self.weights)
        self._bind()

    @torch.no_grad()
    def loss(self) -> Tensor:
        """The training loss `[member]`, without noise, over evenly spaced segments of the span.

        This is what restarts are chosen by: the candidate's own objective at its full horizon.
        """
        steps, architecture = self.strategy.rollout_steps, self.forecaster.architecture
        last = self.values.shape[1] - self.segment_steps
        starts = torch.linspace(0, last, min(LOSS_SEGMENTS, last + 1)).round().long()
        segments = torch.stack(
            [self.values[:, s : s + self.segment_steps] for s in starts.tolist()], dim=1
        )
        first = self.one_step_from if architecture.context == "state" else self.warm_up
        forecast = free_run(
            self.forecaster,
            self.weights,
            segments[:, :, : self.warm_up],
            steps,
            one_step_from=first,
        )
        squared = (forecast - segments[:, :, first:]) ** 2
        by_step = squared.transpose(1, 2).reshape(len(self.members), squared.shape[2], -1).mean(2)
        teacher_end = self.warm_up + 1 - first
        teacher = by_step[:, :teacher_end].contiguous().mean(1)
        free = by_step[:, self.warm_up - first :].contiguous().mean(1)
        share = self.teacher_share
        return (share * teacher + (1.0 - share) * free)[: self.count]

    @property
    def parameter_count(self) -> int:
        """Trained numbers of one network."""
        return self.forecaster.layout().count

    def _initialise(self, member: Member, generator: Generator) -> Tensor:
        row = self.forecaster.initialise(generator)
        architecture, strategy = member.candidate.architecture, member.candidate.strategy
        if not strategy.offset:
            self._output_bias(row.unsqueeze(0)).zero_()
        if architecture.cell == "lru" and strategy.initial_phases == "spectrum":
            theta = self.forecaster.layout().views(row.unsqueeze(0))["cell.0.theta"][0]
            theta.copy_(phases_of_spectrum(self.data[member.series], architecture.units, generator))
        return row

    def _output_bias(self, rows: Tensor) -> Tensor:
        """The output layer's bias within flat rows `[member, parameter]`."""
        return self.forecaster.layout().views(rows)[self.output_bias]

    def _draw_starts(self, generator: Generator) -> Tensor:
        """First positions of all segments of one member's training, `[step, batch]`."""
        last = self.values.shape[1] - self.segment_steps
        size = (self.strategy.training_steps, self.strategy.batch_size)
        return torch.randint(0, last + 1, size, generator=generator)

    def _bind(self) -> None:
        """Make the memory of the unroll for the present members."""
        architecture, batch = self.forecaster.architecture, self.strategy.batch_size
        strategies = [m.candidate.strategy for m in self.members]
        # The first half of the warm-up is the washout: its one-step errors do not count.
        self.one_step_from = self.warm_up // 2 + 1
        if architecture.context == "window":
            self.one_step_from = self.warm_up
        self.plan = plan(architecture, self.strategy.rollout_steps, self.one_step_from)
        channels = self.forecaster.channels
        self.grads = torch.zeros_like(self.weights)
        self.is_linear = is_linear(architecture, channels)
        if not self.is_linear:
            self.unroll = Unroll(
                self.forecaster, self.weights, self.grads, slots=len(self.plan), batch=batch
            )
        size = (self.segment_steps, batch, channels)
        shape = (self.segment_steps, len(self.members), batch, channels)
        self.targets: TimeMemberBatchChannel = torch.empty(shape, device=self.device)
        self.reads: TimeMemberBatchChannel = torch.empty(shape, device=self.device)
        self.outputs: TimeMemberBatchChannel = torch.zeros(shape, device=self.device)
        self.zero = torch.zeros(shape[1:], device=self.device)
        self.noise = {
            kind: Noise([getattr(s, f"{kind}_noise_std") for s in strategies], size, self.device)
            for kind in ("input", "feedback", "output", "label")
        }
        self.teacher_share = torch.tensor(
            [s.teacher_weight if s.rollout_steps > 1 else 1.0 for s in strategies],
            device=self.device,
        )
        self.has_offset = torch.tensor(
            [float(s.offset) for s in strategies], device=self.device
        ).view(-1, 1, 1)
        self.is_reversible = torch.tensor([s.time_reversal for s in strategies], device=self.device)
        self.curriculum_steps = torch.tensor(
            [s.curriculum_fraction * s.training_steps for s in strategies], device=self.device
        )

    def _gradient(self) -> None:
        """One forward and backward pass over a fresh batch; adds to `grads`."""
        starts = self.starts[:, self.steps_done].to(self.device)
        order = torch.arange(self.segment_steps, device=self.device)
        # Every other segment, counted over all steps: half of them whatever the batch size is.
        count = self.steps_done * self.strategy.batch_size
        turn = (torch.arange(self.strategy.batch_size, device=self.device) + count) % 2 == 1
        backwards = (turn & self.is_reversible.unsqueeze(1)).unsqueeze(2)
        positions = starts.unsqueeze(2) + torch.where(backwards, order.flip(0), order)
        member = torch.arange(len(self.members), device=self.device).view(-1, 1, 1)
        self.targets.copy_(self.values[member, positions].permute(2, 0, 1, 3))
        drawn = {kind: noise.draw(self.generators) for kind, noise in self.noise.items()}
        self.reads.copy_(self.targets)
        if drawn["input"] is not None:
            self.reads[: self.warm_up].add_(drawn["input"][: self.warm_up])
        if drawn["label"] is not None:
            self.targets.add_(drawn["label"])
        if self.is_linear:
            self._linear_gradient(drawn["feedback"], drawn["output"])
        else:
            self._forward(drawn["feedback"], drawn["output"])
            self._backward()

    def _linear_gradient(self, feedback_noise: Tensor | None, output_noise: Tensor | None) -> None:
        """The same forecasts as `_forward`, without a loop over time and without the clip."""
        noise = _sum(feedback_noise, output_noise)  # the output's noise is fed back with it
        loss_weights = self._loss_weights()
        members = torch.arange(len(self.members), device=self.device)
        for rows in members.tensor_split(-(-len(members) // LINEAR_MEMBERS)):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            weights = self.weights[part].detach().requires_grad_()
            parameters = self.forecaster.layout().views(weights)
            run = LinearRun.of(self.forecaster.architecture, parameters)
            reads = self.reads[: self.warm_up, part, :, 0].permute(1, 2, 0).contiguous()
            fed_back = None if noise is None else noise[self.warm_up :, part, :, 0].permute(1, 2, 0)
            outputs = run.free_run(reads, self.strategy.rollout_steps, fed_back)
            if self.one_step_from < self.warm_up:
                one_step = run.one_step(reads, self.one_step_from)
                outputs = torch.cat([one_step[:, :, :-1], outputs], dim=2)
            outputs = outputs.permute(2, 0, 1).unsqueeze(3)
            errors = outputs.detach() - self.targets[self.one_step_from :, part]
            if output_noise is not None:
                errors = errors + output_noise[self.one_step_from :, part]
            # As a sum, since a backward step that is given a gradient imports a symbolic algebra.
            (outputs * (errors * loss_weights[self.one_step_from :, part])).sum().backward()
            assert weights.grad is not None
            self.grads[part] = weights.grad

    def _forward(self, feedback_noise: Tensor | None, output_noise: Tensor | None) -> None:
        self.unroll.begin()
        for index, step in enumerate(self.plan):
            read = self.zero if step.reads is None else self.reads[step.reads]
            self.unroll.forward(index, read, reset=step.reset)
            if step.emits is None:
                continue
            output = self.outputs[step.emits]
            self.unroll.emit(index, output)
            if output_noise is not None:
                output.add_(output_noise[step.emits])
            if step.emits >= self.warm_up:
                fed_back = torch.clamp(output, -CLIP_STD, CLIP_STD, out=self.reads[step.emits])
                if feedback_noise is not None:
                    fed_back.add_(feedback_noise[step.emits])

    def _backward(self) -> None:
        weights = self._loss_weights()
        grads = (self.outputs - self.targets) * weights
        # Beyond the clip the fed-back value is a constant.
        passes = (self.outputs.abs() < CLIP_STD).to(grads.dtype)
        for index in range(len(self.plan) - 1, -1, -1):
            step = self.plan[index]
            grad_output = None if step.emits is None else grads[step.emits]
            # Only a value that was fed back leads on to an earlier forecast.
            fed_back = step.reads if step.reads is not None and step.reads >= self.warm_up else None
            grad_read = self.unroll.backward(
                index, grad_output, reset=step.reset, wants_input=fed_back is not None
            )
            if fed_back is not None and grad_read is not None:
                grads[fed_back].addcmul_(grad_read, passes[fed_back])
        self.unroll.end()

    def _loss_weights(self) -> Tensor:
        """d loss / d output is (output - target) times this, `[time, member, 1, 1]`."""
        steps = self.strategy.rollout_steps
        batch_size = self.strategy.batch_size * self.forecaster.channels
        time = torch.arange(self.segment_steps, device=self.device).unsqueeze(1)
        is_teacher = (time >= self.one_step_from) & (time <= self.warm_up)
        teacher_count = self.warm_up + 1 - self.one_step_from
        grown = torch.where(
            self.curriculum_steps > 0,
            (self.steps_done + 1) / self.curriculum_steps.clamp(min=1e-9),
            torch.ones_like(self.curriculum_steps),
        ).clamp(max=1.0)
        horizon = 1.0 + torch.floor((steps - 1) * grown)
        is_free = (time >= self.warm_up) & (time < self.warm_up + horizon)
        share = self.teacher_share
        weights = is_teacher * (share / teacher_count) + is_free * ((1.0 - share) / horizon)
        return (weights * (2.0 / batch_size)).unsqueeze(2).unsqueeze(3)


def unroll_bytes(candidate: Candidate) -> int:
    """About how much memory the unroll of one member takes; linear free runs take little."""
    architecture, strategy = candidate.architecture, candidate.strategy
    if is_linear(architecture, channels=1):
        steps = architecture.context_steps + strategy.rollout_steps
        return 4 * steps * (steps + 8 * strategy.batch_size)
    slots = len(plan(architecture, strategy.rollout_steps, one_step_from=0))
    # Per hidden unit: at most ten kept numbers in a cell (the LSTM's), three in a head's layer.
    kept = 10 * architecture.layers + 3 * (architecture.head_layers + 1)
    return 4 * slots * strategy.batch_size * architecture.units * kept


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _copy(generator: Generator) -> Generator:
    copied = Generator()
    copied.set_state(generator.get_state())
    return copied
