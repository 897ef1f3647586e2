"""Units: what is read comes back, whatever is done to a series before it is standardised."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.candidate import candidate_of
from models.methods import MethodSet
from models.training.trained_network import TrainedNetwork
from models.units import Units, box_cox_power

FloatArray = NDArray[np.float64]


def methods(
    power: str = "none", lag: int = 0, seasons: int = 1, *, offset: bool = True
) -> MethodSet:
    return candidate_of(
        {
            "cell": "ar",
            "ar_order": 2,
            "power_transform": power,
            "seasonal_lag": lag,
            "lag_seasons": seasons if lag else 1,
            "offset": offset,
            "regularisation": "held-out",
        }
    )


def series(steps: int, channels: int, seed: int, level: float = 1.0) -> FloatArray:
    generator = np.random.default_rng(seed)
    return level * np.exp(0.3 * generator.normal(size=(steps, channels)).cumsum(axis=0) / 4)


@settings(deadline=None, max_examples=60)
@given(
    power=st.sampled_from(["none", "log", "box-cox"]),
    lag=st.integers(0, 9),
    seasons=st.integers(1, 3),
    offset=st.booleans(),
    channels=st.integers(1, 2),
    steps=st.integers(1, 25),
    seed=st.integers(0, 99),
    level=st.sampled_from([1e-6, 1.0, 1e9]),
)
def test_a_free_run_that_knows_the_changes_is_the_series_itself(
    power: str,
    lag: int,
    seasons: int,
    offset: bool,
    channels: int,
    steps: int,
    seed: int,
    level: float,
) -> None:
    values = series(60, channels, seed, level)
    units = Units.of(methods(power, lag, seasons, offset=offset), [values[:40], values[32:]])
    assert units.lag == lag * (seasons if lag else 1)
    whole = values[None, None]
    read = units.read(whole)
    assert read.shape == (1, 1, 60 - units.lag, channels)
    first = 60 - steps
    run = units.written(read[:, :, first - units.lag :], whole[:, :, :first])
    np.testing.assert_allclose(run, whole[:, :, first:], rtol=1e-8)
    beside = units.written_beside(
        read[:, :, first - units.lag :], whole[:, :, :first], whole[:, :, first:]
    )
    np.testing.assert_allclose(beside, whole[:, :, first:], rtol=1e-8)


@pytest.mark.parametrize("power", ["none", "log", "box-cox"])
@pytest.mark.parametrize("lag", [0, 7])
@pytest.mark.parametrize("level", [1e-6, 1.0, 1e9])
def test_training_spans_have_the_mean_zero_and_the_deviation_one(
    power: str, lag: int, level: float
) -> None:
    pieces = [series(50, 2, 1, level), series(30, 2, 2, level)]
    units = Units.of(methods(power, lag), pieces)
    read = np.concatenate([units.read(piece[None, None])[0, 0] for piece in pieces])
    np.testing.assert_allclose(read.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(read.std(axis=0), 1)


def test_known_inputs_are_standardised_by_the_rows_of_the_pieces(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """Rows before a piece, which lags alone read, do not count."""
    generator = np.random.default_rng(3)
    known = [generator.normal(size=(57, 2)), generator.normal(size=(30, 2))]
    pieces = [series(50, 1, 1), series(30, 1, 2)]
    units = Units.of(make_candidate(cell="gru", known_inputs=True), pieces, known)
    rows = np.concatenate([known[0][7:], known[1]])
    assert units.known_shift == pytest.approx(rows.mean(axis=0)[None])
    assert units.known_scale == pytest.approx(rows.std(axis=0)[None])


def test_without_an_offset_zero_stays_zero() -> None:
    units = Units.of(methods(lag=3, offset=False), [series(50, 1, 1)])
    constant = np.full((1, 1, 10, 1), 5.0)
    np.testing.assert_array_equal(units.read(constant), np.zeros((1, 1, 7, 1)))


def test_members_have_units_of_their_own() -> None:
    spans = [series(50, 1, seed) for seed in range(3)]
    own = [Units.of(methods("log", 4), [span]) for span in spans]
    both = Units.joined(own)
    values = np.stack(spans)[:, None]
    for member, units in enumerate(own):
        alone = units.read(values[member : member + 1])
        np.testing.assert_array_equal(both.read(values)[member : member + 1], alone)
        np.testing.assert_array_equal(both.rows([member]).read(values[[member]]), alone)


def test_values_below_zero_have_no_power() -> None:
    with pytest.raises(ValueError, match=r"power_transform must be none .* 'log' and the value -1"):
        Units.of(methods("log"), [np.array([[2.0], [-1.0], [3.0]])])


def test_a_context_with_values_below_zero_is_read_as_far_below_all_others() -> None:
    units = Units.of(methods("log"), [series(50, 1, 0)])
    read = units.read(np.array([[[[-3.0], [0.0], [1.0]]]]))[0, 0, :, 0]
    np.testing.assert_array_equal(read[:2], [-10.0, -10.0])
    assert abs(read[2]) < 10


@pytest.mark.parametrize("lag", [0, 2])
def test_what_no_float_holds_is_not_finite(lag: int) -> None:
    """It must not look like a number that was forecast."""
    units = Units.of(methods("log", lag), [series(50, 1, 0)])
    run = np.array([0.0, 1e6, 0.0, np.inf, 0.0])[None, None, :, None]
    written = units.written(run, np.ones((1, 1, 2, 1)))[0, 0, :, 0]
    assert np.isfinite(written[0])
    assert not np.isfinite(written[[1, 3]]).any()


@pytest.mark.parametrize("power", [0.0, 0.5, -0.5, 1.0])
def test_the_power_that_makes_values_gaussian_is_found(power: float) -> None:
    gaussian = 5 + 0.8 * np.random.default_rng(0).normal(size=20_000)
    values = np.exp(gaussian / 5) if power == 0 else gaussian ** (1 / power)
    assert box_cox_power(values) == pytest.approx(power, abs=0.16)
