"""A study's budget is spent: by worker processes, or by this process alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from search.running.fleet import REPORT_SECONDS, Progress, progress

if TYPE_CHECKING:
    from search.storage.study_store import StudyStore


def run_here(store: StudyStore, device: str, show: Callable[[Progress], None]) -> None:
    """Work on a study in this process until its budget is spent; show how far it is on the way.

    An interrupt gives back what is running.
    """
    from search.cli.options import stored_study
    from search.plotting.artifacts import trial_artifacts
    from search.running.worker import Worker
    from search.student.jobs import ExplainingJobs
    from search.study.task_data import TaskData

    shown = monotonic()

    def look() -> bool:
        # The one thing that a worker asks for between two steps of an optimiser.
        nonlocal shown
        if monotonic() - shown >= REPORT_SECONDS:
            show(progress(store))
            shown = monotonic()
        return False

    definition, table = stored_study(store)
    with one_thread():
        Worker(
            store,
            definition,
            TaskData(definition, table),
            make_artifacts=trial_artifacts,
            stop_requested=look,
            device=device,
            further_jobs=ExplainingJobs(),
        ).run()
    show(progress(store))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as all workers do, and give the process its threads back."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
