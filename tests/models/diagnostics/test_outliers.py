"""Which values lie far off their neighbours, and a series without them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.diagnostics.outliers import outliers, without_outliers
from models.diagnostics.scores import FloatArray


def wave(steps: int, period: int) -> FloatArray:
    values: FloatArray = np.sin(np.arange(steps) * 2 * np.pi / period)
    return values


def test_outliers_are_values_far_off_their_neighbours() -> None:
    values = wave(300, 24)
    assert outliers(values) == []
    values[[40, 200]] = [60.0, -500.0]
    assert outliers(values) == [200, 40]
    spikes = np.zeros(300)
    spikes[::24] = 5.0
    assert outliers(spikes) == []  # the shape of the series
    assert outliers(np.array([0.0, 1.0, 90.0])) == []


def test_outliers_become_what_is_beside_them_and_nothing_else_changes() -> None:
    values = np.stack([wave(300, 24), wave(300, 12)], axis=1)
    damaged = values.copy()
    damaged[40, 1] = 999.0
    calm = without_outliers(damaged)
    assert abs(calm[40, 1]) <= 1
    calm[40, 1] = values[40, 1]
    np.testing.assert_array_equal(calm, values)
    assert damaged[40, 1] == 999.0


@given(arrays(np.float64, (40, 2), elements=st.floats(-1e6, 1e6)))
def test_a_series_without_outliers_is_itself(values: FloatArray) -> None:
    has_some = any(outliers(channel) for channel in values.T)
    assert (without_outliers(values) is values) is not has_some
