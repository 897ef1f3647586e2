import io
import math

import numpy as np
import pytest
from PIL import Image

from models.diagnostics.scores import score
from search.evaluation import CandidateResult, ReplicaResult
from search.plotting.artifacts import (
    BEST_ROLLOUT,
    CURVE,
    ERRORS,
    LOSSES,
    ROLLOUT,
    read_curve_csv,
    trial_artifacts,
)
from search.records import Example
from search.storage.records import Artifact


def result(
    horizon: int = 400,
    replicas: int = 4,
    forecast: float | None = None,
    losses: tuple[float, ...] = (0.5, 0.1, 0.05),
) -> CandidateResult:
    """Replicas whose free run is a little off, or the constant `forecast`."""
    made = []
    for index in range(replicas):
        steps = np.arange(600 + horizon)
        signal = np.sin(0.01 * steps + index)
        observed = signal + 0.2 * np.random.default_rng(index).standard_normal(len(steps))
        truth = signal[600:]
        run = (0.9 - 0.1 * index) * truth if forecast is None else np.full(horizon, forecast)
        scores = score(run[None, :, None], truth[None, :, None], 0.5, 0.0, 0.7)
        curve = {
            step: loss * (1 + index) for step, loss in zip((12, 100, 400), losses, strict=True)
        }
        example = Example(index, 600, observed[:600], truth, run)
        made.append(ReplicaResult(index, 0, losses[-1], curve, scores, "tracks", example))
    return CandidateResult(tuple(made), "signal", parameters=99, seconds=1.0)


def files(result: CandidateResult, title: str = "trial 12") -> dict[str, Artifact]:
    return {artifact.filename: artifact for artifact in trial_artifacts(result, title)}


@pytest.mark.parametrize("horizon", [1, 11, 400, 5000])
def test_pictures_are_small_pngs_of_a_stated_size(horizon: int) -> None:
    pictures = [a for name, a in files(result(horizon)).items() if name.endswith(".png")]
    assert len(pictures) == 4
    for picture in pictures:
        image = Image.open(io.BytesIO(picture.content))
        assert (image.format, image.size) == ("PNG", (900, 380))
        assert len(picture.content) < 60 * 1024


def test_a_good_trial_has_the_median_and_the_best_free_run_its_errors_and_its_losses() -> None:
    made = files(result())
    assert list(made) == [ROLLOUT, CURVE, BEST_ROLLOUT, ERRORS, LOSSES]
    assert made[ROLLOUT].content != made[BEST_ROLLOUT].content


def test_a_poor_trial_has_only_what_is_cheap() -> None:
    poor = result(forecast=5.0)
    assert poor.score > 1
    assert list(files(poor)) == [ROLLOUT, CURVE]


def test_one_replica_is_the_median_and_the_best() -> None:
    assert BEST_ROLLOUT not in files(result(replicas=1))


def test_a_picture_shows_the_free_run_its_score_and_its_title() -> None:
    results = (result(), result(forecast=0.0), result(forecast=1e9))
    contents = {files(shown)[ROLLOUT].content for shown in results}
    assert len({*contents, files(result(), "")[ROLLOUT].content}) == 4


def test_a_picture_does_not_depend_on_the_one_before() -> None:
    first = files(result())
    trial_artifacts(result(11, replicas=2, forecast=0.1, losses=(9.0, 8.0, 7.0)), "trial 13")
    assert files(result()) == first


def test_losses_that_are_no_numbers_are_left_out() -> None:
    broken = files(result(losses=(0.5, math.inf, math.inf)))
    assert files(result(losses=(math.inf, math.inf, math.inf)))[LOSSES] != broken[LOSSES]
    assert broken[LOSSES] != files(result())[LOSSES]


def test_the_curve_is_the_median_over_replicas_by_horizon_step() -> None:
    made = result(horizon=600)
    curve = files(made)[CURVE]
    lines = curve.content.decode().splitlines()
    assert lines[0] == "horizon_step,nmse"
    assert lines[1].startswith("1,")
    assert lines[-1].startswith("600,")
    np.testing.assert_allclose(read_curve_csv(curve.content), made.curve, rtol=1e-4)


def test_a_curve_of_one_step_is_read_too() -> None:
    assert read_curve_csv(files(result(horizon=1))[CURVE].content).shape == (1,)
