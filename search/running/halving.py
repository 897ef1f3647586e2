"""Asynchronous successive halving over whole cohorts (Li et al. 2020, alg. 2, with eta = 2)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from search.storage import ScoredTrial

# Rungs lie at halves of each other's training (StudyDefinition), so each keeps the better half.
KEPT_SHARE = 0.5


class Halving:
    """Remembers what trials scored at each rung, and which of a cohort may go on.

    A trial goes on while it belongs to the better half of all that reported at its rung so far:
    finished trials of all workers, and those of the cohort in question. Trials of a preset are
    compared with their own kind only.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[str | None, int], list[float]] = defaultdict(list)

    def learn(self, scored: Iterable[ScoredTrial], preset: str | None = None) -> None:
        """Take in the reports of finished trials, of a preset where the study has any."""
        for trial in scored:
            for rung, value in trial.reports.items():
                self.values[preset, rung].append(value)

    def losers(
        self, rung: int, scores: Mapping[int, float], preset: str | None = None
    ) -> list[int]:
        """Which of the trials of a preset (score by any key) are not in the better half there."""
        seen = sorted([*self.values[preset, rung], *scores.values()])
        threshold = seen[max(1, int(len(seen) * KEPT_SHARE)) - 1]
        return [key for key, score in scores.items() if score > threshold]
