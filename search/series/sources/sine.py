"""The noisy sine."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from search.series.source import Draw, GeneratedSource, Purpose, random_generator


def _check_phase(phase: object) -> object:
    """One message for both kinds that a phase may be of, where a plain union would give two."""
    is_number = isinstance(phase, int | float) and not isinstance(phase, bool)
    if phase == "random" or (is_number and abs(phase) <= 1e6):  # type: ignore[arg-type]
        return phase
    got = f'"{phase}"' if isinstance(phase, str) else phase
    raise ValueError(f'must be "random" or a number of radians, but got {got}; write phase = 0.0')


class SineSeries(GeneratedSource):
    """x_t = amplitude * sin(angular_frequency * t + phase) + N(0, noise_std²) for t = 1, 2, ..."""

    source: Literal["sine"] = "sine"
    # The bounds keep variances well inside what float32 training can hold.
    amplitude: float = Field(1.0, ge=1e-6, le=1e6, description="Of the noise-free sine.")
    angular_frequency: float = Field(0.01, ge=1e-6, lt=math.pi, description="Radians per step.")
    noise_std: float = Field(0.2, ge=0, le=1e6, description="Of the normal noise on each value.")
    phase: Annotated[float | Literal["random"], BeforeValidator(_check_phase)] = Field(
        "random", description='Radians, or "random": uniform on the circle, anew for each draw.'
    )

    @property
    def signal_variance(self) -> float:
        """The variance of the noise-free sine over whole periods."""
        return self.amplitude**2 / 2

    def draw(self, study_seed: int, purpose: Purpose, index: int, steps: int) -> Draw:
        """Return a draw; see `GeneratedSource`.

        Series that differ only in amplitude, frequency, noise_std or a fixed phase use the same
        random numbers.
        """
        generator = random_generator(study_seed, purpose, index)
        random_phase = generator.uniform(0, 2 * math.pi)  # drawn first, even if it is not used
        phase = random_phase if self.phase == "random" else self.phase
        # math.sin, since numpy's vectorised sine may round by position in the array, and then a
        # longer draw would not begin with the shorter one.
        angles = (self.angular_frequency * t + phase for t in range(1, steps + 1))
        sines = (self.amplitude * math.sin(angle) for angle in angles)
        signal = np.fromiter(sines, dtype=np.float64, count=steps)[:, np.newaxis].copy()
        noise = self.noise_std * generator.standard_normal((steps, 1))
        return Draw(values=signal + noise, signal=signal)
