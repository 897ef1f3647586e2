"""Fitting of a cohort: members of one closed form, each with its own data, settings and seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor

from models.clip import CLIP_STD
from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, FormForecaster, Solutions
from models.methods import Stage
from models.tensors import MemberParameter
from models.training.trained_network import Member, checked_cohort

# The share of the training span that is fitted first; the rest is held out.
FITTED_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class _Fit:
    """A member's numbers `[parameter]`, and its loss."""

    row: Tensor
    loss: float


class Fitting:
    """Fits the members of one cohort; a member's numbers are as if it were alone.

    `values` `[series, time, channel]` are training spans, scaled. It has the surface of `Trainer`,
    and one step: iterating yields 0 whenever some members are fitted
    and others are not, and 1 at the end. In between, members may be dropped with `keep`.

    Members that differ by their level of regularisation alone share one factorisation; reservoirs,
    which are drawn, only where their seeds are equal, too. Each is fitted twice: on the first three
    quarters of the span, to run freely over the held-out rest, whose mean squared error is its
    loss; and on all of it, which gives its numbers. A level that is not given is the one of the
    least such loss. Everything is done on the CPU.

    Raises ValueError where the members can't form a cohort or the span is too short for them.
    """

    total_steps = 1
    steps_done = 0

    def __init__(self, members: Sequence[Member[FittedForm]], values: Tensor) -> None:
        candidate = checked_cohort(members, FittedForm)
        if candidate.least_steps > values.shape[1]:
            raise ValueError(
                f"a training span must have at least {candidate.least_steps} steps, twice the "
                f"context, but got {values.shape[1]}"
            )
        self.forecaster = FormForecaster(candidate.form, channels=values.shape[-1])
        self.device = torch.device("cpu")
        self.members: list[Member[FittedForm]] = list(members)
        self.values: FloatArray = values.cpu().double().numpy()
        self.fits: dict[Member[FittedForm], _Fit] = {}

    def __iter__(self) -> Iterator[int]:
        problems: dict[Hashable, list[Member[FittedForm]]] = {}
        for member in self.members:
            problems.setdefault(self._problem_key(member), []).append(member)
        for sharing in problems.values():
            if wanted := [member for member in sharing if member in self.members]:
                problem = _Problem(self.forecaster, self.values[wanted[0].series], wanted[0])
                self.fits |= {member: problem.fit(member) for member in wanted}
                yield 0
        self.steps_done = 1
        yield 1

    def keep(self, members: Sequence[int]) -> None:
        """Drop every member but those at these positions; raises ValueError for none."""
        if not members:
            raise ValueError("at least one member must be kept, but got none")
        self.members = [self.members[i] for i in members]

    def loss(self) -> Tensor:
        """The error of each member's free run over the held-out rest; infinite before its fit."""
        losses = [self.fits[m].loss if m in self.fits else torch.inf for m in self.members]
        return torch.tensor(losses, dtype=self.forecaster.dtype)

    @property
    def scored_weights(self) -> MemberParameter:
        """The numbers of each member; zeros before its fit."""
        blank = torch.zeros(self.forecaster.layout().size, dtype=self.forecaster.dtype)
        return torch.stack([self.fits[m].row if m in self.fits else blank for m in self.members])

    @property
    def warm_up(self) -> int:
        """True values before a free run that is scored."""
        return self.forecaster.form.context_steps

    @property
    def parameter_count(self) -> int:
        """Fitted numbers of one member."""
        return self.forecaster.features * self.forecaster.channels

    def _problem_key(self, member: Member[FittedForm]) -> Hashable:
        """What members must have in common to share a factorisation: all but the level."""
        of_any_level = [
            (own.name, value)
            for own, value in member.candidate.settings()
            if own.stage != Stage.REGULARISATION
        ]
        seed = member.seed if self.forecaster.form.is_random else None
        return member.series, tuple(of_any_level), seed


@dataclass(eq=False)
class _Problem:
    """The problem of fitting one series, factorised once for its first part and once for all."""

    forecaster: FormForecaster
    series: FloatArray
    first: Member[FittedForm]  # whose settings the others share, but for its level
    fixed: Fixed = field(init=False)
    of_part: Solutions = field(init=False)
    of_whole: Solutions = field(init=False)

    def __post_init__(self) -> None:
        candidate, channels = self.first.candidate, self.forecaster.channels
        form = candidate.form
        self.fixed = form.fix(channels, Generator().manual_seed(self.first.seed))
        self.split = int(FITTED_SHARE * len(self.series))
        part = self.series[: self.split]
        self.of_part = form.factorise(part, candidate, self.fixed)
        self.of_whole = form.factorise(self.series, candidate, self.fixed)

    def fit(self, member: Member[FittedForm]) -> _Fit:
        form = member.candidate.form
        is_given = form.regularisation == "given"
        levels = (form.given_level,) if is_given else form.levels
        errors = self._errors(levels)
        best = int(np.argmin(errors))
        row = self.forecaster.pack(self.fixed, self.of_whole.at(levels[best]))
        return _Fit(row, float(errors[best]))

    def _errors(self, levels: Sequence[float]) -> FloatArray:
        """Mean squared error of the free run over the held-out rest, for each level."""
        known, rest = self.series[: self.split], self.series[self.split :]
        context = known[-self.forecaster.form.context_steps :]
        coefficients = np.stack([self.of_part.at(level) for level in levels])
        runs = self.forecaster.form.run(
            self.fixed, coefficients, np.stack([context] * len(levels)), len(rest)
        )
        held = np.clip(np.nan_to_num(runs, nan=CLIP_STD), -CLIP_STD, CLIP_STD)
        errors: FloatArray = np.square(held - rest).reshape(len(levels), -1).mean(axis=1)
        return errors
