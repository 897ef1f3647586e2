"""Which complete trials get pictures: those that are looked at, others while they cost little."""

import math
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from search.evaluation import CandidateResult
from search.storage.records import Artifact, ScoredTrial

# Pictures of other trials may take this share of a worker's time.
SHARE = 0.05

ArtifactMaker = Callable[[CandidateResult, str], Sequence[Artifact]]


class Pictures:
    """Makes the files of complete trials, see docs/decisions/0043.

    make: returns the files of a trial, given its result and name.
    """

    def __init__(self, make: ArtifactMaker) -> None:
        self.make = make
        self.began, self.seconds = monotonic(), 0.0
        self.best = math.inf
        self.verdicts: set[tuple[str | None, str]] = set()

    def learn(self, finished: Iterable[ScoredTrial]) -> None:
        """Take in the scores of trials, also of other workers."""
        values = [t.value for t in finished if t.state == "complete" and t.value is not None]
        self.best = min([self.best, *values])

    def of(
        self, result: CandidateResult, name: str, group: str | None = None
    ) -> Sequence[Artifact]:
        """The files of a trial; none for one that is like others, once they have taken enough.

        group: of the trial (a preset, or a closed form), which has pictures of its own verdicts.
        """
        began = monotonic()
        is_news = result.score <= self.best or (group, result.verdict) not in self.verdicts
        if not is_news and self.seconds > SHARE * (began - self.began):
            return ()
        self.best = min(self.best, result.score)
        self.verdicts.add((group, result.verdict))
        files = self.make(result, name)
        self.seconds += monotonic() - began
        return files
