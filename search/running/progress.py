"""How far a study is, as fleets report it while they run."""

from dataclasses import dataclass

from search.errors import FreerunError
from search.storage import Budget, Counts, StudyStore

# Between two looks into the storage: each takes the time of a few optimiser steps.
REPORT_SECONDS = 2.0


class WorkersDied(FreerunError):
    """Workers died again and again; what they wrote last is in the message."""


@dataclass(frozen=True)
class Progress:
    """How far a study is; `in_final` once no trial is left to run."""

    counts: Counts
    budget: Budget
    best: float | None
    in_final: bool
    finals_done: int
    finals: int


def progress(store: StudyStore) -> Progress:
    """How far a study is now."""
    counts, budget, best = store.counts(), store.budget(), store.best_trial()
    jobs = store.final_jobs()
    return Progress(
        counts=counts,
        budget=budget,
        best=None if best is None else best.value,
        in_final=bool(jobs) and not counts.running,
        finals_done=sum(job.state in ("done", "failed") for job in jobs),
        finals=len(jobs),
    )
