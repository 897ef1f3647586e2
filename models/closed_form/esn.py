"""The echo state network: a fixed random recurrent network with a fitted readout."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from models.candidate import Strategy
from models.closed_form.closed_form import (
    BLOCK_ROWS,
    ClosedForm,
    Fixed,
    FloatArray,
    Solutions,
    directions,
)
from models.closed_form.ridge import STRENGTHS, Block, Ridge
from models.freerun import CLIP_STD

IndexArray = NDArray[np.intp]

# Applications of the connections that their spectral radius is measured by, the first ones left
# out: growth by step settles to within about one part in their number.
GROWTH_STEPS = 400
SETTLING_STEPS = 100


class ESN(ClosedForm):
    """s' = (1 - a) s + a tanh(W s + B x + b); the forecast is w' (1, x, s').

    Jaeger (2001), "The echo state approach to analysing and training recurrent neural networks",
    with the leaky units of Lukosevicius (2012), "A practical guide to applying echo state
    networks". Each of the `units` reads `fan_in` others, and W is scaled to its
    `spectral_radius`. What is forecast is read as the next input: the paper's output feedback.
    The first `context_steps` states of the training span are the washout, and not fitted; as many
    values warm up a free run. Without `Strategy.offset` the readout has no constant.
    """

    levels = STRENGTHS
    is_random = True

    @property
    def features(self) -> int:
        return 1 + self.channels + self.architecture.units

    def fixed_shapes(self) -> dict[str, tuple[int, ...]]:
        units, links = self.architecture.units, self.links
        return {
            "sources": (links, units),
            "connections": (links, units),
            "input": (self.channels, units),
            "bias": (1, units),
            "leak_rate": (1, 1),
        }

    @property
    def links(self) -> int:
        """How many units each unit reads."""
        return min(self.architecture.fan_in, self.architecture.units)

    def fix(self, strategy: Strategy, generator: Generator) -> Fixed:
        units = self.architecture.units

        def uniform(*shape: int) -> FloatArray:
            drawn = torch.rand(*shape, generator=generator, dtype=self.dtype)
            values: FloatArray = (2.0 * drawn - 1.0).numpy()
            return values

        # Permutations, so that every unit is read as often as any other.
        sources = np.stack(
            [torch.randperm(units, generator=generator).numpy() for _ in range(self.links)]
        ).astype(np.intp)
        connections = uniform(self.links, units)
        radius = spectral_radius(sources, connections, uniform(1, units))
        if radius > 0.0:
            connections *= strategy.spectral_radius / radius
        return {
            "sources": sources.astype(np.float64),
            "connections": connections,
            "input": strategy.input_scaling * uniform(self.channels, units),
            "bias": strategy.bias_scaling * uniform(1, units),
            "leak_rate": np.full((1, 1), strategy.leak_rate),
        }

    def factorise(self, series: FloatArray, strategy: Strategy, fixed: Fixed) -> Solutions:
        def blocks() -> Iterator[Block]:
            for direction in directions(series, strategy):
                yield from self._harvest(direction, fixed, float(strategy.offset))

        latest = slice(1, 1 + self.channels) if self.architecture.residual else None
        return Ridge.of(blocks(), latest)

    def _harvest(self, series: FloatArray, fixed: Fixed, constant: float) -> Iterator[Block]:
        """Blocks of features after the washout, and the values that follow."""
        reservoir = Reservoir(fixed, runs=1)
        washout, last = self.architecture.context_steps - 1, len(series) - 1
        for value in series[:washout]:
            reservoir.read(value[np.newaxis])
        for first in range(washout, last, BLOCK_ROWS):
            values = series[first : min(first + BLOCK_ROWS, last)]
            features = np.empty((len(values), self.features))
            features[:, 0] = constant
            features[:, 1 : 1 + self.channels] = values
            for row, value in zip(features, values, strict=True):
                row[1 + self.channels :] = reservoir.read(value[np.newaxis])[0]
            yield features, series[first + 1 : first + 1 + len(values)]

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        reservoir = Reservoir(fixed, runs=len(context))
        by_channel = np.ascontiguousarray(coefficients.transpose(0, 2, 1))
        features = np.ones((len(context), self.features))
        forecasts = np.empty((len(context), steps, self.channels))
        for value in context[:, :-1].transpose(1, 0, 2):
            reservoir.read(value)
        value = context[:, -1]
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                features[:, 1 : 1 + self.channels] = value
                features[:, 1 + self.channels :] = reservoir.read(value)
                forecast = np.vecdot(features[:, np.newaxis], by_channel)
                value = np.minimum(np.maximum(forecast, -CLIP_STD), CLIP_STD)
                forecasts[:, step] = value
        return forecasts

    def given_level(self, strategy: Strategy) -> float:
        return strategy.ridge


class Reservoir:
    """The states `[run, unit]` of one member's reservoir in several runs, from zero."""

    def __init__(self, fixed: Fixed, runs: int) -> None:
        self.sources = fixed["sources"].astype(np.intp)
        self.connections = fixed["connections"]
        self.input, self.bias = fixed["input"], fixed["bias"]
        self.leak_rate = float(fixed["leak_rate"][0, 0])
        self.states = np.zeros((runs, self.sources.shape[1]))

    def read(self, values: FloatArray) -> FloatArray:
        """Read a value `[run, channel]` each; return the new states."""
        drive = recurrent(self.states, self.sources, self.connections) + self.bias
        for channel, weights in enumerate(self.input):
            drive += values[:, channel : channel + 1] * weights
        new = self.leak_rate * np.tanh(drive)
        self.states = new if self.leak_rate == 1.0 else new + (1.0 - self.leak_rate) * self.states
        return self.states


def recurrent(states: FloatArray, sources: IndexArray, connections: FloatArray) -> FloatArray:
    """W s for states `[run, unit]`: the sum over links of connection times the unit it reads."""
    read = states.take(sources, axis=1, mode="clip")
    driven: FloatArray = np.einsum("rlu,lu->ru", read, connections)
    return driven


def spectral_radius(sources: IndexArray, connections: FloatArray, start: FloatArray) -> float:
    """About the largest modulus of an eigenvalue, by how fast `start` `[1, unit]` grows.

    The mean growth by step is that modulus also where a complex pair or several are the largest. A
    full eigendecomposition would cost more than all the rest of a fit.
    """
    vector, log_growth = start, 0.0
    for step in range(GROWTH_STEPS):
        vector = recurrent(vector, sources, connections)
        length = float(np.sqrt(np.square(vector).sum()))
        if length == 0.0:
            return 0.0
        vector = vector / length
        log_growth += np.log(length) if step >= SETTLING_STEPS else 0.0
    return float(np.exp(log_growth / (GROWTH_STEPS - SETTLING_STEPS)))
