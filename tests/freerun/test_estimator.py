"""The estimator: settings, fit, predict, and what scikit-learn asks of it."""

from typing import Any

import numpy as np
import polars
import pytest

import freerun
from search.series import FloatArray
from tests.freerun.conftest import HORIZON, wave

TINY: dict[str, Any] = {"trials": 1, "workers": 0, "space": {"cell": ["ar"]}}


@pytest.fixture(scope="module")
def fitted() -> freerun.Forecaster:
    return freerun.Forecaster(HORIZON, **TINY).fit(wave()[:-HORIZON])


def test_a_fitted_forecaster_continues_its_series(fitted: freerun.Forecaster) -> None:
    ahead = fitted.predict()
    assert ahead.shape == (HORIZON,)
    assert np.abs(ahead - wave()[-HORIZON:]).max() < 0.5
    assert fitted.best_ is not None
    assert fitted.n_features_in_ == 1


def test_it_forecasts_intervals(fitted: freerun.Forecaster) -> None:
    banded = fitted.predict_interval(levels=50)
    assert banded.shape == (HORIZON, 3)
    assert np.array_equal(banded[:, 0], fitted.predict())
    assert np.all(banded[:, 1] < banded[:, 2])


def test_it_continues_another_series(fitted: freerun.Forecaster) -> None:
    later = fitted.predict(wave())
    assert np.array_equal(later, fitted.forecaster_.forecast(wave(), HORIZON))
    assert not np.array_equal(later, fitted.predict())


def test_without_a_refit_it_keeps_what_the_study_exports() -> None:
    kept = freerun.Forecaster(HORIZON, refit=False, **TINY).fit(wave())
    assert kept.forecaster_.test is not None


@pytest.mark.parametrize("columns", ["b", ["b"]])
def test_it_forecasts_the_columns_that_it_is_told(columns: Any) -> None:
    frame = polars.DataFrame({"row": np.arange(90), "a": wave()[::-1], "b": wave()})
    made = freerun.Forecaster(HORIZON, refit=False, columns=columns, **TINY).fit(frame)
    assert made.n_features_in_ == 1
    assert made.predict().columns == ["row", "b"]


def test_settings_are_read_set_and_shown() -> None:
    made = freerun.Forecaster(horizon=3, minutes=2.0)
    assert made.get_params() == {
        "horizon": 3,
        "minutes": 2.0,
        "trials": 200,
        "workers": None,
        "space": None,
        "search": None,
        "seed": 0,
        "refit": True,
        "progress": False,
        "known": None,
        "past": None,
        "calendar": False,
        "columns": None,
    }
    assert made.set_params(horizon=5, seed=1).get_params()["horizon"] == 5
    assert repr(made).startswith("Forecaster(horizon=5, minutes=2.0")
    with pytest.raises(freerun.UsageError, match="'horizn' is no setting"):
        made.set_params(horizn=2)


def test_wrong_use_is_one_message() -> None:
    made = freerun.Forecaster(horizon=3)
    with pytest.raises(freerun.UsageError, match=r"call fit\(series\)"):
        made.predict()
    with pytest.raises(freerun.UsageError, match="y must be left out"):
        made.fit(wave(), wave())  # type: ignore[arg-type]
    with pytest.raises(freerun.UsageError, match="horizon"):
        freerun.Forecaster(horizon=0).fit(wave())
    wrong: dict[str, object] = {
        "horizon": "a",
        "minutes": "x",
        "trials": 2.5,
        "workers": "two",
        "search": 3,
        "space": "gru",
        "known": 7,
        "columns": 1.0,
    }
    for name, value in wrong.items():
        with pytest.raises(freerun.UsageError, match=f"{name} must be .*{value}"):
            freerun.Forecaster(**{"space": {"cell": ["ar"]}, name: value}).fit(wave())  # type: ignore[arg-type]
    with pytest.raises(freerun.UsageError, match=r"search must not hold trials.*give trials=3"):
        freerun.Forecaster(search={"trials": 3}).fit(wave())


def test_a_loop_over_folds() -> None:
    scores = []
    for end in (70, 80):
        model = freerun.Forecaster(**{"horizon": 5, **TINY}).fit(wave()[:end])
        scores.append(np.abs(model.predict() - wave()[end : end + 5]).mean())
    assert max(scores) < 0.4


def test_scikit_learn_clones_it_and_ends_pipelines_with_it() -> None:
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.validation import check_is_fitted

    assert sklearn
    made = freerun.Forecaster(horizon=4, **TINY)
    copy = clone(made)
    assert copy is not made
    assert copy.get_params() == made.get_params()
    series: FloatArray = wave()[:, np.newaxis]
    pipeline = make_pipeline(StandardScaler(), copy).fit(series)
    check_is_fitted(pipeline[-1])
    assert pipeline.predict(series).shape == (4, 1)
