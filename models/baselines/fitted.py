"""Closed forms with settings that are stated instead of searched, as baselines."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from models.baselines.baseline import Baseline, FloatArray
from models.candidate import Architecture, Candidate, FittedCellName, Strategy
from models.closed_form import CLOSED_FORMS
from models.fitting import Fitting
from models.freerun import clipped
from models.training import Member

# What is read takes a third of the training span, as far as that is quickly factorised.
CONTEXT_SHARE = 3
MOST_CONTEXT_STEPS = 300
# A shorter span is not fitted: its mean square is all that is known, and zero is forecast.
FEWEST_STEPS = 3


@dataclass(frozen=True, eq=False)
class FittedBaseline(Baseline):
    """A closed form in both directions of time, its level chosen on the last quarter of training.

    architecture: None where there was too little to fit. weights: `[1, parameter]`. scale: root
    mean square of the training span, `[channel]`; no mean is taken off, see `Strategy.offset`.
    """

    architecture: Architecture | None
    weights: Tensor
    scale: FloatArray

    cell: ClassVar[FittedCellName]

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Fit on the training span `[time, channel]`; forecasts read a third of it at most."""
        power = np.sqrt(np.mean(training**2, axis=0))
        scale = np.where(power > 0.0, power, 1.0)
        if len(training) < FEWEST_STEPS:
            return cls(None, torch.empty(0), scale)
        steps = min(max(1, len(training) // CONTEXT_SHARE), MOST_CONTEXT_STEPS)
        architecture = Architecture(cls.cell, 1, 1, 0, False, "state", steps)
        candidate = Candidate(architecture, STRATEGY, restarts=1)
        scaled = torch.from_numpy(training / scale).unsqueeze(0)
        fitting = Fitting([Member(candidate, series=0, seed=0)], scaled)
        for _ in fitting:
            pass
        return cls(architecture, fitting.scored_weights, scale)

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """Run freely for `steps` steps after `history` `[time, channel]`: `[steps, channel]`.

        Values before the start of a history shorter than the context count as zero.
        """
        if self.architecture is None:
            return np.zeros((steps, history.shape[1]))
        context = np.zeros((self.architecture.context_steps, history.shape[1]))
        known = history[-len(context) :] / self.scale
        context[len(context) - len(known) :] = known
        form = CLOSED_FORMS[self.cell](self.architecture, history.shape[1])
        run = form.free_run(
            self.weights, torch.from_numpy(context).view(1, 1, *context.shape), steps
        )
        forecast: FloatArray = clipped(run)[0, 0].numpy() * self.scale
        return forecast


# Nothing here is trained; a closed form looks at what stands below `time_reversal` alone.
STRATEGY = Strategy(
    rollout_steps=1,
    teacher_weight=1.0,
    curriculum_fraction=0.0,
    input_noise_std=0.0,
    feedback_noise_std=0.0,
    output_noise_std=0.0,
    label_noise_std=0.0,
    learning_rate=1.0,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="constant",
    training_steps=1,
    batch_size=1,
    time_reversal=True,
    offset=False,
    regularisation="held-out",
)
