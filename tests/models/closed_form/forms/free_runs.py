"""Series and free runs that the tests of several closed forms share."""

import numpy as np
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm

FloatArray = NDArray[np.float64]


def coefficients_of(candidate: FittedForm, *pieces: FloatArray) -> FloatArray:
    """What a form without fixed numbers fits to pieces `[time, channel]`, at the given level."""
    form = candidate.form
    return form.factorise(pieces, candidate, {}).at(form.given_level)


def continued(candidate: FittedForm, series: FloatArray, steps: int) -> FloatArray:
    """The free run `[step, channel]` after the series that a form was fitted to."""
    form, coefficients = candidate.form, coefficients_of(candidate, series)
    shown = series[None, -form.context_steps :]
    run: FloatArray = form.run({}, coefficients[None], shown, steps)[0]
    return run


def walk(steps: int, channels: int = 1, seed: int = 0) -> FloatArray:
    """A random walk `[time, channel]`."""
    return np.random.default_rng(seed).normal(size=(steps, channels)).cumsum(axis=0) / 5


def check_company(candidate: FittedForm, fitted_steps: int, channels: int, place: int) -> None:
    """A free run is the same, bit for bit, alone and among 80."""
    form, coefficients = candidate.form, coefficients_of(candidate, walk(fitted_steps, channels))
    series, known = walk(200, channels, seed=1), form.context_steps
    contexts = np.stack([series[start : start + known] for start in range(80)])
    shared = np.broadcast_to(coefficients, (80, *coefficients.shape))
    together = form.run({}, shared, contexts, 21)
    alone = form.run({}, coefficients[None], contexts[place : place + 1], 21)
    np.testing.assert_array_equal(together[place], alone[0])
