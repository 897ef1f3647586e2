"""What prediction intervals of an export are made from: its free runs over held-out rows.

`models.diagnostics.conformal` says what they promise. The free runs are those of the networks of the
final, over the rows of validation, which none of them has learnt from but by which they were
chosen; the test, where there is one, only measures what the intervals cover.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.diagnostics.conformal import RunErrors, least_scores
from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from search.errors import ExportError
from search.evaluation.held_out import HeldOutRuns, held_out_runs, tested_runs
from search.running.training import baseline_views, job_views
from search.series import FloatArray, Table
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

# Levels in percent whose coverage stands in the manifest.
STANDARD_LEVELS = (50.0, 80.0, 90.0, 95.0)
_ARRAYS = ("forecast", "observed", "steps", "places")


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


@dataclass(frozen=True, eq=False)
class Intervals:
    """Free runs over validation, and over the test where there is one.

    Raises ValueError where they do not fit each other.
    """

    validation: HeldOutRuns
    test: HeldOutRuns | None

    def __post_init__(self) -> None:
        _ = self._errors

    def band(self, point: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """The lower and upper ends of the intervals of a forecast `[step, channel]`.

        level: in percent.
        """
        half = self._errors.half_widths(level / 100.0, len(point))
        return point - half, point + half

    def coverage(self, level: float) -> Coverage:
        """What intervals of a level, in percent, were measured to hold."""
        test = None
        if self.test is not None:
            half = self._errors.half_widths(level / 100.0, int(self.test.steps[-1]))
            errors = np.abs(self.test.observed - self.test.forecast)
            test = 100.0 * float(np.mean(errors <= half[self.test.steps - 1]))
        return Coverage(level, 100.0 * self._errors.covered(level / 100.0), test)

    def shortfall(self, level: float) -> str | None:
        """That there are too few free runs for a level in percent, in a sentence; else None."""
        needed, count = least_scores(level / 100.0), self._errors.count
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
        return self._errors.runs

    @property
    def channels(self) -> int:
        return self.validation.forecast.shape[2]

    @cached_property
    def _errors(self) -> RunErrors:
        own = self.validation
        return RunErrors(own.observed - own.forecast, own.steps, own.places)

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        named = {"validation": self.validation, "test": self.test}
        return save(
            {
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
            return cls(validation, test)
        except (SafetensorError, KeyError, ValueError, IndexError, TypeError) as error:
            raise ExportError(f"the held-out free runs can't be read: {error}") from error


def intervals_of(
    definition: StudyDefinition,
    table: Table | None,
    final: AnyCheckpoint | None,
    test: AnyCheckpoint | None,
    *,
    is_baseline: bool,
) -> Intervals | None:
    """Run the networks of a study's final, and of its test, over what they have not learnt from.

    None where the final kept no networks.
    """
    if final is None:
        return None
    data, views_of = TaskData(definition, table), baseline_views if is_baseline else job_views
    tested = None
    if test is not None:
        tested = tested_runs(test, views_of(definition, data, "test")).thinned()
    validation = held_out_runs(final, views_of(definition, data, "final"))
    return Intervals(validation.thinned(), tested)
