"""Ridge regression across seasons, and a direct one of what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from models.closed_form.across_seasons import TYPICAL_SEASONS, AcrossSeasons
from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, Solutions
from models.closed_form.direct import (
    Damped,
    lag_fading,
    lag_penalties,
    mean_error,
    side_by_side,
    tied,
)
from models.methods import FloatRange, Real, Stage, setting


class NestedRidge(
    AcrossSeasons,
    name="nested-ridge",
    label="ridge across and within seasons",
    source='Lin et al. (2024), "SparseTSF", arXiv 2405.00946; Hastie & Tibshirani (1986)',
    rank=22,
    searched=True,
):
    """A regression across seasons, and a direct regression of what it leaves.

    x_(t+h) - l_t = sum over lags k of (a_(h, k) + b_(h, k)) (x_(t-k) - l_t): a has the few
    coefficients of a regression across seasons, which all places of a season share, and b, for
    each lag and step, is drawn to zero. So what places have in common is learnt from all of them,
    and the rest is as in a direct regression.
    """

    typical = MappingProxyType(
        {
            **TYPICAL_SEASONS,
            **{"direct_ridge": 0.5, "season_means": True, "context_level": "last"},
            **{"remainder_ridge": 0.5, "direct_fading": 24.0},
        }
    )

    remainder: float = setting(
        Real(0, 1e6),
        FloatRange(0.03, 3.0, log=True),
        "The weight of squared coefficients of a direct regression after one across seasons.",
        name="remainder_ridge",
        neutral=0.5,
        stage=Stage.REGULARISATION,
    )
    lag_age: float = lag_fading()

    def outputs(self, channels: int) -> int:
        return self.steps_at_once * channels

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        across, within = [], []
        for own in self.apart(pieces):
            channels, known = own[0].shape[1], self.context_steps * own[0].shape[1]
            products, windows = self.products(own, candidate)
            across.append(self.problem(products, windows, channels))
            within.append(
                Damped(
                    own=products[:known, :known],
                    with_targets=products[:known, known:],
                    squares=across[-1].squares,
                    rows=windows,
                    penalties=self._of_lags(channels),
                )
            )
        return _Nested(across, within, self.remainder, self.tie, self._lag_by_lag)

    def regularised(self, problem: Solutions) -> Solutions:
        assert isinstance(problem, _Nested)
        return replace(
            problem,
            across=[self.damped(own) for own in problem.across],
            within=[
                replace(own, penalties=self._of_lags(len(own.penalties) // self.context_steps))
                for own in problem.within
            ],
            remainder=self.remainder,
            tie=self.tie,
        )

    def _of_lags(self, channels: int) -> FloatArray:
        return lag_penalties(self.context_steps, channels, self.lag_age)

    def _lag_by_lag(self, across: FloatArray) -> FloatArray:
        """The coefficients of a regression across seasons as those of all lags and steps."""
        places, channels = self.season_steps, across.shape[1] // self.ahead
        by_season = across.reshape(-1, self.seasons, channels, self.ahead, channels)
        coefficients: FloatArray = np.einsum("scak,pq->spcaqk", by_season[0], np.eye(places))
        if self.means:
            same = np.full((places, places), 1.0 / places)
            coefficients += np.einsum("scak,pq->spcaqk", by_season[1], same)
        return coefficients.reshape(self.context_steps * channels, -1)

    def phrase(self) -> str:
        return f"{super().phrase()}, of the remainder {self.remainder:.2g}"


@dataclass(frozen=True, eq=False)
class _Nested:
    """Regressions across seasons and of what they leave, of all channels or of each tied one.

    remainder: the strength of what is left. tie: see `tied`. lag_by_lag: makes coefficients of all
    lags and steps of those across seasons.
    """

    across: Sequence[Damped]
    within: Sequence[Damped]
    remainder: float
    tie: float
    lag_by_lag: Callable[[FloatArray], FloatArray]

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, step * channel]`; level: the strength across seasons."""
        seasonal = [self.lag_by_lag(own) for own in tied(self.across, level, self.tie)]
        found = tied(self.within, self.remainder, self.tie, near=seasonal)
        return found[0] if len(found) == 1 else side_by_side(found)

    def error(self, coefficients: FloatArray) -> float:
        return mean_error(self.within, coefficients)
