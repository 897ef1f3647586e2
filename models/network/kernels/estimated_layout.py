"""Where everything of one member lies whose state is estimated by least squares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.network.forecaster import Forecaster
from models.network.kernels.layout import INSTANCE_NORMS, padded

# Counts and choices; choices are 0 or 1.
SIZES = (
    "modes",
    "numbers",  # of a state: real parts of all modes, then imaginary parts
    "padded",  # numbers with their padding
    "channels",
    "batch",  # subsequences
    "wide",  # subsequences with padding
    "warm_up",  # steps that a state is estimated from
    "steps",  # those, and the steps of the run after them
    "true_steps",  # whose truth is known
    "one_step_from",  # the first step that is put out
    "instance_norm",  # its number in `INSTANCE_NORMS`
    "has_input_noise",
    "has_label_noise",
    "has_output_noise",
)
# Where they begin among the parameters.
PARAMETERS = {
    "of_nu": "cell.0.nu",
    "of_theta": "cell.0.theta",
    "of_ridge": "state.log_ridge",
    "of_readout": "head.0.weight",
    "of_offset": "head.0.bias",
}
# Where things begin in a member's array.
PLACES = (
    "powers",  # of the eigenvalues, `[time, number]`
    "rows",  # what a state is multiplied with, `[time, channel, number]`
    "d_rows",  # their gradient
    "truth",  # `[time, channel, subsequence]`
    "deviations",  # what the state is fitted to, `[time, channel, subsequence]` of the warm-up
    "outputs",  # `[time, channel, subsequence]`, in training replaced by their gradients
    "factor",  # Cholesky's factor of the Gram matrix, `[number, number]`
    "d_gram",  # the gradient of the Gram matrix and its transpose
    "states",  # `[number, subsequence]`
    "d_moments",  # the gradient of the equations' right sides
    "states_t",  # transposes, `[subsequence, number]`
    "d_moments_t",
    "level",  # of an instance norm, `[channel, subsequence]`
    "std",
    "power",  # the mean of the Gram matrix's diagonal
    "zeros",  # a row
    "sums",  # a row
)
RECORD = np.dtype([(n, np.int64) for n in (*SIZES, *PARAMETERS, *(f"at_{p}" for p in PLACES))])


@dataclass(frozen=True, eq=False)
class EstimatedLayout:
    """Sizes and places: one record of `RECORD`, and the numbers in a member's array."""

    record: NDArray[np.void]
    size: int

    @classmethod
    def of(cls, forecaster: Forecaster, **more: int) -> "EstimatedLayout":
        """The layout for a forecaster.

        more: those of `SIZES` that it does not give; what is not named is zero.
        """
        offsets, modes = forecaster.layout().offsets, forecaster.cell.units
        record = np.zeros(1, dtype=RECORD)
        sizes = {
            "modes": modes,
            "numbers": 2 * modes,
            "padded": padded(2 * modes),
            "channels": forecaster.channels,
            "wide": padded(more["batch"]),
            "instance_norm": INSTANCE_NORMS.index(forecaster.architecture.instance_level),
            **{of: offsets[name] for of, name in PARAMETERS.items()},
            **more,
        }
        for name, value in sizes.items():
            record[name] = value
        end = 0
        for name, numbers in _room(sizes).items():
            record[f"at_{name}"] = end
            end += padded(numbers)
        return cls(record, end)


def _room(s: dict[str, int]) -> dict[str, int]:
    """How many numbers each of `PLACES` needs."""
    rows, square = s["steps"] * s["channels"], s["numbers"] * s["padded"]
    matrix, transposed = s["numbers"] * s["wide"], s["wide"] * s["padded"]
    return {
        "powers": s["steps"] * s["numbers"],
        "rows": rows * s["padded"],
        "d_rows": rows * s["padded"],
        "truth": rows * s["wide"],
        "deviations": s["warm_up"] * s["channels"] * s["wide"],
        "outputs": rows * s["wide"],
        "factor": square,
        "d_gram": square,
        "states": matrix,
        "d_moments": matrix,
        "states_t": transposed,
        "d_moments_t": transposed,
        "level": s["channels"] * s["wide"],
        "std": s["channels"] * s["wide"],
        "power": 1,
        "zeros": max(s["padded"], s["wide"]),
        "sums": max(s["padded"], s["wide"]),
    }
