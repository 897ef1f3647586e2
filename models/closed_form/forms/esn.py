"""The echo state network: a fixed random recurrent network with a fitted readout."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.closed_form.closed_form import (
    BLOCK_ROWS,
    FittedForm,
    Fixed,
    FloatArray,
    RidgeForm,
    Solutions,
    half_of_span,
)
from models.closed_form.ridge import Block, Ridge
from models.methods import Choices, FloatRange, Real, Stage, Whole, counted, setting
from models.methods.values import SHARE
from models.network.options.context import warm_up_steps
from models.network.options.shape import Residual
from models.tensors import RUN_BOUND, Generator, torch

IndexArray = NDArray[np.intp]

# Applications of the connections that their spectral radius is measured by, the first ones left
# out: growth by step settles to within about one part in their number.
GROWTH_STEPS = 400
SETTLING_STEPS = 100


class ESN(
    RidgeForm,
    name="esn",
    label="echo state network",
    source="Jaeger (2001); Lukosevicius (2012) for leaky units",
    rank=11,
):
    """The echo state network: a fixed random recurrent network with a fitted readout.

    s' = (1 - a) s + a tanh(W s + B x + b); the forecast is w' (1, x, s'). Each unit reads `fan_in`
    others, and W is scaled to its spectral radius. What is forecast is read as the next input: the
    output feedback of the paper. The first `warm_up_steps` states of the training span, or of
    each of its pieces, are the washout, and not fitted; as many values warm up a free run. Without
    an offset the readout has no constant.
    """

    is_random = True
    suits_noise_free = True

    context: int = warm_up_steps(Stage.CONTEXT, most=half_of_span)
    units: int = setting(
        Whole(1, 4096),
        Choices((100, 200, 400)),
        "Units of an echo state network.",
        shared=True,
        name="reservoir_units",
    )
    fan_in: int = setting(
        Whole(1, 4096),
        Choices((10,)),
        "Units that each unit of an echo state network reads.",
        neutral=1,
        shared=True,
    )
    spectral_radius: float = setting(
        Real(0, 100),
        FloatRange(0.4, 1.4),
        "The spectral radius of the connections of an echo state network.",
        neutral=1.0,
    )
    input_scaling: float = setting(
        Real(0, 100),
        FloatRange(0.05, 2.0, log=True),
        "The bound of random weights from the series to an echo state network.",
        neutral=1.0,
    )
    bias_scaling: float = setting(
        Real(0, 100),
        FloatRange(0.0, 1.0),
        "The bound of random biases of an echo state network.",
        neutral=0.0,
        without="none",
    )
    leak_rate: float = setting(
        SHARE,
        FloatRange(0.1, 1.0),
        "Leak rate a in s' = (1 - a) s + a tanh(...).",
        neutral=1.0,
    )

    @property
    def context_steps(self) -> int:
        return self.context

    @property
    def links(self) -> int:
        """How many units each unit reads."""
        return min(self.fan_in, self.units)

    def features(self, channels: int) -> int:
        return 1 + channels + self.units

    def walks(self, directions: int) -> int:
        # The span is harvested for the fit of its first part and for that of all.
        return 2 * directions + 1

    def size(self) -> str:
        return f"{counted(self.units, 'unit')}, warm-up of {self.context}"

    def fixed_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {
            "sources": (self.links, self.units),
            "connections": (self.links, self.units),
            "input": (channels, self.units),
            "bias": (1, self.units),
            "leak_rate": (1, 1),
        }

    def fix(self, channels: int, generator: Generator) -> Fixed:
        units = self.units

        def uniform(*shape: int) -> FloatArray:
            drawn = torch.rand(*shape, generator=generator, dtype=torch.float64)
            values: FloatArray = (2.0 * drawn - 1.0).numpy()
            return values

        # Permutations, so that every unit is read as often as any other.
        sources = np.stack(
            [torch.randperm(units, generator=generator).numpy() for _ in range(self.links)]
        ).astype(np.intp)
        connections = uniform(self.links, units)
        radius = spectral_radius(sources, connections, uniform(1, units))
        if radius > 0.0:
            connections *= self.spectral_radius / radius
        return {
            "sources": sources.astype(np.float64),
            "connections": connections,
            "input": self.input_scaling * uniform(channels, units),
            "bias": self.bias_scaling * uniform(1, units),
            "leak_rate": np.full((1, 1), self.leak_rate),
        }

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        def blocks() -> Iterator[Block]:
            for stretch in candidate.stretches(pieces):
                yield from self._harvest(stretch, fixed, candidate.constant)

        latest = slice(1, 1 + pieces[0].shape[1]) if candidate[Residual].residual else None
        return Ridge.of(blocks(), latest)

    def _harvest(self, series: FloatArray, fixed: Fixed, constant: float) -> Iterator[Block]:
        """Blocks of features after the washout, and the values that follow."""
        reservoir, channels = Reservoir(fixed, runs=1), series.shape[1]
        washout, last = self.context_steps - 1, len(series) - 1
        for value in series[:washout]:
            reservoir.read(value[np.newaxis])
        for first in range(washout, last, BLOCK_ROWS):
            values = series[first : min(first + BLOCK_ROWS, last)]
            features = np.empty((len(values), self.features(channels)))
            features[:, 0] = constant
            features[:, 1 : 1 + channels] = values
            for row, value in zip(features, values, strict=True):
                row[1 + channels :] = reservoir.read(value[np.newaxis])[0]
            yield features, series[first + 1 : first + 1 + len(values)]

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        reservoir, channels = Reservoir(fixed, runs=len(context)), context.shape[2]
        by_channel = np.ascontiguousarray(coefficients.transpose(0, 2, 1))
        features = np.ones((len(context), self.features(channels)))
        forecasts = np.empty((len(context), steps, channels))
        for value in context[:, :-1].transpose(1, 0, 2):
            reservoir.read(value)
        value = context[:, -1]
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                features[:, 1 : 1 + channels] = value
                features[:, 1 + channels :] = reservoir.read(value)
                forecast = np.vecdot(features[:, np.newaxis], by_channel)
                value = np.minimum(np.maximum(forecast, -RUN_BOUND), RUN_BOUND)
                forecasts[:, step] = value
        return forecasts


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
