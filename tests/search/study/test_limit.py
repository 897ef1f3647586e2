import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.errors import UsageError
from search.series import FloatArray, SineSeries
from search.study.limit import (
    ContextLimit,
    checked_samples,
    compared_with_floor,
    context_limit,
    sine_limit,
)

REPORT = SineSeries(amplitude=1.0, angular_frequency=0.01, noise_std=0.2)


def simulated(
    series: SineSeries, samples: int, horizon_steps: int, draws: int
) -> tuple[FloatArray, FloatArray]:
    """Plain Monte Carlo over draws of the series itself, with a posterior over 720 phases.

    Returns per draw the squared error of the posterior mean forecast, and the posterior variance
    of the signal, both the mean over the horizon, divided by the signal's variance.
    """
    phases = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    times = np.arange(1, samples + horizon_steps + 1)
    curves = series.amplitude * np.sin(series.angular_frequency * times + phases[:, np.newaxis])
    errors, variances = np.empty(draws), np.empty(draws)
    for index in range(draws):
        draw = series.draw(7, "benchmark", index, len(times))
        assert draw.signal is not None
        misfits = ((draw.values[:samples, 0] - curves[:, :samples]) ** 2).sum(axis=1)
        posterior = np.exp(-(misfits - misfits.min()) / (2 * series.noise_std**2))
        posterior /= posterior.sum()
        ahead = curves[:, samples:]
        forecast = posterior @ ahead
        errors[index] = ((forecast - draw.signal[samples:, 0]) ** 2).mean()
        variances[index] = (posterior @ ahead**2 - forecast**2).mean()
    return errors / series.signal_variance, variances / series.signal_variance


def agrees(found: ContextLimit, per_draw: FloatArray) -> None:
    """The limit is the mean of simulated draws within 4 standard errors of both."""
    error = math.hypot(found.standard_error, per_draw.std(ddof=1) / math.sqrt(len(per_draw)))
    assert abs(found.nmse - per_draw.mean()) <= 4 * error


@pytest.mark.parametrize(
    ("samples", "nmse", "of_one_draw"),
    [
        (4, 0.486, 0.35),
        (16, 0.292, 0.52),
        (64, 0.0036, 0.0115),
        (256, 0.00032, 0.00046),
        (600, 0.00013, 0.00019),
    ],
)
def test_published_limits_of_the_noisy_sine(samples: int, nmse: float, of_one_draw: float) -> None:
    """Found before by plain Monte Carlo, of which 2,000 draws are assumed, and rounded."""
    found = context_limit(REPORT, samples, horizon_steps=1000)
    rounding = 0.5 * 10 ** (math.floor(math.log10(nmse)) - 1)
    error = math.hypot(found.standard_error, of_one_draw / math.sqrt(2000))
    assert abs(found.nmse - nmse) <= 4 * error + rounding
    assert found.standard_error < 0.01 * found.nmse


@pytest.mark.parametrize(
    ("series", "samples", "horizon_steps"),
    [
        (REPORT, 4, 300),
        (REPORT, 64, 300),
        (SineSeries(amplitude=3.0, angular_frequency=0.3, noise_std=2.0), 9, 7),
        (SineSeries(amplitude=0.5, angular_frequency=3.1, noise_std=0.2), 6, 40),  # slope > level
        (SineSeries(angular_frequency=0.05, noise_std=4.0), 1, 20),
    ],
)
def test_agrees_with_plain_monte_carlo(
    series: SineSeries, samples: int, horizon_steps: int
) -> None:
    errors, variances = simulated(series, samples, horizon_steps, draws=1500)
    found = context_limit(series, samples, horizon_steps)
    agrees(found, errors)
    agrees(found, variances)
    # What the loss is expected to be, given the samples, varies less than the loss.
    assert variances.std() < errors.std()


SERIES = st.builds(
    SineSeries,
    amplitude=st.floats(0.01, 100),
    angular_frequency=st.floats(1e-4, 3.1),
    noise_std=st.floats(1e-4, 100),
)
STEPS = st.integers(1, 40)
MODEST = settings(deadline=None, max_examples=10)


@MODEST
@given(series=SERIES, samples=STEPS, more=STEPS, horizon_steps=STEPS)
@example(series=REPORT, samples=4, more=12, horizon_steps=1000)
def test_more_samples_never_hurt(
    series: SineSeries, samples: int, more: int, horizon_steps: int
) -> None:
    few = context_limit(series, samples, horizon_steps)
    many = context_limit(series, samples + more, horizon_steps)
    slack = 5 * math.hypot(few.standard_error, many.standard_error)
    assert 0 <= many.nmse <= few.nmse * (1 + 1e-6) + slack


@MODEST
@given(series=SERIES, samples=STEPS, horizon_steps=STEPS, louder=st.floats(1, 50))
def test_more_noise_never_helps(
    series: SineSeries, samples: int, horizon_steps: int, louder: float
) -> None:
    loud = series.model_copy(update={"noise_std": series.noise_std * louder})
    quiet_limit = context_limit(series, samples, horizon_steps)
    loud_limit = context_limit(loud, samples, horizon_steps)
    slack = 5 * math.hypot(quiet_limit.standard_error, loud_limit.standard_error)
    assert quiet_limit.nmse <= loud_limit.nmse * (1 + 1e-6) + slack


@MODEST
@given(series=SERIES, samples=STEPS, horizon_steps=STEPS, power=st.integers(-5, 5))
def test_only_the_ratio_of_noise_to_amplitude_counts(
    series: SineSeries, samples: int, horizon_steps: int, power: int
) -> None:
    scaled = series.model_copy(
        update={
            "amplitude": series.amplitude * 2.0**power,
            "noise_std": series.noise_std * 2.0**power,
        }
    )
    limits = [context_limit(one, samples, horizon_steps) for one in (series, scaled)]
    assert limits[0] == limits[1]


def test_with_hopeless_noise_nothing_beats_the_mean_of_the_signal() -> None:
    deaf = SineSeries(noise_std=1e6)
    assert context_limit(deaf, 4, 6283).nmse == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("noise_std", [1e-3, 1e-6, 1e-9])
def test_with_little_noise_and_many_periods_the_phases_bound_is_reached(noise_std: float) -> None:
    series = SineSeries(angular_frequency=0.5, noise_std=noise_std)
    # Cramér-Rao for the phase alone: var(p) = 2 σ² / (n A²), and the forecast's NMSE is var(p).
    found = context_limit(series, 1000, 1000)
    assert found.nmse == pytest.approx(2 * noise_std**2 / 1000, rel=0.01)


@pytest.mark.parametrize("noise_std", [0.0, 1e-300])
def test_without_noise_the_limit_is_zero(noise_std: float) -> None:
    found = sine_limit(SineSeries(noise_std=noise_std), train_steps=600, horizon_steps=1000)
    assert [context.nmse for context in found.contexts] == [0.0] * 5
    assert found.floor == ContextLimit(600, 0.0, 0.0)
    assert found.reference == pytest.approx(0)
    assert "no noise" in found.reason


def test_one_sample_without_noise_leaves_rising_and_falling() -> None:
    exact = context_limit(SineSeries(noise_std=0.0), 1, 1000)
    steps = np.arange(1, 1001)
    # The level is known and continues as its cosine; the slope's part is lost, and is half of it.
    assert exact.nmse == pytest.approx(np.mean(np.sin(0.01 * steps) ** 2))
    nearly = context_limit(SineSeries(noise_std=1e-7), 1, 1000)
    assert nearly.nmse == pytest.approx(exact.nmse, abs=4 * nearly.standard_error)


def test_a_fixed_phase_can_be_learnt_by_heart() -> None:
    found = sine_limit(SineSeries(phase=0.0), train_steps=600, horizon_steps=1000)
    assert {context.nmse for context in found.contexts} == {0.0}
    assert found.floor.nmse == 0.0
    assert found.reference is not None
    assert found.reference > 0
    assert "by heart" in found.reason


def test_contexts_are_those_that_the_training_span_has() -> None:
    assert checked_samples([], 600) == [4, 16, 64, 256, 600]
    assert checked_samples([], 64) == [4, 16, 64]
    assert checked_samples([], 3) == [3]
    assert checked_samples([9, 2, 9], 600) == [2, 9]
    found = sine_limit(REPORT, train_steps=100, horizon_steps=10, samples=[7])
    assert [context.samples for context in found.contexts] == [7]
    assert found.floor == context_limit(REPORT, 100, 10)


@pytest.mark.parametrize("samples", [0, -3, 601])
def test_samples_outside_the_training_span_are_refused(samples: int) -> None:
    with pytest.raises(UsageError, match=rf"from 1 to train_steps = 600, but got {samples};"):
        checked_samples([4, samples], 600)


def test_limits_are_the_same_every_time() -> None:
    assert context_limit(REPORT, 16, 50) == context_limit(REPORT, 16, 50)


@pytest.mark.parametrize(
    ("mean", "standard_error", "draws", "floor", "comparison"),
    [
        (0.00005, 0.00001, 100, 0.00013, "leak"),
        (0.0, 0.0, 200, 0.00013, "leak"),
        (0.00010, 0.00001, 100, 0.00013, "within error"),
        (0.00013, 0.00001, 100, 0.00013, "above"),
        (0.48, 0.01, 1000, 0.00013, "above"),
        (0.0, 0.0, 99, 0.00013, "not comparable"),
        (0.0, 0.0, 200, None, "not comparable"),
        (math.nan, 0.0, 200, 0.00013, "not comparable"),
        (0.1, math.inf, 200, 0.00013, "not comparable"),
        (0.0, 0.0, 100, 0.0, "above"),
    ],
)
def test_a_mean_below_the_floor_is_a_leak(
    mean: float, standard_error: float, draws: int, floor: float | None, comparison: str
) -> None:
    assert compared_with_floor(mean, standard_error, draws, floor) == comparison


def test_a_forecaster_at_the_floor_is_hardly_ever_called_a_leak() -> None:
    """The best forecaster's errors are nearly squares of normal numbers."""
    errors = np.random.default_rng(0).standard_normal((2000, 100)) ** 2
    means, spreads = errors.mean(axis=1), errors.std(axis=1, ddof=1) / 10
    found = [compared_with_floor(m, s, 100, 1.0) for m, s in zip(means, spreads, strict=True)]
    assert found.count("leak") <= 20
    assert found.count("within error") > 800
