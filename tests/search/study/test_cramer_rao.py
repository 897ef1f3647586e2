import math

import numpy as np
import pytest

from search.series import SineSeries
from search.study.cramer_rao import cramer_rao_nmse


def textbook(series: SineSeries, train_steps: int, horizon_steps: int) -> float:
    """The bound by explicit Jacobians, one phase after the other."""
    found = []
    for phase in np.arange(64) * math.pi / 64 if series.phase == "random" else [series.phase]:
        time = np.arange(1, train_steps + horizon_steps + 1)
        angle = series.angular_frequency * time + phase
        columns = [
            np.sin(angle),
            series.amplitude * np.cos(angle),
            series.amplitude * time * np.cos(angle),
        ]
        jacobian = np.stack(columns, axis=1)
        seen, ahead = jacobian[:train_steps], jacobian[train_steps:]
        covariance = series.noise_std**2 * np.linalg.inv(seen.T @ seen)
        found.append(np.mean(np.einsum("ti,ij,tj->t", ahead, covariance, ahead)))
    return float(np.mean(found)) / series.signal_variance


@pytest.mark.parametrize(
    ("series", "train_steps", "horizon_steps"),
    [
        (SineSeries(), 600, 1000),
        (SineSeries(amplitude=3.0, angular_frequency=0.5, noise_std=2.0), 40, 20),
        (SineSeries(phase=0.7), 600, 100),
        (SineSeries(amplitude=0.1, angular_frequency=0.02, phase=0.0), 300, 400),
    ],
)
def test_is_the_textbook_bound(series: SineSeries, train_steps: int, horizon_steps: int) -> None:
    found = cramer_rao_nmse(series, train_steps, horizon_steps)
    assert found == pytest.approx(textbook(series, train_steps, horizon_steps), rel=1e-6)


def test_published_reference_of_the_noisy_sine() -> None:
    found = cramer_rao_nmse(SineSeries(), 600, 1000)
    assert found == pytest.approx(0.004, abs=0.0005)


@pytest.mark.parametrize("train_steps", [2, 3])
def test_three_unknowns_need_more_than_three_samples(train_steps: int) -> None:
    assert cramer_rao_nmse(SineSeries(), train_steps, 10) is None


def test_too_small_a_part_of_a_period_gives_no_reference() -> None:
    assert cramer_rao_nmse(SineSeries(angular_frequency=1e-6), 20, 10) is None
