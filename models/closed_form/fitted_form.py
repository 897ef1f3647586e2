"""A candidate that is a closed form, and how its series is shown to it."""

from __future__ import annotations

from models.closed_form.closed_form import ClosedForm, FloatArray
from models.network.options.output import Scaling
from models.training.options.augmentation import TimeReversal
from models.training.trained_network import BaseCandidate


class FittedForm(BaseCandidate):
    """A closed form with its regularisation, fitted in one or both directions of time."""

    @property
    def form(self) -> ClosedForm:
        """The closed form."""
        form = self.find(ClosedForm)
        assert form is not None
        return form

    @property
    def least_steps(self) -> int:
        """What follows its context within the first three quarters of the span is fitted."""
        return max(2 * self.form.context_steps, 3)

    @property
    def constant(self) -> float:
        """The value of a feature that is the same in all rows: 0 without an offset."""
        return float(self[Scaling].offset)

    def directions(self, series: FloatArray) -> list[FloatArray]:
        """The series, and with time reversal also from its end to its start."""
        return [series, series[::-1]] if self[TimeReversal].time_reversal else [series]

    def description(self) -> str:
        others = [method.phrase() for method in self if method is not self.form]
        parts = [self.form.name, self.form.size(), *others, self.form.phrase()]
        return ", ".join(part for part in parts if part)
