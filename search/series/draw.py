"""One realisation of a generated series, and the random numbers that it is made from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]  # [time, channel] wherever it holds a series

Purpose = Literal["search", "final", "test", "benchmark", "transfer"]

# Part of every seed: a number, once given to a purpose, stays.
_PURPOSE_KEYS: dict[Purpose, int] = {
    "search": 0,
    "final": 1,
    "test": 2,
    "benchmark": 3,
    "transfer": 4,
}


@dataclass(frozen=True, eq=False)
class Draw:
    """One realisation of a series.

    values: [time, channel], as observed.
    signal: [time, channel], noise-free; None where it is not known.
    """

    values: FloatArray
    signal: FloatArray | None


def random_generator(study_seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Return the generator of draw `index` of a purpose; no two of the three keys share a stream.

    study_seed, index: at least 0. The stream depends on nothing else.
    """
    sequence = np.random.SeedSequence(study_seed, spawn_key=(_PURPOSE_KEYS[purpose], index))
    # PCG64 by name: numpy may change what default_rng() returns.
    return np.random.Generator(np.random.PCG64(sequence))
