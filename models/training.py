"""Training of a cohort: members of one architecture, each with its own data, strategy and seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchTimeChannel, MemberParameter, MemberTimeChannel
from models.batch import Batches
from models.candidate import Candidate, Strategy
from models.cells.lru import UNDAMPED, phases_of_spectrum
from models.dropout import Dropout
from models.forecaster import Forecaster
from models.freerun import free_run
from models.linear_gradient import LinearGradient
from models.objective import Objective
from models.optimiser import AdamW
from models.segments import Segments, SegmentShape
from models.unrolled import UnrolledGradient, segment_plan

# Segments on which the training loss is measured when restarts are compared.
LOSS_SEGMENTS = 16


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
            self._gradient()
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
        self.segments.keep(rows)
        self.stream_state = self.stream_state[:, rows].clone()
        self.weights = self.weights[rows].clone()
        self.optimiser.keep(rows, self.weights)
        self._bind()

    @torch.no_grad()
    def loss(self) -> Tensor:
        """The training loss `[member]`, without noise, over evenly spaced segments of the span.

        This is what restarts are chosen by: the candidate's own errors at its full horizon, in free
        runs with the whole context. The match of professor forcing is left out: it compares a
        network with itself, and one whose hidden values are small would win.
        """
        shape = self.free_run_shape
        last = self.values.shape[1] - shape.steps
        starts = torch.linspace(0, last, min(LOSS_SEGMENTS, last + 1)).round().long()
        segments = torch.stack(
            [self.values[:, s : s + shape.steps] for s in starts.tolist()], dim=1
        )
        given = (self.forecaster, self.weights, segments[:, :, : shape.warm_up], shape.rollout)
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
        return self.forecaster.layout().count

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
        return row

    def _trained(self, candidates: Sequence[Candidate]) -> MemberParameter:
        """One for the numbers that are trained, zero for those that strategies hold fixed."""
        trained = torch.ones_like(self.weights)
        named = self.forecaster.layout().views(trained)
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
        self.batches = Batches(candidates, self.values, self.segments)
        self.objective = Objective(
            candidates, shape, forecaster.channels, forecaster.output_units, device
        )
        self.dropout = Dropout(
            [c.strategy.dropout for c in candidates],
            slots=len(segment_plan(candidate)),
            layers=candidate.architecture.layers,
            batch=self.strategy.batch_size,
            branches=candidate.branches,
            width=forecaster.output_units,
            device=device,
        )
        self.gradient: LinearGradient | UnrolledGradient
        if candidate.is_linear and (
            forecaster.channels == 1 or candidate.architecture.estimates_state
        ):
            self.gradient = LinearGradient(forecaster, self.weights, self.grads, shape)
        else:
            masks = self.dropout.unroll_masks()
            state = self.stream_state if candidate.carries_state else None
            self.gradient = UnrolledGradient(
                forecaster, candidate, self.weights, self.grads, masks, state
            )

    def _gradient(self) -> None:
        """One forward and backward pass over a fresh batch; adds to `grads`."""
        batch = self.batches.draw(self.steps_done, self.generators)
        self.dropout.draw(self.generators)
        self.gradient.add(batch, self.objective, self.steps_done)


def unroll_bytes(candidate: Candidate) -> int:
    """About how much memory the unroll of one member takes; linear free runs take little."""
    architecture, strategy = candidate.architecture, candidate.strategy
    if candidate.is_linear:
        # Per step: values, spectra and their gradients of each segment; powers of the modes.
        steps = architecture.context_steps + strategy.rollout_steps
        return 4 * steps * (32 * strategy.batch_size + 16 * architecture.units)
    slots, batch = len(segment_plan(candidate)), strategy.batch_size * candidate.branches
    # Per hidden unit: at most ten kept numbers in a cell (the LSTM's), one in a mask, three in a
    # head's layer.
    in_layer = 10 + (strategy.dropout > 0.0)
    kept = in_layer * architecture.layers + 3 * (architecture.head_layers + 1)
    return 4 * slots * batch * architecture.units * kept


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
