"""Forecasters that every candidate must beat, one a file, in numpy float64."""

from models.baselines.autoregression import Autoregression
from models.baselines.baseline import Baseline
from models.baselines.mean import Mean
from models.baselines.persistence import Persistence

BASELINES: dict[str, type[Baseline]] = {
    "mean": Mean,
    "persistence": Persistence,
    "ar": Autoregression,
}

__all__ = ["BASELINES", "Autoregression", "Baseline", "Mean", "Persistence"]
