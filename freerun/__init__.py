"""freerun from Python: search for a forecaster, look at what was found, forecast.

    study = freerun.Study("demand.csv", horizon=48).run(minutes=3)
    study.best, study.trials(), study.report("report.html"), study.export("model")
    freerun.load("model").forecast(series, 48)
    freerun.Forecaster(horizon=48, minutes=3).fit(series).predict()

Errors are `FreerunError`; those that only you can put right are `UserError`. What takes time to
import is imported when it is needed: `import freerun` brings no torch, Optuna, polars or pandas.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any


def _check_packages() -> None:
    """Raise ImportError where another package hides one of the two that this one stands on."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    for name in ("search", "models"):
        loaded = sys.modules.get(name)
        spec = find_spec(name) if loaded is None else None
        place = getattr(loaded, "__file__", None) if spec is None else spec.origin
        own = os.path.join(home, name, "__init__.py")  # noqa: PTH118
        if place is None or os.path.realpath(place) != os.path.realpath(own):
            raise ImportError(
                f"freerun needs its own package {name!r}, but Python finds {place or 'none'}; "
                "rename that one, or start Python in another folder"
            )


_check_packages()

from search import __version__  # noqa: E402
from search.errors import (  # noqa: E402
    ExportError,
    FreerunError,
    SeriesError,
    StorageError,
    StudyFileError,
    UnknownStudyError,
    UnknownTrialError,
    UsageError,
    UserError,
)

if TYPE_CHECKING:
    from freerun.defining import SeriesWarning
    from freerun.estimator import Forecaster
    from freerun.exported import ExportedForecaster, ForecastWarning, load
    from freerun.scores import Best, Score
    from freerun.study import Study

__all__ = [
    "Best",
    "ExportError",
    "ExportedForecaster",
    "ForecastWarning",
    "Forecaster",
    "FreerunError",
    "Score",
    "SeriesError",
    "SeriesWarning",
    "StorageError",
    "Study",
    "StudyFileError",
    "UnknownStudyError",
    "UnknownTrialError",
    "UsageError",
    "UserError",
    "__version__",
    "load",
]

# Where each name is that is imported when it is first asked for.
_PLACES = {
    "Best": "freerun.scores",
    "ExportedForecaster": "freerun.exported",
    "ForecastWarning": "freerun.exported",
    "Forecaster": "freerun.estimator",
    "Score": "freerun.scores",
    "SeriesWarning": "freerun.defining",
    "Study": "freerun.study",
    "load": "freerun.exported",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'freerun' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
