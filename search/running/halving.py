"""Asynchronous successive halving over whole cohorts (Li et al. 2020, alg. 2, with eta = 2)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from optuna.trial import FrozenTrial

from search.storage import ParamValue
from search.study.space import PRESET

# Rungs lie at halves of each other's training (StudyDefinition), so each keeps the better half.
KEPT_SHARE = 0.5


class Halving:
    """Remembers what trials scored at each rung, and which of a cohort may go on.

    A trial goes on while it belongs to the better half of all that reported at its rung so far:
    finished trials of all workers, and those of the cohort in question. Trials of a preset are
    compared with their own kind only.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[ParamValue, int], list[float]] = defaultdict(list)

    def learn(self, finished: Iterable[FrozenTrial]) -> None:
        """Take in the reports of finished trials."""
        for trial in finished:
            for rung, value in trial.intermediate_values.items():
                self.values[trial.params.get(PRESET), rung].append(value)

    def losers(
        self, rung: int, scores: Mapping[int, float], preset: ParamValue = None
    ) -> list[int]:
        """Which of the trials of a preset (score by any key) are not in the better half there."""
        seen = sorted([*self.values[preset, rung], *scores.values()])
        threshold = seen[max(1, int(len(seen) * KEPT_SHARE)) - 1]
        return [key for key, score in scores.items() if score > threshold]
