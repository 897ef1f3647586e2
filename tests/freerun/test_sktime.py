"""The forecaster for sktime passes sktime's own checks."""

import numpy as np
import pytest

from tests.freerun.conftest import wave

pytest.importorskip("sktime", reason="sktime is not installed: pip install 'freerun[sktime]'")

import pandas
from sktime.forecasting.base import ForecastingHorizon
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from freerun.defining import SeriesWarning
from freerun.sktime import FreerunForecaster
from search.errors import SeriesError, UsageError

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


def with_exogenous() -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Two waves that follow a price in opposite ways, and the price beside a flag."""
    index = pandas.date_range("2024-01-01", periods=120, freq="D")
    dice = np.random.default_rng(3)
    price = dice.integers(0, 5, len(index))
    wave = np.sin(2 * np.pi * np.arange(len(index)) / 12)
    y = pandas.DataFrame({"a": wave + 2.0 * price, "row": 3.0 * wave - price}, index)
    # A column of y has the name of one of X, and one is true or false.
    return y, pandas.DataFrame({"a": price, "sale": dice.random(len(index)) < 0.5}, index)


@pytest.fixture(scope="module")
def told() -> FreerunForecaster:
    y, exogenous = with_exogenous()
    forecaster = FreerunForecaster(
        trials=1,
        workers=0,
        space={
            **{"cell": ["ar"], "ar_order": [12]},
            **{"known_columns": ["linear"], "known_lags": ["none"]},
        },
        horizon=6,
    )
    forecaster.fit(y[:100], X=exogenous[:100])
    return forecaster


def test_it_follows_exogenous_columns(told: FreerunForecaster) -> None:
    y, exogenous = with_exogenous()
    ahead = told.predict(fh=[1, 3, 6], X=exogenous[100:106])
    assert list(ahead.index) == list(y.index[[100, 102, 105]])
    assert list(ahead.columns) == ["a", "row"]
    assert np.abs(ahead - y.loc[ahead.index]).to_numpy().max() < 0.3
    bands = told.predict_interval(fh=[1, 3, 6], X=exogenous[100:106], coverage=0.8)
    assert bands.shape == (3, 4)
    # More rows, and rows from before, change nothing.
    again = told.predict(fh=[1, 3, 6], X=exogenous[90:])
    assert again.equals(ahead)


def test_it_says_what_exogenous_columns_lack(told: FreerunForecaster) -> None:
    y, exogenous = with_exogenous()
    with pytest.raises(SeriesError, match="its column 'a' has no value at '2024-04-10"):
        told.predict(fh=[1, 3])
    with pytest.raises(SeriesError, match="its column 'a' has no value at '2024-04-11"):
        told.predict(fh=[1, 3], X=exogenous.iloc[[100, 102]])
    with pytest.raises(SeriesError, match=r"must have the columns that it had in fit, .* 'sale'"):
        told.predict(fh=[1], X=exogenous[["a"]][100:])
    plain = FreerunForecaster(trials=1, workers=0, space={"cell": ["ar"]}).fit(y[:100])
    with pytest.raises(UsageError, match="X must be given to fit as well"):
        plain.predict(fh=[1], X=exogenous[100:])


@pytest.mark.parametrize("update_params", [False, True])
def test_it_goes_on_with_exogenous_columns(told: FreerunForecaster, update_params: bool) -> None:
    y, exogenous = with_exogenous()
    forecaster = told.clone().fit(y[:100], X=exogenous[:100])
    with pytest.raises(SeriesError, match="its column 'a' has no value at '2024-04-10"):
        forecaster.update(y[100:110], update_params=update_params)
    forecaster.update(y[100:110], X=exogenous[100:110], update_params=update_params)
    ahead = forecaster.predict(fh=[1, 2], X=exogenous[110:112])
    assert list(ahead.index) == list(y.index[110:112])
    assert np.abs(ahead - y.loc[ahead.index]).to_numpy().max() < 0.3


@pytest.mark.parametrize("remember_data", [False, True])
def test_a_refused_update_changes_nothing(told: FreerunForecaster, remember_data: bool) -> None:
    y, exogenous = with_exogenous()
    forecaster = told.clone().set_config(remember_data=remember_data)
    forecaster.fit(y[:100], X=exogenous[:100])
    ahead = forecaster.predict(fh=[1, 6], X=exogenous[100:106])
    lacking = exogenous[["a"]][100:110]
    for update in (forecaster.update, forecaster.update_predict_single):
        with pytest.raises(SeriesError, match="its column 'a' has no value at '2024-04-10"):
            update(y[100:110])
        with pytest.raises(SeriesError, match=r"must have the columns .* 'sale'"):
            update(y[100:110], X=lacking)
    assert list(forecaster.cutoff) == [y.index[99]]
    assert forecaster.predict(fh=[1, 6], X=exogenous[100:106]).equals(ahead)
    if remember_data:
        assert len(forecaster._y) == len(forecaster._X) == 100


def quick() -> FreerunForecaster:
    once = {"replicas": 1, "finalists": 1, "final_replicas": 1}
    return FreerunForecaster(trials=1, workers=0, space={"cell": ["ar"]}, search=once, horizon=6)


def test_no_column_is_no_exogenous_one() -> None:
    y, exogenous = with_exogenous()
    none = exogenous[[]]
    ahead = quick().fit(y[:100], X=none[:100]).predict(fh=[1, 3], X=none[100:104])
    assert ahead.equals(quick().fit(y[:100]).predict(fh=[1, 3]))


def test_each_of_several_series_goes_on_with_its_own_exogenous_columns() -> None:
    y, exogenous = with_exogenous()
    own = [(y, exogenous), (y[::-1].set_axis(y.index), exogenous[::-1].set_axis(y.index))]

    def both(part: int, start: int, stop: int) -> pandas.DataFrame:
        rows = {name: frames[part][start:stop] for name, frames in zip("st", own, strict=True)}
        return pandas.concat(rows, names=["series", "time"])

    forecaster = quick().fit(both(0, 0, 100), X=both(1, 0, 100))
    forecaster.update(both(0, 100, 106), X=both(1, 100, 106))
    ahead = forecaster.predict(fh=[1, 3], X=both(1, 106, 110))
    for name, (values, beside) in zip("st", own, strict=True):
        alone = quick().fit(values[:100], X=beside[:100]).update(values[100:106], X=beside[100:106])
        expected = alone.predict(fh=[1, 3], X=beside[106:110])
        assert ahead.loc[name].to_numpy() == pytest.approx(expected.to_numpy())


# Of all rows, and of the rows that candidates are trained on, which leave out the last ones.
@pytest.mark.parametrize("varies_from", [100, 98])
@pytest.mark.parametrize("has_others", [True, False])
def test_a_constant_exogenous_column_is_left_out(varies_from: int, has_others: bool) -> None:
    y, exogenous = with_exogenous()
    first = pandas.DataFrame({"first promotion": np.arange(len(y)) >= varies_from}, y.index)
    both = pandas.concat([first, exogenous], axis=1) if has_others else first
    with pytest.warns(SeriesWarning, match="X's column 'first promotion' is left out") as said:
        forecaster = quick().fit(y[:100], X=both[:100])
    assert [warning.filename for warning in said if warning.category is SeriesWarning] == [__file__]
    forecaster.update(y[100:106], X=both[100:106])
    ahead = forecaster.predict(fh=[1, 3], X=both[106:110])
    without = quick().fit(y[:100], X=exogenous[:100] if has_others else None)
    known = {"X": exogenous[100:]} if has_others else {}
    assert without.update(y[100:106], **known).predict(fh=[1, 3]).equals(ahead)


@pytest.mark.parametrize("names", [["", " p "], [1, "1"], ["y 1", "row"]])
def test_exogenous_columns_may_have_any_names(names: list[object]) -> None:
    y, exogenous = with_exogenous()
    named = exogenous.set_axis(names, axis=1)
    forecaster = quick().fit(y[:100], X=named[:100])
    ahead = forecaster.predict(fh=[2], X=named[100:102])
    assert ahead.equals(quick().fit(y[:100], X=exogenous[:100]).predict(fh=[2], X=exogenous[100:]))
    with pytest.raises(SeriesError, match=f"its column '{names[0]}' has no value at '2024-04-10"):
        forecaster.predict(fh=[2], X=named[101:102])


def test_an_infinite_exogenous_value_is_refused_by_its_place() -> None:
    y, exogenous = with_exogenous()
    exogenous = exogenous.astype(float)
    exogenous.iloc[3, 1] = np.inf
    with pytest.raises(SeriesError, match="its column 'sale' has inf at '2024-01-04"):
        quick().fit(y[:100], X=exogenous[:100])
