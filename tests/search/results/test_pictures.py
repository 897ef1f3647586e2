import io

import numpy as np
import pytest
from PIL import Image

from models.scores import score
from search.evaluation import CandidateResult, Example, ReplicaResult
from search.results.pictures import CURVE, PICTURE, read_curve_csv, trial_artifacts
from search.storage import Artifact


def result(horizon: int = 400, replicas: int = 4, forecast: float | None = None) -> CandidateResult:
    """Replicas whose free run is a little off, or the constant `forecast`."""
    made = []
    for index in range(replicas):
        steps = np.arange(600 + horizon)
        signal = np.sin(0.01 * steps + index)
        observed = signal + 0.2 * np.random.default_rng(index).standard_normal(len(steps))
        truth = signal[600:]
        run = 0.9 * truth if forecast is None else np.full(horizon, forecast)
        scores = score(run[None, :, None], truth[None, :, None], 0.5, 0.0, 0.7)
        made.append(
            ReplicaResult(
                index, 0, 0.05, scores, "tracks", Example(index, 600, observed[:600], truth, run)
            )
        )
    return CandidateResult(tuple(made), "signal", parameters=99, seconds=1.0)


def opened(artifact: Artifact) -> "Image.Image":
    return Image.open(io.BytesIO(artifact.content))


@pytest.mark.parametrize("horizon", [1, 11, 400, 5000])
def test_a_picture_is_a_small_png_of_a_stated_size(horizon: int) -> None:
    picture, _ = trial_artifacts(result(horizon), "trial 12")
    assert picture.filename == PICTURE
    image = opened(picture)
    assert (image.format, image.size) == ("PNG", (900, 380))
    assert len(picture.content) < 60 * 1024


def test_a_picture_shows_the_free_run_and_its_score() -> None:
    good, _ = trial_artifacts(result(), "trial 12")
    flat, _ = trial_artifacts(result(forecast=0.0), "trial 12")
    diverged, _ = trial_artifacts(result(forecast=1e9), "trial 12")
    untitled, _ = trial_artifacts(result())
    assert len({good.content, flat.content, diverged.content, untitled.content}) == 4


def test_a_picture_does_not_depend_on_the_one_before() -> None:
    first, _ = trial_artifacts(result(), "trial 12")
    trial_artifacts(result(11, forecast=3.0), "trial 13")
    again, _ = trial_artifacts(result(), "trial 12")
    assert first.content == again.content


def test_the_curve_is_the_median_over_replicas_by_horizon_step() -> None:
    made = result(horizon=600)
    _, curve = trial_artifacts(made)
    assert curve.filename == CURVE
    lines = curve.content.decode().splitlines()
    assert lines[0] == "horizon_step,nmse"
    assert lines[1].startswith("1,")
    assert lines[-1].startswith("600,")
    np.testing.assert_allclose(read_curve_csv(curve.content), made.curve, rtol=1e-4)


def test_a_curve_of_one_step_is_read_too() -> None:
    _, curve = trial_artifacts(result(horizon=1))
    assert read_curve_csv(curve.content).shape == (1,)
