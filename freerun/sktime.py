"""freerun as a forecaster of sktime; needs the extra: pip install "freerun[sktime]".

This module is the only one that imports sktime, and no other imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from sktime.datatypes import update_data
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from freerun.estimator import Forecaster
from search.series import FloatArray

# A series holds so many of the horizons that candidates are scored on, unless one is named.
_LEAST_HORIZONS = 5


class FreerunForecaster(BaseForecaster):  # type: ignore[misc]
    """Searches for a forecaster when it is fitted, and forecasts with the winner.

    All columns of y are forecast together. X is not used. A horizon may be any number of steps
    ahead, also beyond what the search scored.

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
        "capability:exogenous": False,
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
        found = Forecaster(
            horizon=furthest if self.horizon is None else self.horizon,
            minutes=self.minutes,
            trials=self.trials,
            workers=self.workers,
            space=self.space,
            search=self.search,
            seed=self.seed,
            refit=self.refit,
        ).fit(_values(y))
        self.forecaster_, self.best_ = found.forecaster_, found.best_
        self._seen = y
        return self

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> FreerunForecaster:
        self._seen = update_data(self._seen, y)
        if update_params:
            self.forecaster_ = self.forecaster_.updated(_values(self._seen))
        return self

    def _predict(self, fh: ForecastingHorizon, X: Any) -> Any:
        return pandas.DataFrame(
            self._ahead(fh, ())[:, :, 0],
            index=fh.to_absolute_index(self.cutoff),
            columns=self._seen.columns,
        )

    def _predict_interval(self, fh: ForecastingHorizon, X: Any, coverage: Sequence[float]) -> Any:
        # sktime asks for the median as an interval that covers nothing.
        levels = sorted({round(100 * share, 9) for share in coverage if share > 0})
        ahead = self._ahead(fh, levels)
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

    def _ahead(self, fh: ForecastingHorizon, levels: Sequence[float]) -> FloatArray:
        """Forecasts at the steps of a horizon, `[step, channel, quantity]`."""
        steps = np.asarray(fh.to_relative(self.cutoff), dtype=int)
        ahead = self.forecaster_.forecast(_values(self._seen), int(steps.max()), levels)
        by_quantity: FloatArray = ahead if levels else ahead[:, :, np.newaxis]
        asked: FloatArray = by_quantity[steps - 1]
        return asked

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for sktime's own tests: searches that end in a second, in this process."""
        once = {"replicas": 1, "finalists": 1, "final_replicas": 1}
        tiny = {"trials": 1, "workers": 0, "space": {"cell": ["ar"]}, "search": once}
        return [tiny, {**tiny, "horizon": 2, "seed": 1, "refit": False}]


def _values(y: Any) -> FloatArray:
    """The values `[time, channel]` of a data frame."""
    values: FloatArray = y.to_numpy(dtype=np.float64)
    return values
