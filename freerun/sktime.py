"""freerun as a forecaster of sktime; needs the extra: pip install "freerun[sktime]".

This module is the only one that imports sktime, and no other imports it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

try:
    import pandas
    from sktime.datatypes import update_data
    from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
except ModuleNotFoundError as error:
    if error.name not in ("pandas", "sktime"):
        raise
    raise ModuleNotFoundError(
        f"freerun.sktime needs the package {error.name}, which is not installed: "
        "pip install 'freerun[sktime]'",
        name=error.name,
    ) from None

from freerun.defining import SeriesWarning
from freerun.estimator import Forecaster
from search.errors import ConstantError, SeriesError, UsageError
from search.series import FloatArray

# A series holds so many of the horizons that candidates are scored on, unless one is named.
_LEAST_HORIZONS = 5
# The name of the row numbers of a series with columns of X.
_ROW = "row"


class FreerunForecaster(BaseForecaster):  # type: ignore[misc]
    """Searches for a forecaster when it is fitted, and forecasts with the winner.

    All columns of y are forecast together. The columns of X are known in advance: numbers, or true
    and false. Candidates take their effects into account, if the search finds that these help, so
    `fit` and `update` need the rows of y, and `predict` all rows up to the furthest step, also
    those of steps between the ones that are asked for. Rows that X had in `fit` or `update` need
    not be given again. A horizon may be any number of steps ahead, also beyond what the search
    scored.

    horizon: steps that candidates are scored on; None for the furthest of the horizon that `fit` is
    given, a fifth of the rows at most, or 1. minutes, trials, workers, space, search, seed, refit:
    see `freerun.Forecaster`. After `fit`: forecaster_ and best_ as there.

    `update` with parameters updates the winner on all rows so far without a new search, see
    `ExportedForecaster.updated`; without parameters, forecasts start from the new rows.

    >>> from freerun.sktime import FreerunForecaster
    >>> from sktime.datasets import load_airline
    >>> forecaster = FreerunForecaster(trials=2, workers=0, space={"cell": ["ar"]})
    >>> ahead = forecaster.fit(load_airline(), fh=[1, 2, 12]).predict()
    >>> list(ahead.index.astype(str))
    ['1961-01', '1961-02', '1961-12']
    """

    _tags = {  # noqa: RUF012  # read by sktime
        "authors": "freerun contributors",
        "maintainers": "freerun contributors",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:update": True,
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": False,
    }
    # What is needed of y is kept below, under a name of its own.
    _config = {"remember_data": False}  # noqa: RUF012

    def __init__(
        self,
        horizon: int | None = None,
        minutes: float = 1.0,
        trials: int = 200,
        workers: int | None = None,
        space: Mapping[str, Any] | None = None,
        search: Mapping[str, Any] | None = None,
        seed: int = 0,
        refit: bool = True,
    ) -> None:
        self.horizon = horizon
        self.minutes = minutes
        self.trials = trials
        self.workers = workers
        self.space = space
        self.search = search
        self.seed = seed
        self.refit = refit
        super().__init__()
        # sktime makes these only where it keeps the rows, and looks for them nevertheless.
        self._y, self._X = None, None

    def _fit(self, y: Any, X: Any, fh: ForecastingHorizon | None) -> FreerunForecaster:
        furthest = 1 if fh is None else max(1, *map(int, fh.to_relative(self.cutoff)))
        # A short series has no room to score more; free runs go as far as they are asked to.
        furthest = min(furthest, max(1, len(y) // _LEAST_HORIZONS))
        self._seen = y
        self._beside: Any = None if X is None or not X.shape[1] else X
        self._has_exogenous = self._beside is not None
        horizon = furthest if self.horizon is None else self.horizon
        try:
            found = self._search(horizon)
        except SeriesError as problem:
            self._leave_out(problem)
            found = self._search(horizon)
        self.forecaster_, self.best_ = found.forecaster_, found.best_
        return self

    def _search(self, horizon: int) -> Forecaster:
        has_known = self._beside is not None
        return Forecaster(
            horizon=horizon,
            minutes=self.minutes,
            trials=self.trials,
            workers=self.workers,
            space=self.space,
            search=self.search,
            seed=self.seed,
            refit=self.refit,
            columns=self._value_names() if has_known else None,
            known=self._known_names() if has_known else None,
        ).fit(self._series(self._seen, self._beside))

    def _leave_out(self, problem: SeriesError) -> None:
        """Leave out the columns of X that a search refused as constant; raise any other problem."""
        cause: BaseException | None = problem
        # Messages are put in other words on the way.
        while cause is not None and not isinstance(cause, ConstantError):
            cause = cause.__cause__
        if cause is None:
            raise problem
        is_constant = np.isin(self._known_names(), cause.names)
        for name in self._beside.columns[is_constant]:
            warnings.warn(
                f"X's column '{name}' is left out, since it has one value in all rows that "
                "candidates are trained on, so that its effect can't be learnt; fit again once it "
                "has had others",
                SeriesWarning,
                stacklevel=4,  # at the caller of fit
            )
        varied = self._beside.loc[:, ~is_constant]
        self._beside = varied if varied.shape[1] else None

    def _update_y_X(self, y: Any, X: Any = None, enforce_index_type: Any = None) -> None:
        # sktime moves the cutoff here, before `_update`, so what an update lacks is refused first.
        if self.is_fitted and not self._is_vectorized:
            self._series(update_data(self._seen, y), self._beside_with(X))
        super()._update_y_X(y, X, enforce_index_type)

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> FreerunForecaster:
        self._seen, self._beside = update_data(self._seen, y), self._beside_with(X)
        if update_params:
            series = self._series(self._seen, self._beside)
            self.forecaster_ = self.forecaster_.updated(series)
        return self

    def _predict(self, fh: ForecastingHorizon, X: Any) -> Any:
        return pandas.DataFrame(
            self._ahead(fh, (), X)[:, :, 0],
            index=fh.to_absolute_index(self.cutoff),
            columns=self._seen.columns,
        )

    def _predict_interval(self, fh: ForecastingHorizon, X: Any, coverage: Sequence[float]) -> Any:
        # sktime asks for the median as an interval that covers nothing.
        levels = sorted({round(100 * share, 9) for share in coverage if share > 0})
        ahead = self._ahead(fh, levels, X)
        names = self._get_varnames()
        edges: dict[tuple[Any, float, str], FloatArray] = {}
        for channel, name in enumerate(names):
            for share in coverage:
                low = 1 + 2 * levels.index(round(100 * share, 9)) if share > 0 else 0
                high = low + 1 if share > 0 else 0
                edges[name, share, "lower"] = ahead[:, channel, low]
                edges[name, share, "upper"] = ahead[:, channel, high]
        index = fh.to_absolute_index(self.cutoff)
        columns = pandas.MultiIndex.from_tuples(edges)
        return pandas.DataFrame(np.column_stack(list(edges.values())), index, columns)

    def _ahead(self, fh: ForecastingHorizon, levels: Sequence[float], X: Any) -> FloatArray:
        """Forecasts at the steps of a horizon, `[step, channel, quantity]`."""
        steps = np.asarray(fh.to_relative(self.cutoff), dtype=int)
        furthest = int(steps.max())
        future = None
        if (beside := self._beside_with(X)) is not None:
            every = ForecastingHorizon(range(1, furthest + 1), is_relative=True, freq=fh.freq)
            index = every.to_absolute_index(self.cutoff)
            future = self._known_at(beside, index)
        series = self._series(self._seen, self._beside)
        ahead = self.forecaster_.forecast(series, furthest, levels, future=future)
        by_quantity: FloatArray = np.asarray(ahead).reshape(furthest, self._seen.shape[1], -1)
        asked: FloatArray = by_quantity[steps - 1]
        return asked

    def _series(self, seen: Any, beside: Any) -> Any:
        """Rows as values `[time, channel]`, or as a frame of them and the columns of X."""
        values: FloatArray = seen.to_numpy(dtype=np.float64)
        if beside is None:
            return values
        known = self._known_at(beside, seen.index)
        return pandas.DataFrame(values, known.index, self._value_names()).join(known)

    def _value_names(self) -> list[str]:
        """The columns of y in a frame with those of X."""
        return [f"y {number}" for number in range(1, self._seen.shape[1] + 1)]

    def _known_names(self) -> list[str]:
        """The columns of X in that frame: numbered, since sktime takes names that a table can't."""
        return [f"X {number}" for number in range(1, self._beside.shape[1] + 1)]

    def _beside_with(self, X: Any) -> Any:
        """The rows of X so far and further ones, None where no column of X is taken into account.

        Raises UsageError for columns that `fit` did not have, SeriesError where some lack.
        """
        if not self._has_exogenous and X is not None and X.shape[1]:
            raise UsageError(
                "X must be given to fit as well, but only later rows of it are; fit with X"
            )
        if self._beside is None or X is None:
            return self._beside
        columns = self._beside.columns
        if lacking := [str(name) for name in columns if name not in X.columns]:
            raise SeriesError(
                f"X must have the columns that it had in fit, but lacks '{lacking[0]}'; it has "
                f"{', '.join(map(str, X.columns)) or 'none'}"
            )
        return update_data(self._beside, X[columns])[columns]

    def _known_at(self, beside: Any, index: Any) -> Any:
        """Rows of X as columns known in advance, numbered; those of a future go on by themselves.

        Raises SeriesError with the column and the time of the first value that lacks or is not
        finite.
        """
        rows = beside.reindex(index)
        values = rows.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.argwhere(~np.isfinite(values))
        if len(missing):
            row, column = missing[0]
            got = "no value" if np.isnan(values[row, column]) else f"{values[row, column]:g}"
            raise SeriesError(
                f"X is known in advance, so that a forecast needs it in all rows of y and up to "
                f"the furthest step, but its column '{rows.columns[column]}' has {got} at "
                f"'{index[row]}'; give X with that row"
            )
        numbers = pandas.RangeIndex(len(rows), name=_ROW)
        return pandas.DataFrame(values, numbers, self._known_names())

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for sktime's own tests: searches that end in a second, in this process."""
        once = {"replicas": 1, "finalists": 1, "final_replicas": 1}
        tiny = {"trials": 1, "workers": 0, "space": {"cell": ["ar"]}, "search": once}
        return [tiny, {**tiny, "horizon": 2, "seed": 1, "refit": False}]
