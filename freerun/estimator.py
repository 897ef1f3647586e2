"""A forecaster in the manner of scikit-learn: settings, `fit`, `predict`, `predict_interval`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from freerun.arguments import levels_of, positive_number, section, texts, whole_number
from search.errors import UsageError

if TYPE_CHECKING:
    from freerun.exported import ExportedForecaster
    from freerun.scores import Best

_STUDY = "fit"


class Forecaster:
    """Searches for a forecaster when it is fitted, and forecasts with the winner.

    It needs no scikit-learn; `clone`, `get_params`, `set_params` and pipelines work as there, with
    the series as X. Its study lives in a temporary folder while it is fitted.

    horizon: steps that candidates are scored on, and that `predict` returns. minutes: of the
    search; the final and its test come on top. trials: at most. workers: see `Study.run`. space:
    what is searched, as in [space] of a study file; None for the default space. search: further
    keys of [search] of a study file, such as `{"final_replicas": 4}`. seed: of all draws and
    initialisations. refit: whether the winner is trained once more, on all rows, before it
    forecasts. progress: whether to show it. columns: of a data frame those that are forecast, where
    they are not found by themselves. known, past, calendar: of its columns those that are known in
    advance, and only in the past, and columns of the calendar, as in [series] of a study file.

    After `fit`: forecaster_, the `ExportedForecaster`; best_, the `Best` of the study;
    n_features_in_, the number of channels.
    """

    def __init__(
        self,
        horizon: int = 1,
        *,
        minutes: float = 1.0,
        trials: int = 200,
        workers: int | None = None,
        space: Mapping[str, Any] | None = None,
        search: Mapping[str, Any] | None = None,
        seed: int = 0,
        refit: bool = True,
        progress: bool = False,
        known: Sequence[str] | None = None,
        past: Sequence[str] | None = None,
        calendar: bool | Sequence[str] = False,
        columns: str | Sequence[str] | None = None,
    ) -> None:
        self.horizon = horizon
        self.minutes = minutes
        self.trials = trials
        self.workers = workers
        self.space = space
        self.search = search
        self.seed = seed
        self.refit = refit
        self.progress = progress
        self.known = known
        self.past = past
        self.calendar = calendar
        self.columns = columns

    def fit(self, X: Any, y: None = None) -> Self:
        """Search on a series, and keep the winner. Returns itself.

        X: a series of any kind that `Study` takes. y: must be left out; it is there because
        pipelines pass it. Raises what `Study` and `Study.run` raise, and UsageError where no trial
        was complete in time, and where `search` holds what has a setting of its own.
        """
        if y is not None:
            raise UsageError("y must be left out; give the series itself as the first argument")
        further = section("search", self.search or {}, "{'final_replicas': 4}")
        if double := next(
            (key for key in ("trials", "minutes", "workers") if key in further), None
        ):
            raise UsageError(
                f"search must not hold {double}, which is a setting of its own, but got "
                f"{further[double]!r}; give {double}={further[double]!r}"
            )
        from freerun.study import Study

        minutes = positive_number("minutes", self.minutes)
        trials = whole_number("trials", self.trials, 1)
        with TemporaryDirectory(prefix="freerun-") as folder:
            storage = f"sqlite:///{Path(folder) / 'freerun.db'}"
            # Nobody would look at pictures that are gone with the folder.
            search = {
                "trials": trials,
                "minutes": minutes,
                "artifact_kib_per_trial": 0,
                **further,
            }
            with Study(
                X,
                horizon=self.horizon,
                name=_STUDY,
                search=search,
                columns=self.columns,
                series=self._beside(),
                space=self.space,
                seed=self.seed,
                storage=storage,
            ) as study:
                study.run(workers=self.workers, progress=self.progress)
                self.best_: Best | None = study.best
                self.forecaster_: ExportedForecaster = study.forecaster()
        if self.refit:
            self.forecaster_ = self.forecaster_.refitted()
        self.n_features_in_ = len(self.forecaster_.channels)
        self._series = X
        return self

    def predict(self, X: Any = None, *, future: Any = None) -> Any:
        """Return the `horizon` rows after a series, of its kind.

        X: the series to continue, else that of `fit`. future: later rows of the columns known in
        advance, see `ExportedForecaster.forecast`. Raises UsageError before `fit`, and what
        `ExportedForecaster.forecast` raises.
        """
        return self._forecast(X, (), future)

    def predict_interval(
        self, X: Any = None, *, levels: float | Sequence[float] = 80.0, future: Any = None
    ) -> Any:
        """Return forecasts with prediction intervals, in the form of `ExportedForecaster.forecast`.

        levels: in percent. future: as in `predict`. Raises what `predict` raises.
        """
        return self._forecast(X, levels_of(levels), future)

    def _beside(self) -> dict[str, Any]:
        """The columns beside those that are forecast, as keys of [series]."""
        said: dict[str, Any] = {}
        for key in ("known", "past"):
            if names := getattr(self, key):
                said[key] = list(texts(key, names, "price"))
        if self.calendar is not False:
            said["calendar"] = self.calendar
        return said

    def _forecast(self, X: Any, levels: Sequence[float], future: Any) -> Any:
        if not hasattr(self, "forecaster_"):
            raise UsageError("fit must come before a forecast; call fit(series)")
        series = self._series if X is None else X
        if levels:
            return self.forecaster_.forecast(series, self.horizon, levels, future=future)
        return self.forecaster_.forecast(series, self.horizon, future=future)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name. deep: as in scikit-learn; no setting has settings itself."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Change settings by name. Raises UsageError for a name that is no setting."""
        for name, value in params.items():
            if name not in self._names():
                raise UsageError(
                    f"{name!r} is no setting of Forecaster; there are {', '.join(self._names())}"
                )
            setattr(self, name, value)
        return self

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def __repr__(self) -> str:
        return f"Forecaster({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "forecaster_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator; only scikit-learn calls it."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=None,
            input_tags=InputTags(one_d_array=True),
        )
