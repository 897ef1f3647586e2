"""Training of a cohort: members of one architecture, each with its own data, strategy and seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Generator, Tensor

from models.augmentation import Augmentation
from models.averaging import Averages
from models.axes import MemberBatchTimeChannel, MemberParameter, MemberTimeChannel
from models.batch import Batches
from models.candidate import Candidate, Strategy
from models.cells.lru import UNDAMPED, phases_of_spectrum
from models.dropout import Dropout
from models.forcing import Forcing
from models.forcing.growth import growth
from models.forecaster import Forecaster
from models.freerun import free_run
from models.linear_gradient import LinearGradient
from models.objective import Objective
from models.optimiser import AdamW
from models.parameters import FIXED, INCREMENT_STD
from models.segments import Segments, SegmentShape
from models.state_noise import StateNoise
from models.unrolled import UnrolledGradient, segment_plan

# Segments on which the training loss is measured when restarts are compared.
LOSS_SEGMENTS = 16
# Segments on which the growth of errors is measured, for members whose forcing follows it.
GROWTH_SEGMENTS = 4


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
        self.free_run_shape = SegmentShape.of_free_run(candidate)
        if self.free_run_shape.steps > values.shape[1]:
            raise ValueError(
                "context_steps + rollout_steps must be at most the training span's "
                f"{values.shape[1]} steps, but got {self.free_run_shape.steps}"
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
        candidates = [m.candidate for m in self.members]
        shape = SegmentShape.of_training(candidate)
        self.segments = Segments(candidates, shape, values.shape[1], self.generators)
        self.augmentation = Augmentation(candidates, self.segments, self.generators, self.device)
        self.forcing = Forcing([c.strategy for c in candidates], self.device)
        self.averages = Averages([c.strategy for c in candidates], self.weights)
        # What the streams of stateful candidates start their next chunks from.
        layers = candidate.architecture.layers if candidate.carries_state else 0
        state_units = self.forecaster.state_units
        size = (layers, len(self.members), self.strategy.batch_size, state_units)
        self.stream_state = torch.zeros(size, device=self.device)
        self.optimiser = AdamW(
            [c.strategy for c in candidates], self.weights, self._trained(candidates)
        )
        self._bind()

    def __iter__(self) -> Iterator[int]:
        while self.steps_done < self.strategy.training_steps:
            self.grads.zero_()
            self._adapt()
            self._gradient()
            self.optimiser.step(self.grads)
            self.averages.update(self.weights)
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
        self.segments.keep(rows)
        self.augmentation.keep(rows)
        self.forcing.keep(kept)
        self.averages.keep(rows)
        self.stream_state = self.stream_state[:, rows].clone()
        self.weights = self.weights[rows].clone()
        self.optimiser.keep(rows, self.weights)
        self._bind()

    @torch.no_grad()
    def loss(self) -> Tensor:
        """The training loss `[member]`, without noise, over evenly spaced segments of the span.

        This is what restarts are chosen by: the candidate's own errors at its full horizon, in free
        runs with the whole context. Squared errors alone, as in the score, whatever else training
        minimises: the match of professor forcing, for one, compares a network with itself, and one
        whose hidden values are small would win. Of averaged weights, where those are scored.
        """
        shape, weights = self.free_run_shape, self.scored_weights
        segments = self._spread_segments(self.values, LOSS_SEGMENTS)
        given = (self.forecaster, weights, segments[:, :, : shape.warm_up], shape.rollout)
        forecast = free_run(*given, one_step_from=shape.one_step_from)
        by_step = _squares(forecast, segments[:, :, shape.one_step_from :])
        free = by_step[:, shape.warm_up - shape.one_step_from :].contiguous().mean(1)
        if self.strategy.teacher_span == "rollout":
            truth = segments[:, :, shape.warm_up :]
            teacher = _squares(free_run(*given, truth=truth), truth).mean(1)
        else:
            teacher = by_step[:, : shape.warm_up + 1 - shape.one_step_from].contiguous().mean(1)
        share = self.objective.teacher_share
        return (share * teacher + (1.0 - share) * free)[: self.count]

    @property
    def scored_weights(self) -> MemberParameter:
        """What is scored and exported: the weights, or their averages where members have some."""
        return self.averages.of(self.weights)

    @property
    def total_steps(self) -> int:
        """How many steps of the optimiser there are in all."""
        return self.strategy.training_steps

    @property
    def warm_up(self) -> int:
        """True values before a free run that is scored; training segments may have fewer."""
        return self.free_run_shape.warm_up

    @property
    def parameter_count(self) -> int:
        """Trained numbers of one network."""
        layout = self.forecaster.layout()
        fixed = [prod(s) for name, s in layout.shapes.items() if name.startswith(FIXED)]
        return layout.count - sum(fixed)

    def _spread_segments(self, values: MemberTimeChannel, count: int) -> MemberBatchTimeChannel:
        """At most `count` segments as long as a scored free run, evenly spread over the span."""
        steps = self.free_run_shape.steps
        last = values.shape[1] - steps
        starts = torch.linspace(0, last, min(count, last + 1)).round().long()
        return torch.stack([values[:, s : s + steps] for s in starts.tolist()], dim=1)

    def _initialise(self, member: Member, generator: Generator) -> Tensor:
        row = self.forecaster.initialise(generator)
        architecture, strategy = member.candidate.architecture, member.candidate.strategy
        named = self.forecaster.layout().views(row.unsqueeze(0))
        if not strategy.offset:
            named[self.output_bias].zero_()
        for decay in _decays(named):
            if not strategy.damping:
                decay.fill_(UNDAMPED)
        if architecture.cell == "lru" and strategy.initial_phases == "spectrum":
            phases = phases_of_spectrum(self.data[member.series], architecture.units, generator)
            named["cell.0.theta"][0].copy_(phases)
        for knob in self.forecaster.cell.knobs:
            named[FIXED + knob].fill_(getattr(strategy, knob))
        if architecture.scaled_increments:
            increments = self.data[member.series].diff(dim=0)
            # A constant channel has increments of zero.
            named[INCREMENT_STD][0].copy_(increments.std(dim=0, correction=0).clamp(min=1e-6))
        return row

    def _trained(self, candidates: Sequence[Candidate]) -> MemberParameter:
        """One for the numbers that are trained, zero for those that strategies hold fixed."""
        trained = torch.ones_like(self.weights)
        named = self.forecaster.layout().views(trained)
        for name, view in named.items():
            if name.startswith(FIXED):
                view.zero_()
        for row, candidate in enumerate(candidates):
            if not candidate.strategy.offset:
                named[self.output_bias][row] = 0.0
            for decay in _decays(named):
                if not candidate.strategy.damping:
                    decay[row] = 0.0
        return trained

    def _bind(self) -> None:
        """Make what the present members train with."""
        candidates = [m.candidate for m in self.members]
        candidate, forecaster, shape = candidates[0], self.forecaster, self.segments.shape
        device = self.device
        self.grads = torch.zeros_like(self.weights)
        self.batches = Batches(
            candidates, self.values, self.segments, self.augmentation, self.forcing
        )
        self.objective = Objective(
            candidates, shape, forecaster.channels, forecaster.output_units, device
        )
        unrolled = {
            "slots": len(segment_plan(candidate)),
            "layers": candidate.architecture.layers,
            "batch": self.strategy.batch_size,
            "branches": candidate.branches,
        }
        rates = [c.strategy.dropout for c in candidates]
        stds = [c.strategy.state_noise_std for c in candidates]
        self.dropout = Dropout(rates, **unrolled, width=forecaster.output_units, device=device)
        self.state_noise = StateNoise(stds, **unrolled, width=forecaster.state_units, device=device)
        self.gradient: LinearGradient | UnrolledGradient
        if candidate.is_linear and (
            forecaster.channels == 1 or candidate.architecture.estimates_state
        ):
            self.gradient = LinearGradient(forecaster, self.weights, self.grads, shape)
        else:
            self.gradient = UnrolledGradient(
                forecaster,
                candidate,
                self.weights,
                self.grads,
                forcing=self.forcing,
                masks=self.dropout.unroll_masks(),
                state_noise=self.state_noise.unroll_noise(),
                stream_state=self.stream_state if candidate.carries_state else None,
            )

    def _gradient(self) -> None:
        """One forward and backward pass over a fresh batch; adds to `grads`."""
        batch = self.batches.draw(self.steps_done, self.generators)
        self.dropout.draw(self.generators)
        self.state_noise.draw(self.generators)
        self.gradient.add(batch, self.objective, self.steps_done)

    def _adapt(self) -> None:
        """Tell members whose forcing adapts by how much errors in their free runs grow."""
        adapting = self.forcing.adapting(self.steps_done)
        if not adapting:
            return
        # One network alone rounds differently; a twin keeps it company.
        rows = adapting * 2 if len(adapting) == 1 else adapting
        shape = self.free_run_shape
        contexts = self._spread_segments(self.values[rows], GROWTH_SEGMENTS)[:, :, : shape.warm_up]
        factors = growth(self.forecaster, self.weights[rows], contexts, shape.rollout)
        self.forcing.observe(dict(zip(adapting, factors.tolist(), strict=False)), self.steps_done)


def unroll_bytes(candidate: Candidate) -> int:
    """About how much memory the unroll of one member takes; linear free runs take little."""
    architecture, strategy = candidate.architecture, candidate.strategy
    if candidate.is_linear:
        # Per step: values, spectra and their gradients of each segment; powers of the modes.
        steps = architecture.context_steps + strategy.rollout_steps
        return 4 * steps * (32 * strategy.batch_size + 16 * architecture.units)
    slots, batch = len(segment_plan(candidate)), strategy.batch_size * candidate.branches
    # Per hidden unit: at most ten kept numbers in a cell (the LSTM's), one in a mask and in a norm,
    # three in a head's layer; in the noise of a state as many as the state has, at most two.
    noisy = 2 * (strategy.state_noise_std > 0.0)
    in_layer = 10 + (strategy.dropout > 0.0) + architecture.layer_norm + noisy
    kept = in_layer * architecture.layers + 3 * (architecture.head_layers + 1)
    per_step = architecture.units * kept
    if architecture.cell == "shplrnn":
        per_step += architecture.expanded_units * architecture.layers
    if architecture.reads_whole_window:
        per_step += architecture.context_steps
    return 4 * slots * batch * per_step


def _squares(forecast: MemberBatchTimeChannel, truth: MemberBatchTimeChannel) -> Tensor:
    """Mean squared error by step, `[member, time]`."""
    squared = (forecast - truth) ** 2
    members, _, steps, _ = squared.shape
    return squared.transpose(1, 2).reshape(members, steps, -1).mean(2)


def _decays(named: Mapping[str, Tensor]) -> list[Tensor]:
    """The decay parameters of a population's linear recurrent layers, `[member, 1, mode]`."""
    return [view for name, view in named.items() if name.endswith(".nu")]


def _copy(generator: Generator) -> Generator:
    copied = Generator()
    copied.set_state(generator.get_state())
    return copied
