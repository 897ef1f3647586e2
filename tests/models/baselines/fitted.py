"""Baselines fitted and run as candidates are, without a study around them."""

from models.baselines.baseline import FloatArray, baselines
from models.candidate import Candidate, candidate_of
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.network.options.shape import Scaling
from models.tensors import clipped, torch


def candidate_for(name: str, training: FloatArray) -> FittedForm:
    """The candidate that a baseline is on a training span."""
    candidate: Candidate = candidate_of(baselines()[name].settings_for(training))
    assert isinstance(candidate, FittedForm)
    return candidate


def forecast(name: str, training: FloatArray, steps: int) -> FloatArray:
    """The free run `[step, channel]` of a baseline after the span on which it is fitted."""
    candidate = candidate_for(name, training)
    mean, std = training.mean(axis=0), training.std(axis=0)
    if not candidate[Scaling].offset:
        mean, std = 0.0 * mean, (mean**2 + std**2) ** 0.5
    scaled = torch.from_numpy((training - mean) / std)[None]
    fitting = Fitting([Member(candidate, series=0, seed=0)], scaled)
    for _ in fitting:
        pass
    context = scaled[:, None, len(training) - candidate.form.context_steps :]
    run = clipped(fitting.forecaster.free_run(fitting.scored_weights, context, steps))
    values: FloatArray = run[0, 0].numpy() * std + mean
    return values
