"""The baselines on the same views as the candidates: fitted on the same rows, scored alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.baselines.baseline import baselines
from models.diagnostics.scores import Scores, score
from search.records import BaselineRecord
from search.series import FloatArray
from search.study.task_data import View


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """A baseline on all draws; its score is the median over draws, as a candidate's is."""

    name: str
    scores: tuple[Scores, ...]
    forecasts: tuple[FloatArray, ...]  # [time] of each draw's first start point and channel

    @property
    def draw_scores(self) -> list[float]:
        """NMSE of each draw."""
        return [scores.nmse for scores in self.scores]

    def record(self, replica: int = 0) -> BaselineRecord:
        """The result as it is stored, with the forecast for the draw that `replica` saw."""
        return BaselineRecord(
            draw_scores=tuple(self.draw_scores),
            curve=np.median([scores.curve for scores in self.scores], axis=0),
            forecast=self.forecasts[replica % len(self.forecasts)],
        )


def baseline_results(views: Sequence[View]) -> list[BaselineResult]:
    """Fit and score every baseline on each view; views of one table are equal and count once."""
    distinct = list(views) if not _all_equal(views) else [views[0]]
    results = []
    for name, baseline in baselines().items():
        scores = []
        forecasts = []
        for view in distinct:
            training = view.values[: view.train_steps]
            fitted = baseline.fit(training)
            forecast = np.stack(
                [fitted.forecast(view.values[:start], view.horizon_steps) for start in view.starts]
            )
            truth = truth_of(view)
            scores.append(
                score(forecast, truth, view.variance, training.mean(axis=0), training.std(axis=0))
            )
            forecasts.append(forecast[0, :, 0])
        results.append(BaselineResult(name, tuple(scores), tuple(forecasts)))
    return results


def truth_of(view: View) -> FloatArray:
    """What each free run of a view is compared with, `[start, time, channel]`."""
    return np.stack([view.truth[start : start + view.horizon_steps] for start in view.starts])


def _all_equal(views: Sequence[View]) -> bool:
    return all(np.array_equal(view.values, views[0].values) for view in views[1:])
