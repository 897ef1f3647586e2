"""Training of a cohort: members of one architecture, each with its own data, settings and seed."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Self

import torch
from torch import Generator, Tensor

from models.cohort import Member, checked_cohort, checked_pieces
from models.network.forecaster import Forecaster
from models.network.kernels.covered import covers, covers_estimate
from models.network.options.covariates import has_known_inputs
from models.network.options.learning import TimeReversal
from models.network.options.segments import fold
from models.network.options.shape import Scaling
from models.network.parameters import AUTOREGRESSION, FIXED, INCREMENT_STD, under
from models.network.walk import free_run
from models.tensors import (
    MemberBatchTimeChannel,
    MemberParameter,
    MemberTimeChannel,
    PerMember,
    in_company,
)
from models.training.autoregression import Fit, fitted
from models.training.batches import Batches, Subsequences
from models.training.cohort_forcing import CohortForcing, growth_of_errors
from models.training.gradient import LinearGradient, UnrolledGradient
from models.training.objective import Objective
from models.training.options.augmentation import Factors
from models.training.options.averaging import Averages
from models.training.options.noise import Dropout, MemberDraws, Place, noises_at
from models.training.options.optimiser import AdamW
from models.training.places import Places
from models.training.subsequence import SubsequenceShape, training_plan
from models.training.trained_network import TrainedNetwork

if TYPE_CHECKING:
    from models.training.estimated_gradient import EstimatedGradient
    from models.training.fused_gradient import FusedGradient

# Subsequences on which the training loss is measured when restarts are compared.
LOSS_SUBSEQUENCES = 16
# Subsequences on which the growth of errors is measured, for members whose forcing follows it.
GROWTH_SUBSEQUENCES = 4


class Trainer(PerMember):
    """Trains the members of one cohort together; a member's numbers are as if it were alone.

    `values` `[series, time, channel]` are training spans, scaled, and `pieces` the lengths of the
    stretches without a gap that each consists of, in the order of time; None for one each. What is
    learnt from lies within a piece; a cell that looks at the span before training sees the longest.
    `exogenous` are the known columns of the same rows, `[series, time, column]`, standardised; None
    for a cohort without such inputs.
    Iterating yields the number of optimiser steps done after each step; between two of them,
    members may be dropped with `keep`.

    Raises ValueError where the members can't form a cohort or the span is too short for them.
    """

    by_member = (
        "members",
        "generators",
        "values",
        "exogenous",
        "weights",
        "subsequences",
        "places",
        "factors",
        "forcing",
        "averages",
        "optimiser",
        "stream_state",
    )
    # What `_bind` makes of the present members and their data.
    bound = ("grads", "batches", "objective", "dropout", "state_noise", "gradient")

    def __init__(
        self,
        members: Sequence[Member[TrainedNetwork]],
        values: Tensor,
        device: str = "cpu",
        pieces: Sequence[Sequence[int]] | None = None,
        exogenous: Tensor | None = None,
    ) -> None:
        self.candidate = candidate = checked_cohort(members, TrainedNetwork)
        beside = values[..., :0] if exogenous is None else exogenous
        if bool(beside.shape[-1]) != has_known_inputs(candidate):
            raise ValueError(
                "networks with known_inputs need known columns, and others none, but got "
                f"{beside.shape[-1]} columns for {candidate}"
            )
        self.forecaster = Forecaster(candidate.architecture, values.shape[-1], beside.shape[-1])
        self.free_run_shape = SubsequenceShape.of_free_run(candidate)
        self.pieces = checked_pieces(values, pieces)
        longest = min(max(self.pieces[member.series]) for member in members)
        if self.free_run_shape.steps > longest:
            which = "the training span's" if longest == values.shape[1] else "its longest piece's"
            raise ValueError(
                f"context_steps + rollout_steps must be at most {which} {longest} steps, but got "
                f"{self.free_run_shape.steps}"
            )
        self.device = torch.device(device)
        self.steps_done = 0
        self.count = len(members)
        self.members = [members[i] for i in in_company(range(len(members)))]
        self.data = values
        series = [member.series for member in self.members]
        self.values: MemberTimeChannel = values[series].to(self.device)
        self.exogenous: MemberTimeChannel = beside[series].to(self.device)
        self.generators = [Generator().manual_seed(m.seed) for m in self.members]
        # Autoregressions of hybrids, by series and whether it is read in both directions of time.
        self.fits: dict[tuple[int, bool], Fit] = {}
        self.weights: MemberParameter = torch.stack(
            [self._initialise(m, g) for m, g in zip(self.members, self.generators, strict=True)]
        ).to(self.device)
        candidates = [m.candidate for m in self.members]
        shape = SubsequenceShape.of_training(candidate)
        lengths = [self.pieces[m.series] for m in self.members]
        self.subsequences = Subsequences(candidates, shape, lengths, self.generators)
        self.places = Places(lengths, self.free_run_shape.steps)
        self.factors = Factors(candidates, self.subsequences, self.generators, self.device)
        self.forcing = CohortForcing(candidates, self.device)
        self.averages = Averages(candidates, self.weights)
        self.optimiser = AdamW(candidates, self.weights, self._trained(candidates))
        # What the streams of stateful candidates start their next chunks from.
        layers = candidate.architecture.layers if candidate.carries_state else 0
        states = candidate.optimiser.batch_size, candidate.cell.state_units
        self.stream_state = torch.zeros(len(self.members), layers, *states, device=self.device)
        self._bind()

    def __iter__(self) -> Iterator[int]:
        if not self.is_bound:
            self._bind()
        while self.steps_done < self.total_steps:
            self.grads.zero_()
            self._adapt()
            self._gradient()
            self.optimiser.step(self.weights, self.grads)
            self.averages.update(self.weights)
            self.steps_done += 1
            yield self.steps_done

    def go_on(self, weights: MemberParameter, steps: int) -> None:
        """Train on from given weights `[member, parameter]`, for the last `steps` steps.

        Forcing and horizons are those of the end of training; the optimiser starts afresh, so that
        a cosine begins with the whole learning rate. Raises ValueError for more steps than there
        are, and for weights of another shape.
        """
        rows = in_company(range(self.count))
        if not 0 < steps <= self.total_steps or weights.shape != self.weights[: self.count].shape:
            raise ValueError(
                f"to train on takes weights of the shape {list(self.weights[: self.count].shape)} "
                f"and 1 to {self.total_steps} steps, but got {list(weights.shape)} and {steps}"
            )
        # In place: the gradient has views of them.
        self.weights.copy_(weights[rows].to(self.weights))
        candidates = [m.candidate for m in self.members]
        self.optimiser = AdamW(candidates, self.weights, self._trained(candidates))
        self.steps_done = self.averages.steps_done = self.total_steps - steps
        if self.averages.is_used:
            self.averages.average = self.weights.clone()

    def keep(self, members: Sequence[int]) -> None:
        """Drop every member but those at these positions; their training goes on unchanged.

        Raises ValueError where nothing would be left.
        """
        super().keep(in_company(members))
        self.count = len(members)
        if self.is_bound:
            self._bind()

    def part(self, members: Sequence[int]) -> Self:
        """The training of the members at these positions by itself, as far as it has come.

        It may go on, or rest, and join again. Raises ValueError where nothing would be in it.
        """
        part = super().part(in_company(members))
        part.count, part.is_bound = len(members), False
        # Of all members, whose data it would keep alive.
        for name in self.bound:
            part.__dict__.pop(name, None)
        return part

    def join(self, other: Self) -> None:
        """Go on with the members of another part of one training, behind one's own.

        The other one is used up. Raises ValueError where one of them has come further.
        """
        if other.steps_done != self.steps_done:
            raise ValueError(
                f"both parts must have done as many steps, but one has done {self.steps_done}, the "
                f"other {other.steps_done}"
            )
        # Without the twins of single members.
        for own in (self, other):
            PerMember.keep(own, range(own.count))
        super().join(other)
        self.count += other.count
        self._bind()

    @torch.no_grad()
    def loss(self) -> Tensor:
        """The training loss `[member]`, without noise, over evenly spaced parts of the span.

        This is what restarts are chosen by: the candidate's own errors at its full horizon, in free
        runs with the whole context. Squared errors alone, as in the score, whatever else training
        minimises: the match of professor forcing, for one, compares a network with itself, and one
        whose hidden values are small would win. Of averaged weights, where those are scored.
        """
        if not self.is_bound:
            self._bind()
        shape, weights = self.free_run_shape, self.scored_weights
        parts, exogenous = self._spread(range(len(self.members)), LOSS_SUBSEQUENCES)
        given = (self.forecaster, weights, parts[:, :, : shape.warm_up], shape.rollout)
        forecast = free_run(*given, one_step_from=shape.one_step_from, exogenous=exogenous)
        by_step = _squares(forecast, parts[:, :, shape.one_step_from :])
        free = by_step[:, shape.warm_up - shape.one_step_from :].contiguous().mean(1)
        if self.objective.is_over_rollout:
            truth = parts[:, :, shape.warm_up :]
            run = free_run(*given, truth=truth, exogenous=exogenous)
            teacher = _squares(run, truth).mean(1)
        else:
            ahead = shape.warm_up + shape.segment - shape.one_step_from
            teacher = by_step[:, :ahead].contiguous().mean(1)
        share = self.objective.teacher_share
        return (share * teacher + (1.0 - share) * free)[: self.count]

    @property
    def scored_weights(self) -> MemberParameter:
        """What is scored and exported: the weights, or their averages where members have some."""
        return self.averages.of(self.weights)

    @property
    def is_apart(self) -> bool:
        """Whether members train one after the other, by kernels, so that company saves little."""
        return not isinstance(self.gradient, LinearGradient | UnrolledGradient)

    @property
    def total_steps(self) -> int:
        """How many steps of the optimiser there are in all."""
        return self.candidate.optimiser.training_steps

    @property
    def warm_up(self) -> int:
        """True values before a free run that is scored; training may read fewer."""
        return self.free_run_shape.warm_up

    @property
    def parameter_count(self) -> int:
        """Trained numbers of one network."""
        layout = self.forecaster.layout()
        fixed = [prod(s) for name, s in layout.shapes.items() if name.startswith(FIXED)]
        return layout.count - sum(fixed)

    def _spread(
        self, rows: Sequence[int], count: int
    ) -> tuple[MemberBatchTimeChannel, MemberBatchTimeChannel | None]:
        """At most `count` parts as long as a scored free run, evenly spread over some spans.

        And their known columns, None without such inputs.
        """
        steps, member = self.free_run_shape.steps, torch.tensor(rows)
        positions = self.places.spread(count)[member].unsqueeze(2) + torch.arange(steps)
        at = member.view(-1, 1, 1), positions
        return self.values[at], self.exogenous[at] if self.forecaster.exogenous else None

    def _initialise(self, member: Member[TrainedNetwork], generator: Generator) -> Tensor:
        candidate, forecaster = member.candidate, self.forecaster
        row = forecaster.initialise(generator)
        named = forecaster.layout().views(row.unsqueeze(0))
        if not candidate[Scaling].offset:
            named[forecaster.output_bias].zero_()
        lengths = self.pieces[member.series]
        pieces = self.data[member.series][: sum(lengths)].split(lengths)
        longest, segment = max(pieces, key=len), candidate.architecture.segment_steps
        read = fold(longest[: len(longest) // segment * segment], segment)
        for layer in range(candidate.architecture.layers):
            candidate.cell.adjust(under(named, f"cell.{layer}."), layer, read, generator)
        for own in candidate.cell.stored_settings():
            named[FIXED + own.name].fill_(getattr(candidate.cell, own.field))
        if candidate.architecture.scaled_increments:
            # From the last value read to each of the segment's; a constant channel has none.
            stds = [
                torch.cat([own[ahead:] - own[:-ahead] for own in pieces]).std(dim=0, correction=0)
                for ahead in range(1, segment + 1)
            ]
            named[INCREMENT_STD][0].copy_(torch.cat(stds).clamp(min=1e-6))
        if candidate.architecture.autoregression != "none":
            fit = self._autoregression(member, pieces)
            named[AUTOREGRESSION][0].copy_(fit.coefficients)
            named[INCREMENT_STD][0].copy_(fit.rest_std)
        return row

    def _autoregression(self, member: Member[TrainedNetwork], pieces: Sequence[Tensor]) -> Fit:
        """That of a member's series; members with equal ones share it."""
        candidate, (_, lags, ahead) = member.candidate, self.forecaster.autoregression_shape
        is_reversible = candidate[TimeReversal].time_reversal
        key = member.series, is_reversible
        if key not in self.fits:
            self.fits[key] = fitted(
                pieces,
                lags,
                ahead,
                horizon=max(candidate.rollout_steps, lags),
                takes_level=candidate.architecture.autoregression == "level-ar",
                both_ways=is_reversible,
            )
        return self.fits[key]

    def _trained(self, candidates: Sequence[TrainedNetwork]) -> MemberParameter:
        """One for the numbers that are trained, zero for those that are held fixed."""
        trained = torch.ones_like(self.weights)
        named = self.forecaster.layout().views(trained)
        for name, view in named.items():
            if name.startswith(FIXED):
                view.zero_()
        for row, candidate in enumerate(candidates):
            if not candidate[Scaling].offset:
                named[self.forecaster.output_bias][row] = 0.0
            for layer in range(candidate.architecture.layers):
                for name in candidate.cell.frozen():
                    named[f"cell.{layer}.{name}"][row] = 0.0
        return trained

    def _bind(self) -> None:
        """Make what the present members train with; a part that rests does without."""
        self.is_bound = True
        candidates = [m.candidate for m in self.members]
        candidate, forecaster, device = self.candidate, self.forecaster, self.device
        shape, channels = self.subsequences.shape, forecaster.channels
        self.grads = torch.zeros_like(self.weights)
        self.batches = Batches(
            candidates,
            self.values,
            self.exogenous,
            self.subsequences,
            self.factors,
            self.forcing,
        )
        self.objective = Objective(candidates, shape, channels, self.forcing, device)
        slots, layers = len(training_plan(candidate)), candidate.architecture.layers
        batch, branches, cell = candidate.optimiser.batch_size, candidate.branches, candidate.cell
        hidden = (slots, layers, batch, cell.output_units)
        state = (slots, layers, batch, cell.state_units)
        dropping = [[c[Dropout]] if c[Dropout].rate > 0.0 else [] for c in candidates]
        self.dropout = MemberDraws(dropping, hidden, 2, device, shared=branches, neutral=1.0)
        noisy = [noises_at(Place.STATE, c) for c in candidates]
        self.state_noise = MemberDraws(noisy, state, 2, device, shared=branches)
        self.gradient: LinearGradient | UnrolledGradient | FusedGradient | EstimatedGradient
        if candidate.is_linear and (
            forecaster.width == 1 or candidate.architecture.estimates_state
        ):
            self.gradient = self._linear()
        else:
            # Views, which the next draws change.
            masks, state_noise = (
                drawn.values.flatten(3, 4) if drawn.is_used else None
                for drawn in (self.dropout, self.state_noise)
            )
            self.gradient = self._unrolled(masks, state_noise)

    def _linear(self) -> "LinearGradient | EstimatedGradient":
        """By a kernel where it covers the architecture, else by torch."""
        bound = self.forecaster, self.weights, self.grads
        if not covers_estimate(self.candidate.architecture, self.weights):
            return LinearGradient(*bound, self.subsequences.shape)
        from models.training.estimated_gradient import EstimatedGradient

        return EstimatedGradient(*bound, self.batches, self.objective)

    def _unrolled(
        self, masks: Tensor | None, state_noise: Tensor | None
    ) -> "UnrolledGradient | FusedGradient":
        """By kernels where they cover the architecture, else by torch."""
        bound = self.forecaster, self.candidate, self.weights, self.grads
        stream_state = self.stream_state if self.candidate.carries_state else None
        disturbed = masks, state_noise, stream_state
        if not covers(self.candidate.architecture, self.weights):
            return UnrolledGradient(*bound, self.forcing, *disturbed)
        # Imported here, since a compiler takes its time, and not all that import this file train.
        from models.training.fused_gradient import FusedGradient

        return FusedGradient(*bound, self.batches, self.objective, *disturbed)

    def _gradient(self) -> None:
        """One forward and backward pass over a fresh batch; adds to `grads`, which are zero."""
        chance = self.batches.chance(self.steps_done, self.generators)
        self.dropout.draw(self.generators)
        self.state_noise.draw(self.generators)
        if isinstance(self.gradient, LinearGradient | UnrolledGradient):
            batch = self.batches.batch(self.steps_done, chance)
            self.gradient.add(batch, self.objective, self.steps_done)
        else:
            self.gradient.add(chance, self.steps_done)

    def _adapt(self) -> None:
        """Tell members whose forcing adapts by how much errors in their free runs grow."""
        adapting = self.forcing.adapting(self.steps_done)
        if not adapting:
            return
        rows, shape = in_company(adapting), self.free_run_shape
        parts, exogenous = self._spread(rows, GROWTH_SUBSEQUENCES)
        given = (self.forecaster, self.weights[rows], parts[:, :, : shape.warm_up], shape.rollout)
        factors = growth_of_errors(*given, exogenous)
        self.forcing.observe(dict(zip(adapting, factors.tolist(), strict=False)), self.steps_done)


def _squares(forecast: MemberBatchTimeChannel, truth: MemberBatchTimeChannel) -> Tensor:
    """Mean squared error by step, `[member, time]`."""
    squared = (forecast - truth) ** 2
    members, _, steps, _ = squared.shape
    return squared.transpose(1, 2).reshape(members, steps, -1).mean(2)
