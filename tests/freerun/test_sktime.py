"""The forecaster for sktime passes sktime's own checks."""

import numpy as np
import pytest

from tests.freerun.conftest import wave

pytest.importorskip("sktime", reason="sktime is not installed: pip install 'freerun[sktime]'")

import pandas
from sktime.forecasting.base import ForecastingHorizon
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from freerun.sktime import FreerunForecaster

# sktime and what it imports warn of their own future.
pytestmark = pytest.mark.filterwarnings("default")


# One test for each of sktime's, since all of them take minutes; none is left out.
@parametrize_with_checks(FreerunForecaster, obj_varname="kind", check_varname="check")  # type: ignore[untyped-decorator]
def test_it_passes_the_checks_of_sktime(kind: type[FreerunForecaster], check: str) -> None:
    results = check_estimator(kind, tests_to_run=check, raise_exceptions=True, verbose=False)
    assert results
    assert set(results.values()) == {"PASSED"}


def test_it_forecasts_the_steps_that_are_asked_for() -> None:
    index = pandas.period_range("2020-01", periods=90, freq="M")
    series = pandas.Series(wave(), index, name="height")
    forecaster = FreerunForecaster(trials=1, workers=0, space={"cell": ["ar"]})
    horizon = ForecastingHorizon([1, 4, 6])
    ahead = forecaster.fit(series[:80], fh=horizon).predict()
    assert list(ahead.index) == list(index[[80, 83, 85]])
    assert np.abs(ahead - series[ahead.index]).max() < 0.5
    # Later rows move the forecast on, with and without a new training.
    for update_params in (False, True):
        forecaster.update(series[80:84], update_params=update_params)
        later = forecaster.predict(fh=[1, 2])
        assert list(later.index) == list(index[[84, 85]])
        assert np.abs(later - series[later.index]).max() < 0.5
