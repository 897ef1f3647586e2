"""The error by horizon step as a table."""

import io

import numpy as np

from search.series import FloatArray


def curve_csv(curve: FloatArray) -> bytes:
    """NMSE by horizon step `[horizon]` as CSV, five significant digits."""
    rows = (f"{step},{error:.5g}\n" for step, error in enumerate(curve, start=1))
    return ("horizon_step,nmse\n" + "".join(rows)).encode()


def read_curve_csv(content: bytes) -> FloatArray:
    """The curve that `curve_csv` wrote, `[horizon]`."""
    table = np.genfromtxt(io.BytesIO(content), delimiter=",", skip_header=1, ndmin=2)
    return np.asarray(table[:, 1], dtype=np.float64)
