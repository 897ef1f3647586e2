"""The Mackey-Glass equation, the usual benchmark of forecasters on chaos."""

import math
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field

from search.errors import SeriesError
from search.series.source import Draw, FloatArray, GeneratedSource, Purpose, random_generator

# Constant histories lie around the unstable fixed point of the usual parameters, 1.
HISTORY_RANGE = (0.5, 1.5)
# A piece of the solution is a Chebyshev series of this degree, over at most so many times the
# fastest time scale: its coefficients then fall to the rounding of doubles.
DEGREE = 32
PIECE_SCALES = 4.0
# The variance of the signal is taken over so many samples.
VARIANCE_STEPS = 20_000
LEAST_VARIANCE = 1e-6


class MackeyGlassSeries(GeneratedSource):
    """x'(t) = beta x(t - tau) / (1 + x(t - tau)^exponent) - gamma x(t), sampled, plus noise.

    Mackey & Glass (1977), "Oscillation and chaos in physiological control systems". A draw starts
    from a constant history of its own, uniform from 0.5 to 1.5, and reaches the attractor before
    it is sampled, at a place of its own.

    The equation is solved by the method of steps: over each piece, whose delayed values are known,
    it is linear, and its integral is that of a Chebyshev series, by numpy.polynomial. Pieces
    divide the delay, so that the kinks of the solution at multiples of tau lie between them.
    """

    source: Literal["mackey_glass"] = "mackey_glass"
    # The bounds keep the pieces few, and the values finite: x stays below max(1.5, beta / gamma).
    tau: float = Field(17.0, ge=1, le=1000, description="The delay.")
    beta: float = Field(0.2, ge=0.001, le=10, description="The rate of production.")
    gamma: float = Field(0.1, ge=0.001, le=10, description="The rate of decay.")
    exponent: float = Field(10.0, ge=1, le=50, description="How steeply production saturates.")
    sample_step: float = Field(1.0, ge=0.01, le=100, description="The time between two samples.")
    washout: float = Field(1000.0, ge=0, le=10_000, description="The time before the first one.")
    noise_std: float = Field(0.0, ge=0, le=1e6, description="Of the normal noise on each value.")

    @property
    def signal_variance(self) -> float:
        """The long-run variance of the noise-free signal, over samples from the history 1.2.

        It is 0.051 for the usual parameters. Raises SeriesError for parameters with which the
        equation comes to rest.
        """
        variance = _variance(self.model_copy(update={"noise_std": 0.0}))
        if variance > LEAST_VARIANCE:
            return variance
        raise SeriesError(
            f"the Mackey-Glass equation must oscillate, but comes to rest with tau = {self.tau:g}, "
            f"beta = {self.beta:g}, gamma = {self.gamma:g} and exponent = {self.exponent:g}; "
            "lengthen tau"
        )

    def draw(self, study_seed: int, purpose: Purpose, index: int, steps: int) -> Draw:
        generator = random_generator(study_seed, purpose, index)
        signal = self.signal(generator.uniform(*HISTORY_RANGE), steps)[:, np.newaxis]
        noise = self.noise_std * generator.standard_normal((steps, 1))
        return Draw(values=signal + noise, signal=signal)

    def signal(self, history: float, steps: int) -> FloatArray:
        """Return `steps` samples [step] of the solution that was `history` until time 0."""
        pieces = self._pieces
        times = self.washout + self.sample_step * np.arange(steps)
        piece = np.floor(times / pieces.length).astype(np.intp)
        # The nodes of as many pieces as the delay has, the oldest of which is always replaced.
        nodes, start = np.full((pieces.per_delay, DEGREE + 1), history), history
        coefficients = np.empty((steps, DEGREE + 1))
        done = 0
        for number in range(int(piece[-1]) + 1):
            delayed = nodes[number % len(nodes)]
            growth = self.beta * delayed / (1.0 + delayed**self.exponent) * pieces.growth
            solved = pieces.decay * (start + pieces.integral @ growth)
            start = float(pieces.last_decay * (start + pieces.whole @ growth))
            nodes[number % len(nodes)] = solved
            ended = int(np.searchsorted(piece, number, side="right"))
            if ended > done:
                coefficients[done:ended] = pieces.transform @ solved
                done = ended
        place = 2.0 * (times / pieces.length - piece) - 1.0
        # Row by row: a matrix product would round a row by how many there are.
        samples: FloatArray = (chebyshev.chebvander(place, DEGREE) * coefficients).sum(axis=1)
        return samples

    @cached_property
    def _pieces(self) -> "_Pieces":
        steepest = self.beta * max(1.0, (self.exponent - 1.0) ** 2 / (4.0 * self.exponent))
        per_delay = math.ceil(self.tau * (self.gamma + steepest) / PIECE_SCALES)
        return _Pieces(self.tau / per_delay, per_delay, self.gamma)


class _Pieces:
    """What all pieces of a solution share, each a Chebyshev series by its values at the nodes.

    length: of a piece. per_delay: how many make one delay. transform: from values at the nodes to
    coefficients; integral: to the integral from the piece's start to each node; whole: to its end.
    growth, decay: exp(+-gamma t) at the nodes, t counted from the piece's start.
    """

    def __init__(self, length: float, per_delay: int, gamma: float) -> None:
        self.length, self.per_delay = length, per_delay
        nodes = chebyshev.chebpts1(DEGREE + 1)
        self.transform = np.linalg.inv(chebyshev.chebvander(nodes, DEGREE))
        integrated = chebyshev.chebint(self.transform, lbnd=-1, axis=0) * (length / 2.0)
        self.integral = chebyshev.chebvander(nodes, DEGREE + 1) @ integrated
        self.whole = chebyshev.chebvander(np.ones(1), DEGREE + 1)[0] @ integrated
        times = (nodes + 1.0) * (length / 2.0)
        self.growth, self.decay = np.exp(gamma * times), np.exp(-gamma * times)
        self.last_decay = math.exp(-gamma * length)


@cache
def _variance(series: MackeyGlassSeries) -> float:
    return float(series.signal(1.2, VARIANCE_STEPS).var())
