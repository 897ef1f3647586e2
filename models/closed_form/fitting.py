"""Fitting of a cohort: members of one closed form, each with its own data, settings and seed."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from models.closed_form.closed_form import (
    MOST_FACTORISED,
    ClosedForm,
    FittedForm,
    Fixed,
    FloatArray,
    Solutions,
)
from models.cohort import Member, checked_cohort, checked_pieces
from models.methods import Stage
from models.network.options.transforms import lag_of
from models.network.parameters import Layout
from models.tensors import RUN_BOUND, MemberBatchTimeChannel, MemberParameter, PerMember

# The share of the training span, or of its longest piece, that is fitted first; the rest is held
# out.
FITTED_SHARE = 0.75
# Free runs over held-out rests that are made side by side.
RUNS_AT_ONCE = 512


@dataclass(frozen=True)
class FormForecaster:
    """A closed form for `channels` value columns, without any numbers in it.

    A member's numbers are what is `fixed` beforehand (most have nothing) and the `coefficients`
    `[feature, output]`, which are fitted.
    """

    form: ClosedForm
    channels: int = 1

    dtype: ClassVar[torch.dtype] = torch.float64

    @property
    def features(self) -> int:
        """Numbers that a forecast is a linear function of."""
        return self.form.features(self.channels)

    def layout(self) -> Layout:
        """Names and shapes of one member's numbers."""
        return self.form.layout(self.channels)

    def pack(self, fixed: Fixed, coefficients: FloatArray) -> Tensor:
        """One member's row `[parameter]`."""
        named = {**fixed, "coefficients": coefficients}
        tensors = {name: torch.from_numpy(value) for name, value in named.items()}
        return self.layout().pack(tensors, self.dtype)

    def free_run(
        self, weights: MemberParameter, context: MemberBatchTimeChannel, steps: int
    ) -> MemberBatchTimeChannel:
        """Forecast `steps` values after `context` `[member, batch, time, channel]`."""
        named = {name: v.numpy() for name, v in self.layout().views(weights.contiguous()).items()}
        runs = []
        for member, known in enumerate(context.double().numpy()):
            own = {name: values[member] for name, values in named.items()}
            coefficients = own.pop("coefficients")
            shared = np.broadcast_to(coefficients, (len(known), *coefficients.shape))
            runs.append(self.form.run(own, shared, known, steps))
        return torch.from_numpy(np.stack(runs))

    def one_step(
        self,
        weights: MemberParameter,
        context: MemberBatchTimeChannel,
        truth: MemberBatchTimeChannel,
    ) -> MemberBatchTimeChannel:
        """Forecast each value of `truth` from as many true values before it as a context has."""
        known = torch.cat([context, truth], dim=2)[:, :, :-1]
        # [member, batch, start, channel, time]
        windows = known.unfold(2, context.shape[2], 1).transpose(3, 4)
        forecasts = self.free_run(weights, windows.flatten(1, 2), steps=1)
        return forecasts.view(truth.shape)


class Fitting(PerMember):
    """Fits the members of one cohort; a member's numbers are as if it were alone.

    `values` `[series, time, channel]` are training spans, scaled, and `pieces` the lengths of the
    stretches without a gap that each consists of, None for one each; what is beyond them fills up
    a series that is shorter than others. Each may be `joined` of so many series of equal pieces,
    one after the other. It has the surface of `Trainer` and raises what that does, and has one
    step: iterating yields 0 whenever some members are fitted and others are not, in the order of
    the members, and 1 at the end. In between, members may be dropped with `keep`.

    targets: how many channels, the first ones, are to be forecast, None for all; the others are
    fitted alike, and have no say in a loss.

    Members that differ by their regularisation alone share one factorisation; reservoirs, which are
    drawn, only where their seeds are equal, too. Each is fitted twice: on all but the
    last quarter of the span (of the longest piece of each that is joined, the later of equals), to
    run freely over that held-out rest, the mean squared error of which is its loss; and on all of
    it, which gives its numbers. A level that is not given is the one of the least such loss. Where
    nothing is chosen by the loss, since the level is given and nothing is drawn, a form that knows
    its training error is fitted once, and that error is its loss. Everything is done on the CPU.
    """

    by_member = ("members",)
    total_steps = 1
    steps_done = 0

    def __init__(
        self,
        members: Sequence[Member[FittedForm]],
        values: Tensor,
        pieces: Sequence[Sequence[int]] | None = None,
        joined: int = 1,
        targets: int | None = None,
    ) -> None:
        candidate = checked_cohort(members, FittedForm)
        lengths = checked_pieces(values, pieces)
        longest = min(max(lengths[member.series]) for member in members)
        least = candidate.least_steps - lag_of(candidate)  # which is taken off already
        if least > longest:
            raise ValueError(
                f"a training span must have at least {least} steps, twice the "
                f"context, but got {longest} without a gap"
            )
        self.forecaster = FormForecaster(candidate.form, channels=values.shape[-1])
        self.joined, self.targets = joined, targets
        _check_channels(self.forecaster)
        self.device = torch.device("cpu")
        self.members: list[Member[FittedForm]] = list(members)
        # The pieces `[time, channel]` of each series.
        self.pieces = [
            np.split(series[: sum(own)], np.cumsum(own)[:-1])
            for series, own in zip(values.cpu().double().numpy(), lengths, strict=True)
        ]
        # Numbers `[parameter]` and loss of each member that is fitted.
        self.fits: dict[Member[FittedForm], tuple[Tensor, float]] = {}

    def __iter__(self) -> Iterator[int]:
        problems: dict[Hashable, list[Member[FittedForm]]] = {}
        for member in self.members:
            problems.setdefault(self._problem_key(member), []).append(member)
        for sharing in problems.values():
            if wanted := [member for member in sharing if member in self.members]:
                pieces = self.pieces[wanted[0].series]
                problem = _Problem(self.forecaster, pieces, wanted[0], self.joined, self.targets)
                self.fits |= {member: problem.fit(member) for member in wanted}
                yield 0
        self.steps_done = 1
        yield 1

    def loss(self) -> Tensor:
        """The error of each member's free run over the held-out rest; infinite before its fit."""
        losses = [self.fits[m][1] if m in self.fits else torch.inf for m in self.members]
        return torch.tensor(losses, dtype=self.forecaster.dtype)

    @property
    def fitted(self) -> list[bool]:
        """Whether each member is fitted."""
        return [member in self.fits for member in self.members]

    @property
    def scored_weights(self) -> MemberParameter:
        """The numbers of each member; zeros before its fit."""
        blank = torch.zeros(self.forecaster.layout().size, dtype=self.forecaster.dtype)
        return torch.stack([self.fits[m][0] if m in self.fits else blank for m in self.members])

    @property
    def warm_up(self) -> int:
        """True values before a free run that is scored."""
        return self.forecaster.form.context_steps

    @property
    def parameter_count(self) -> int:
        """Fitted numbers of one member."""
        form, channels = self.forecaster.form, self.forecaster.channels
        train_steps = sum(map(len, self.pieces[0]))
        features = form.fitted_features(channels, train_steps)
        return features * form.outputs(channels)

    def _problem_key(self, member: Member[FittedForm]) -> Hashable:
        """What members must have in common to share a factorisation: all but regularisation."""
        of_any_level = [
            (own.name, value)
            for own, value in member.candidate.settings()
            if own.stage != Stage.REGULARISATION
        ]
        seed = member.seed if self.forecaster.form.is_random else None
        return member.series, tuple(of_any_level), seed


class _Problem:
    """The problem of fitting one series, factorised without its held-out rest and as a whole.

    pieces: of the series, `[time, channel]` each. first: a member whose settings the others share,
    but for regularisation. joined: of how many series of equal pieces, one after the other, it is.
    targets: how many channels, the first ones, count in held-out errors; None for all.
    """

    def __init__(
        self,
        forecaster: FormForecaster,
        pieces: Sequence[FloatArray],
        first: Member[FittedForm],
        joined: int,
        targets: int | None,
    ) -> None:
        candidate, form = first.candidate, first.candidate.form
        self.forecaster, self.pieces, self.first = forecaster, pieces, first
        self.joined, self.targets = joined, targets
        self.drawn = form.fix(forecaster.channels, Generator().manual_seed(first.seed))
        self.fixed = form.measure(pieces, candidate, self.drawn)
        self.of_whole = form.factorise(pieces, candidate, self.fixed)

    @cached_property
    def _part(self) -> tuple[Fixed, Solutions, list[FloatArray], list[FloatArray]]:
        """The problem without its held-out rest; what is before the rest, and the rest, of each."""
        candidate, form, pieces = self.first.candidate, self.first.candidate.form, self.pieces
        each = len(pieces) // self.joined
        longest = max(range(each), key=lambda place: (len(pieces[place]), place))
        split = int(FITTED_SHARE * len(pieces[longest]))
        known = [piece[:split] for piece in pieces[longest::each]]
        rest = [piece[split:] for piece in pieces[longest::each]]
        part = list(pieces)
        part[longest::each] = known
        fixed = form.measure(part, candidate, self.drawn)
        return fixed, form.factorise(part, candidate, fixed), known, rest

    def fit(self, member: Member[FittedForm]) -> tuple[Tensor, float]:
        form = member.candidate.form
        of_whole = form.regularised(self.of_whole)
        if form.regularisation == "given":
            level = form.given_level
            coefficients = of_whole.at(level)
            loss = None
            if not form.is_random:
                loss = form.training_error(of_whole, level, coefficients)
            loss = float(self._errors(form, [level])[0]) if loss is None else loss
        else:
            errors = self._errors(form, form.levels)
            best = int(np.argmin(errors))
            loss, coefficients = float(errors[best]), of_whole.at(form.levels[best])
        return self.forecaster.pack(self.fixed, coefficients), loss

    def _errors(self, form: ClosedForm, levels: Sequence[float]) -> FloatArray:
        """Mean squared error of the free run over the held-out rest, for each level."""
        fixed, problem, all_known, all_rest = self._part
        problem = form.regularised(problem)
        coefficients = np.stack([problem.at(level) for level in levels])
        at_once, squares = max(1, RUNS_AT_ONCE // len(levels)), []
        for first in range(0, len(all_known), at_once):
            contexts = [
                known[-form.context_steps :] for known in all_known[first : first + at_once]
            ]
            rest = np.stack(all_rest[first : first + at_once])
            runs = form.run(
                fixed,
                np.repeat(coefficients, len(rest), axis=0),
                np.stack(contexts * len(levels)),
                rest.shape[1],
            )
            held = np.clip(np.nan_to_num(runs, nan=RUN_BOUND), -RUN_BOUND, RUN_BOUND)
            errors = (held.reshape(len(levels), *rest.shape) - rest)[..., : self.targets]
            squares.append(np.square(errors).reshape(len(levels), -1))
        mean: FloatArray = np.concatenate(squares, axis=1).mean(axis=1)
        return mean


def _check_channels(forecaster: FormForecaster) -> None:
    form, channels = forecaster.form, forecaster.channels
    if not form.fits_at_once(channels):
        rows = form.factorised(channels)
        raise ValueError(
            f"a closed form of {channels} channels at once must factorise at most "
            f"{MOST_FACTORISED} numbers, but this one has {rows}: {form.name}, {form.size()}; "
            'name shorter contexts, or channels = "independent"'
        )
