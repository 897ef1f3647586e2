"""What prediction intervals of an export are made from: its free runs over held-out rows.

`models.diagnostics.conformal` says what they promise. The free runs are those of the networks of
the final, over the rows of validation, which none of them has learnt from. The winner of a final
was chosen by its errors on these rows, which flatters them: its intervals are wider by what that
choice is found to be worth, see `models.diagnostics.selection`. The test, where there is one, only
measures what intervals cover.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.diagnostics.conformal import RunErrors, interval_score, least_scores
from models.diagnostics.selection import selection_widening
from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from search.errors import ExportError
from search.evaluation.held_out import HeldOutRuns, held_out_runs, runs_of_test
from search.records import FinalRecord
from search.running.training import baseline_views, job_views
from search.series import FloatArray, Table
from search.storage.records import Subject
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

# Levels in percent whose coverage stands in the manifest.
STANDARD_LEVELS = (50.0, 80.0, 90.0, 95.0)
_ARRAYS = ("forecast", "observed", "steps", "places")
# The level at which intervals of absolute and of relative errors are compared, and by how much the
# latter have to be better. Of a series whose level changes by CHANGED within validation they may
# even be as much worse: what it comes to next is of another size, and so are its errors.
COMPARED_LEVEL, LEAST_GAIN, MOST_LOSS, CHANGED = 0.8, 0.05, 0.1, 1.5
# What the test holds less of than the level, in percentage points, before a forecast doubts it.
MOST_MISSING = 25.0
# Errors below this share of what the series varies by are nothing to doubt.
NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Coverage:
    """The share of held-out values, in percent, that intervals of a level held.

    validation: measured crosswise, of each free run by intervals from the others. test: of values
    that no choice has seen; None without a test.
    """

    level: float
    validation: float
    test: float | None

    def __str__(self) -> str:
        test = "" if self.test is None else f", {self.test:.0f} % in the test"
        return f"held {self.validation:.0f} % in validation{test}"


def held_by_level(found: Iterable[Coverage]) -> dict[str, dict[str, float | None]]:
    """What intervals held, as JSON values: by level, such as "80", then in validation and test."""
    return {f"{c.level:g}": {"validation": c.validation, "test": c.test} for c in found}


@dataclass(frozen=True, eq=False)
class Intervals:
    """Free runs over validation, and over the test where there is one.

    widening: the factor, from 1 on, by which intervals are wider than validation has them. Raises
    ValueError where the free runs do not fit each other.

    Intervals of a channel are as wide everywhere, or grow with the forecast where all of its values
    and forecasts are above zero and such intervals are better in validation, see LEAST_GAIN.
    """

    validation: HeldOutRuns
    test: HeldOutRuns | None
    widening: float = 1.0

    def __post_init__(self) -> None:
        _ = self._absolute
        if not self.widening >= 1.0:
            raise ValueError(f"the widening must be at least 1, but got {self.widening}")

    def band(self, point: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """The lower and upper ends of the intervals of a forecast `[step, channel]`.

        level: in percent.
        """
        return self._band(point, level, np.arange(len(point)))

    def coverage(self, level: float) -> Coverage:
        """What intervals of a level, in percent, were measured to hold."""
        test = None
        if self.test is not None:
            low, high = self._band(self.test.forecast, level, self.test.steps - 1)
            observed = self.test.observed
            is_inside = (low <= observed) & (observed <= high)
            test = 100.0 * float(np.mean(is_inside[~np.isnan(observed)]))
        return Coverage(level, 100.0 * self._errors(self._is_relative).covered(level / 100.0), test)

    def doubt(self, level: float) -> str | None:
        """That intervals of a level, in percent, held far less in the test, else None."""
        held = self.coverage(level)
        if self.test is None or held.test is None or held.test > level - MOST_MISSING:
            return None
        is_known = ~np.isnan(self.test.observed)
        observed, forecast = self.test.observed[is_known], self.test.forecast[is_known]
        if (observed - forecast).std() < NEGLIGIBLE * observed.std():
            return None
        return (
            f"intervals of {level:g} % held {held.test:.0f} % of the values of the test, and may "
            "be far too narrow; the series changes in ways that validation did not show"
        )

    def shortfall(self, level: float) -> str | None:
        """That there are too few free runs for a level in percent, in a sentence; else None."""
        needed, count = least_scores(level / 100.0), self._absolute.count
        if count >= needed:
            return None
        return (
            f"intervals of {level:g} % need at least {needed} free runs that count as independent, "
            f"but validation has {count}: they are as wide as its greatest error, and may hold "
            "less; give a longer validation span or more start points, or a lower level"
        )

    @property
    def runs(self) -> int:
        """How many free runs the intervals are made from."""
        return self._absolute.runs

    @property
    def channels(self) -> int:
        return int(self.validation.forecast.shape[2])

    def _band(
        self, point: FloatArray, level: float, steps: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """The ends around forecasts `[..., step, channel]`; steps: which of the horizon, from 0."""
        is_relative = self._is_relative & (point.min(axis=tuple(range(point.ndim - 1))) > 0)
        half = self._errors(is_relative).half_widths(level / 100.0, int(steps[-1]) + 1)
        return _ends(point, self.widening * half[steps], is_relative)

    def _errors(self, is_relative: NDArray[np.bool_]) -> RunErrors:
        """Errors of validation; relative ones, which are differences of logarithms, where asked."""
        own = self.validation
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(own.observed) - np.log(own.forecast)
        errors = np.where(is_relative, ratios, own.observed - own.forecast)
        return RunErrors(errors, own.steps, own.places)

    @cached_property
    def _absolute(self) -> RunErrors:
        return self._errors(np.zeros(self.channels, dtype=bool))

    @cached_property
    def _is_relative(self) -> NDArray[np.bool_]:
        """Of each channel, whether its intervals grow with the forecast, `[channel]`.

        By their interval scores, crosswise in validation.
        """
        own, none = self.validation, np.zeros(self.channels, dtype=bool)
        known = np.where(np.isnan(own.observed), np.inf, own.observed)
        is_positive: NDArray[np.bool_] = np.minimum(known, own.forecast).min(axis=(0, 1)) > 0
        if own.forecast.shape[0] < 2 or not is_positive.any():
            return none
        scores = []
        for relative in (none, is_positive):
            half = self._errors(relative).crosswise(COMPARED_LEVEL)
            low, high = _ends(own.forecast, half, relative)
            scores.append(interval_score(low, high, own.observed, COMPARED_LEVEL))
        with np.errstate(invalid="ignore", divide="ignore"):
            levels = np.log(own.forecast[np.argsort(own.places, kind="stable")]).mean(axis=1)
        part = max(1, len(levels) // 4)
        change = np.abs(levels[-part:].mean(axis=0) - levels[:part].mean(axis=0))
        most = np.where(change >= np.log(CHANGED), 1.0 + MOST_LOSS, 1.0 - LEAST_GAIN)
        return np.asarray(is_positive & (scores[1] < most * scores[0]))

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        named = {"validation": self.validation, "test": self.test}
        arrays = {"widening": np.array([self.widening])}
        return save(
            arrays
            | {
                f"{name}.{array}": np.ascontiguousarray(getattr(runs, array))
                for name, runs in named.items()
                if runs is not None
                for array in _ARRAYS
            }
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Rebuild what `to_bytes` wrote; ExportError where that can't be."""
        try:
            arrays = load(content)
            validation = HeldOutRuns(*(arrays[f"validation.{name}"] for name in _ARRAYS))
            test = None
            if "test.forecast" in arrays:
                test = HeldOutRuns(*(arrays[f"test.{name}"] for name in _ARRAYS))
            return cls(validation, test, float(arrays["widening"][0]))
        except (SafetensorError, KeyError, ValueError, IndexError, TypeError) as error:
            raise ExportError(f"the held-out free runs can't be read: {error}") from error


def _ends(
    point: FloatArray, half: FloatArray, is_relative: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Point and half widths `[..., channel]` as ends; relative: half the width of logarithms."""
    factor = np.exp(np.where(is_relative, half, 0.0))
    low = np.where(is_relative, point / factor, point - half)
    return low, np.where(is_relative, point * factor, point + half)


def intervals_of(
    definition: StudyDefinition,
    table: Table | None,
    final: AnyCheckpoint | None,
    test: AnyCheckpoint | None,
    *,
    is_baseline: bool,
    widening: float = 1.0,
) -> Intervals | None:
    """Run the networks of a study's final, and of its test, over what they have not learnt from.

    None where the final kept no networks.
    """
    if final is None:
        return None
    data, views_of = TaskData(definition, table), baseline_views if is_baseline else job_views
    tested = None
    if test is not None:
        tested = runs_of_test(test, views_of(definition, data, "test")).thinned()
    validation = held_out_runs(final, views_of(definition, data, "final"))
    return Intervals(validation.thinned(), tested, widening)


def widening_of(
    finals: Mapping[Subject, FinalRecord], winner: Subject, *, has_draws: bool
) -> float:
    """By what factor the winner's errors in validation are to be widened for having been chosen.

    finals: of all that the winner was chosen from. Of them those count that have as many errors as
    the winner has: a closed form that was fitted once stands for all replicas. has_draws: see
    `search.contest.compared`.
    """
    units = {subject: _units(found, has_draws=has_draws) for subject, found in finals.items()}
    own = units[winner].shape
    rows = [subject for subject, errors in units.items() if errors.shape == own]
    return selection_widening(np.stack([units[row] for row in rows]), rows.index(winner))


def _units(found: FinalRecord, *, has_draws: bool) -> FloatArray:
    """Squared errors in the order of time `[unit]`: of each draw, or of each part of the rows.

    Parts whose values are all masked are left out.
    """
    units = found.unit_errors if all(found.unit_errors) else ()  # none of earlier versions
    errors = np.array(units or [[score] for score in found.replica_scores], dtype=np.float64)
    if has_draws:
        return np.asarray(errors.mean(axis=1))
    # Replicas without cuts of their own share the rows.
    errors = errors.mean(axis=0) if found.averaging == "median" else errors.ravel()
    return errors[~np.isnan(errors)]
