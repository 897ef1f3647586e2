"""Forecasters that every candidate must beat, one a file, in float64."""

from models.baselines.autoregression import Autoregression
from models.baselines.baseline import Baseline
from models.baselines.mean import Mean
from models.baselines.persistence import Persistence
from models.baselines.ridge_ar import RidgeAR
from models.baselines.ssa import SSABaseline

BASELINES: dict[str, type[Baseline]] = {
    "mean": Mean,
    "persistence": Persistence,
    "ar": Autoregression,
    "ridge-ar": RidgeAR,
    "ssa": SSABaseline,
}

__all__ = [
    "BASELINES",
    "Autoregression",
    "Baseline",
    "Mean",
    "Persistence",
    "RidgeAR",
    "SSABaseline",
]
