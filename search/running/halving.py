"""Which trials of a cohort go on at a rung, by asynchronous successive halving."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from search.storage.records import ScoredTrial

# Rungs lie at halves of each other's training (StudyDefinition), so each keeps the better half.
KEPT_SHARE = 0.5


class Halving:
    """Asynchronous successive halving over whole cohorts (Li et al. 2020, alg. 2, with eta = 2).

    A trial goes on while it belongs to the better half of all that reported at its rung so far:
    finished trials of all workers, and those of the cohort in question. Trials of a group (a
    preset, or a closed form) are compared with their own kind only.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[str | None, int], list[float]] = defaultdict(list)

    def learn(self, scored: Iterable[ScoredTrial], group: str | None = None) -> None:
        """Take in the reports of finished trials of a group."""
        for trial in scored:
            for rung, value in trial.reports.items():
                self.values[group, rung].append(value)

    def losers(self, rung: int, scores: Mapping[int, float], group: str | None = None) -> list[int]:
        """Which of the trials of a group (score by any key) are not in the better half there."""
        seen = sorted([*self.values[group, rung], *scores.values()])
        threshold = seen[max(1, int(len(seen) * KEPT_SHARE)) - 1]
        return [key for key, score in scores.items() if score > threshold]
