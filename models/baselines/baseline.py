"""What every baseline provides: the closed form that it is, with settings that follow the span."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.methods import Method, Scalar, methods

FloatArray = NDArray[np.float64]  # [time, channel]


class Baseline(Method):
    """A forecaster with nothing to search: a closed form whose settings are stated.

    It is fitted, scored, exported and retrained as any candidate is.
    """

    kind = "baseline"
    is_open = True
    is_of_candidates = False

    # Its name in a sentence or a legend; the label is its name in full.
    short_label: ClassVar[str]

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        """The settings of the candidate for a training span `[time, channel]` of finite values.

        periods: of its seasons, as far as they are known. The candidate may need a longer span than
        this one; then there is no such baseline.
        """
        raise NotImplementedError


def baselines() -> dict[str, type[Baseline]]:
    """All baselines by their names."""
    return {m.name: m for m in methods() if issubclass(m, Baseline)}
