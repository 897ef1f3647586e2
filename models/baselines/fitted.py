"""Closed forms with settings that are stated instead of searched, as baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray
from models.methods import Scalar
from models.tensors import Tensor, clipped, torch

if TYPE_CHECKING:
    from models.closed_form.fitting import FormForecaster

# What is read takes a third of the training span, as far as that is quickly factorised.
CONTEXT_SHARE = 3
MOST_CONTEXT_STEPS = 300
# A shorter span is not fitted: its mean square is all that is known, and zero is forecast.
FEWEST_STEPS = 3


class FittedBaseline(Baseline):
    """A closed form in both directions of time, its level chosen on the last quarter of training.

    forecaster: None where there was too little to fit. weights: `[1, parameter]`. scale: root mean
    square of the training span, `[channel]`; no mean is taken off.
    """

    cell: ClassVar[str]
    context_setting: ClassVar[str]

    forecaster: FormForecaster | None
    weights: Tensor
    scale: FloatArray

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        # Fitting needs torch, which those who only look at what baselines there are do without.
        from models.closed_form.closed_form import FittedForm
        from models.closed_form.fitting import Fitting
        from models.cohort import Member
        from models.methods.registry import configure

        power = np.sqrt(np.mean(training**2, axis=0))
        scale = np.where(power > 0.0, power, 1.0)
        if len(training) < FEWEST_STEPS:
            return cls(forecaster=None, weights=torch.empty(0), scale=scale)
        candidate = FittedForm(configure(cls.settings_for(len(training))))
        scaled = torch.from_numpy(training / scale).unsqueeze(0)
        fitting = Fitting([Member(candidate, series=0, seed=0)], scaled)
        for _ in fitting:
            pass
        return cls(forecaster=fitting.forecaster, weights=fitting.scored_weights, scale=scale)

    @classmethod
    def settings_for(cls, train_steps: int) -> dict[str, Scalar]:
        """The settings of the candidate that is fitted to a training span of so many steps."""
        return {
            "cell": cls.cell,
            cls.context_setting: min(max(1, train_steps // CONTEXT_SHARE), MOST_CONTEXT_STEPS),
            "regularisation": "held-out",
            "time_reversal": True,
            "offset": False,
        }

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """See `Baseline`; values before the start of a short history count as zero."""
        if self.forecaster is None:
            return np.zeros((steps, history.shape[1]))
        context = np.zeros((self.forecaster.form.context_steps, history.shape[1]))
        known = history[-len(context) :] / self.scale
        context[len(context) - len(known) :] = known
        shown = torch.from_numpy(context).view(1, 1, *context.shape)
        run = self.forecaster.free_run(self.weights, shown, steps)
        forecast: FloatArray = clipped(run)[0, 0].numpy() * self.scale
        return forecast


class RidgeAR(
    FittedBaseline,
    name="ridge-ar",
    label="ridge AR (both ways in time, ridge chosen on the training span)",
    rank=803,
):
    """Ridge autoregression in both directions of time; only the strength is chosen."""

    short_label = "ridge AR"
    cell = "ar"
    context_setting = "ar_order"


class SSABaseline(
    FittedBaseline,
    name="ssa",
    label="singular spectrum analysis (SSA, rank chosen on the training span)",
    rank=804,
):
    """Singular spectrum analysis, strong on waves; only the rank is chosen."""

    short_label = "SSA"
    cell = "ssa"
    context_setting = "ssa_window"
