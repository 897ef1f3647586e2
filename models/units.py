"""The units that forecasters see a series in: transformed, then standardised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.effects import Effects, Groups
from models.methods import MethodSet
from models.network.options.covariates import has_known_inputs, lags_of_known, regression_of
from models.network.options.shape import Scaling
from models.network.options.transforms import PowerTransform, SeasonalDifference
from models.regression import effects_of

FloatArray = NDArray[np.float64]

# A value that has no power counts as so many training standard deviations below the mean.
NO_POWER_STD = 10.0
# A series has no zero of its own whose mean is more than so many standard deviations away from it.
FAR_FROM_ZERO = 1e3
# Powers of Box and Cox that are tried.
BOX_COX_POWERS = np.linspace(-1.0, 2.0, 61)


@dataclass(frozen=True, eq=False)
class Units:
    """From the units of a series to those of a forecaster, for each of several members.

    A value is raised to a power (Box & Cox 1964), less the effects of known columns, then taken as
    the change from the mean of the values some seasons before, then shifted and scaled. Arrays are
    `[member, batch, time, channel]`.

    shift, scale: `[member, channel]`. power: `[member, channel]`, 1 for values as they are; None
    where no member has another. season: in steps, 0 for no difference; seasons: how many. effects:
    of known columns; None where no member has any, else `known` has to be given to all that reads
    or writes: rows `[member, batch, time, known]`, with 1 for member where all read the same. They
    may begin before the values: lags read `known_before` rows there, as far as a series has them.
    known_shift, known_scale: of known columns that are inputs, `[member, known]`; None without.
    """

    shift: FloatArray
    scale: FloatArray
    power: FloatArray | None = None
    season: int = 0
    seasons: int = 1
    effects: Effects | None = None
    known_shift: FloatArray | None = None
    known_scale: FloatArray | None = None

    @property
    def reads_known(self) -> bool:
        """Whether known columns are read, by a regression or as inputs."""
        return self.effects is not None or self.known_shift is not None

    @property
    def lag(self) -> int:
        """How many values before a context are read as well."""
        return self.season * self.seasons

    @property
    def known_before(self) -> int:
        """How many rows before the values lags of known columns are read from."""
        return 0 if self.effects is None else self.effects.rows_before

    @classmethod
    def of(
        cls,
        methods: MethodSet,
        pieces: Sequence[FloatArray],
        known: Sequence[FloatArray] | None = None,
        *,
        season: int = 1,
        past: int = 0,
        groups: int = 1,
    ) -> Self:
        """The units of one member, from its training span.

        pieces: stretches `[time, channel]` of the series. known: the known columns `[time, known]`
        of the same stretches, behind rows before them for lags, needed where they are read
        alone. season: in steps, by which that compares rows. past: how many of the channels, the
        last ones, are columns that are not forecast, and keep their values as they are. groups: of
        channels that have known columns of their own, see `Groups`. With an offset, values are
        standard deviations from the mean; without one the series keeps its own zero, and its root
        mean square is the unit. A zero that is beyond FAR_FROM_ZERO means nothing to a series, and
        its numbers would drown what varies: then it is as with an offset. Raises ValueError where a
        power needs values above zero.
        """
        power, difference = _power_of(methods, np.concatenate(pieces), past), difference_of(methods)
        raw = cls(np.zeros((1, 1)), np.ones((1, 1)), power, *difference)
        rows: Sequence[FloatArray | None] = [None] * len(pieces)
        kind, effects = regression_of(methods), None
        if kind != "none":
            assert known is not None
            raised = [raw._raised(piece[None, None])[0, 0] for piece in pieces]
            lags = lags_of_known(methods)
            effects = effects_of(kind, raised, known, season, lags, Groups(groups, past))
            raw, rows = replace(raw, effects=effects), [own[None, None] for own in known]
        changed = np.concatenate(
            [
                raw._changes(piece[None, None], own)[0, 0]
                for piece, own in zip(pieces, rows, strict=True)
            ]
        )
        inputs: tuple[FloatArray, ...] = ()
        if has_known_inputs(methods):
            assert known is not None
            columns = np.concatenate(
                [own[len(own) - len(piece) :] for own, piece in zip(known, pieces, strict=True)]
            )
            is_constant = np.ptp(columns, axis=0) == 0
            std = np.where(is_constant, 1.0, columns.std(axis=0))
            inputs = columns.mean(axis=0)[None], std[None]
        mean, std = changed.mean(axis=0), changed.std(axis=0)
        if methods[Scaling].offset:
            return cls(mean[None], _above_zero(std)[None], power, *difference, effects, *inputs)
        is_far = np.abs(mean) > FAR_FROM_ZERO * std
        shift = np.where(is_far & (std > 0), mean, 0.0)
        root = np.where(shift == 0.0, np.sqrt(mean**2 + std**2), std)
        return cls(shift[None], _above_zero(root)[None], power, *difference, effects, *inputs)

    @classmethod
    def joined(cls, own: Sequence[Self]) -> Self:
        """The units of several members, of one difference; all have known inputs, or none."""
        powers = None
        if any(units.power is not None for units in own):
            powers = np.concatenate(
                [np.ones_like(u.shift) if u.power is None else u.power for u in own]
            )
        shift, scale = (np.concatenate([getattr(u, n) for u in own]) for n in ("shift", "scale"))
        effects = None
        columns = max(0 if u.effects is None else u.effects.columns for u in own)
        if columns:
            channels = shift.shape[1]
            groups = next(u.effects.groups for u in own if u.effects is not None)
            effects = Effects.joined(
                [
                    Effects.none(len(u.shift), columns, channels, groups)
                    if u.effects is None
                    else u.effects
                    for u in own
                ]
            )
        inputs: tuple[FloatArray, ...] = ()
        if own[0].known_shift is not None:
            inputs = tuple(
                np.concatenate([getattr(u, n) for u in own]) for n in ("known_shift", "known_scale")
            )
        return cls(shift, scale, powers, own[0].season, own[0].seasons, effects, *inputs)

    def rows(self, members: Sequence[int]) -> Units:
        """The units of some members."""
        chosen = list(members)
        power = None if self.power is None else self.power[chosen]
        effects = None if self.effects is None else self.effects.rows(chosen)
        known_shift, known_scale = (
            None if own is None else own[chosen] for own in (self.known_shift, self.known_scale)
        )
        return replace(
            self,
            known_shift=known_shift,
            known_scale=known_scale,
            shift=self.shift[chosen],
            scale=self.scale[chosen],
            power=power,
            effects=effects,
        )

    def read(self, values: FloatArray, known: FloatArray | None = None) -> FloatArray:
        """Values as a forecaster reads them, without the first `lag` ones.

        known: of the rows of the values, and of those before them for lags.
        """
        scaled = (self._changes(values, known) - _each(self.shift)) / _each(self.scale)
        # A value below zero has no power; it counts as one that is far below all others.
        return scaled if self.power is None else np.where(np.isnan(scaled), -NO_POWER_STD, scaled)

    def exogenous(self, known: FloatArray | None, rows: int) -> FloatArray | None:
        """Known columns as inputs of networks, without the first `lag` rows; None without any.

        known: `[member, batch, time, known]`, behind rows before them for lags; rows: how many are
        those of the values and of a run after them, the last ones.
        """
        if self.known_shift is None or self.known_scale is None:
            return None
        assert known is not None
        own = known[:, :, known.shape[2] - rows + self.lag :]
        scaled: FloatArray = (own - _each(self.known_shift)) / _each(self.known_scale)
        return scaled

    def written(
        self, forecast: FloatArray, shown: FloatArray, known: FloatArray | None = None
    ) -> FloatArray:
        """A forecaster's free run in the units of the series; not finite where that has none.

        shown: values before it, at least `lag` of them, in the units of the series. known: of the
        rows that are shown, of those of the run after them, and of those before them for lags.
        """
        changes = forecast * _each(self.scale) + _each(self.shift)
        rows = shown.shape[2] + forecast.shape[2]
        added = None if self.effects is None else self._added(known, rows)
        # Of what is infinite, the rest of the run is no number.
        with np.errstate(invalid="ignore"):
            if self.lag:
                before = self._raised(shown)
                if added is not None:
                    before = before - added[:, :, : shown.shape[2]]
                changes = self._summed(changes, before)
            if added is not None:
                changes = changes + added[:, :, shown.shape[2] :]
            return self._lowered(changes)

    def _summed(self, changes: FloatArray, raised: FloatArray) -> FloatArray:
        """Values whose changes from `lag` steps before are given, after others `raised`."""
        steps, known = changes.shape[2], raised[:, :, -self.lag :]
        known = np.broadcast_to(known, (*changes.shape[:2], *known.shape[2:]))
        run = np.concatenate([known, changes], axis=2)
        for first in range(self.lag, self.lag + steps, self.season):
            last = min(first + self.season, self.lag + steps)
            run[:, :, first:last] += self._before(run, first, last)
        return run[:, :, self.lag :]

    def written_beside(
        self,
        forecasts: FloatArray,
        shown: FloatArray,
        truth: FloatArray,
        known: FloatArray | None = None,
    ) -> FloatArray:
        """One-step forecasts of `truth`, which follows `shown`, in the units of the series.

        known: of the rows that are shown, of those of the truth after them, and of those before
        them for lags.
        """
        changes = forecasts * _each(self.scale) + _each(self.shift)
        first, rows = shown.shape[2], shown.shape[2] + truth.shape[2]
        added = None if self.effects is None else self._added(known, rows)
        if self.lag:
            raised = self._raised(np.concatenate([shown, truth], axis=2))
            if added is not None:
                raised = raised - added
            changes = changes + self._before(raised, first, first + truth.shape[2])
        if added is not None:
            changes = changes + added[:, :, first:]
        return self._lowered(changes)

    def _added(self, known: FloatArray | None, rows: int) -> FloatArray:
        assert self.effects is not None
        assert known is not None
        return self.effects.at(known, rows)

    def _changes(self, values: FloatArray, known: FloatArray | None) -> FloatArray:
        """Values to a power less known effects, or their changes; neither shifted nor scaled."""
        raised = self._raised(values)
        if self.effects is not None:
            raised = raised - self._added(known, values.shape[-2])
        if not self.lag:
            return raised
        return raised[..., self.lag :, :] - self._before(raised, self.lag, raised.shape[-2])

    def _before(self, raised: FloatArray, first: int, last: int) -> FloatArray:
        """The mean of the values one season, two seasons, ... before those from first to last."""
        total = raised[..., first - self.season : last - self.season, :]
        for back in range(2 * self.season, self.lag + 1, self.season):
            total = total + raised[..., first - back : last - back, :]
        return total / self.seasons if self.seasons > 1 else total

    def _raised(self, values: FloatArray) -> FloatArray:
        if self.power is None:
            return values
        power = _each(self.power)
        # `_held` takes care of what has no power.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            positive = np.where(values > 0, values, np.nan)
            log = np.log(positive)
            # Without Box and Cox's constant, in which small powers would lose their digits.
            raised = np.where(power == 0, log, positive**power / np.where(power, power, 1))
        return np.where(power == 1, values, raised)

    def _lowered(self, raised: FloatArray) -> FloatArray:
        if self.power is None:
            return raised
        power = _each(self.power)
        safe = np.where(power, power, 1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            base = np.maximum(power * raised, 0)
            lowered = np.where(power == 0, np.exp(raised), base ** (1 / safe))
        return np.where(power == 1, raised, lowered)


def difference_of(methods: MethodSet) -> tuple[int, int]:
    """The season of a difference in steps, 0 for none, and the number of seasons."""
    own = methods.find(SeasonalDifference)
    return (0, 1) if own is None else (own.season, own.seasons)


def units_key(methods: MethodSet) -> tuple[object, ...]:
    """What units depend on: candidates with equal keys have equal units on equal data."""
    transforms = methods.find(PowerTransform), difference_of(methods), methods[Scaling].offset
    known = regression_of(methods), lags_of_known(methods), has_known_inputs(methods)
    return *transforms, *known


def _power_of(methods: MethodSet, values: FloatArray, past: int) -> FloatArray | None:
    """The power of each channel, `[1, channel]`; None where values stay as they are.

    past: how many of the last channels do so in any case.
    """
    transform = methods.find(PowerTransform)
    if transform is None:
        return None
    values, kept = values[:, : values.shape[1] - past], np.ones(past)
    if values.min() <= 0:
        raise ValueError(
            f"power_transform must be none for values that are not above zero, but got "
            f"{transform.power!r} and the value {values.min():g}"
        )
    if transform.power == "log":
        return np.concatenate([np.zeros(values.shape[1]), kept])[None]
    return np.array([[*(box_cox_power(channel) for channel in values.T), *kept]])


def box_cox_power(values: FloatArray) -> float:
    """The power of the greatest likelihood for values `[time]` above zero, on a grid.

    Box & Cox (1964), eq. 8: of independent Gaussian values, which is how the power is usually
    chosen for a series, too.
    """
    logs = np.log(values / np.exp(np.log(values).mean()))
    likelihood = []
    for power in BOX_COX_POWERS:
        raised = logs if abs(power) < 1e-9 else np.expm1(power * logs) / power
        # Values in units of their geometric mean, so that the Jacobian is 1.
        likelihood.append(-np.log(max(raised.var(), np.finfo(np.float64).tiny)))
    return float(np.round(BOX_COX_POWERS[int(np.argmax(likelihood))], 6))


def _each(values: FloatArray) -> FloatArray:
    return values[:, np.newaxis, np.newaxis]


def _above_zero(scale: FloatArray) -> FloatArray:
    """Changes may all be equal where the values are not."""
    return np.where(scale > 0, scale, 1.0)
