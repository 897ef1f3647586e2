"""A study's budget is spent: by worker processes, or by this process alone."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from models.tensors import one_thread
from search.running.fleet import REPORT_SECONDS, Progress, progress

if TYPE_CHECKING:
    from search.storage.study_store import StudyStore


def run_here(store: StudyStore, device: str, show: Callable[[Progress], None]) -> None:
    """Work on a study in this process until its budget is spent; show how far it is on the way.

    An interrupt gives back what is running.
    """
    from search.cli.working import worker_of

    shown = monotonic()

    def look() -> bool:
        # The one thing that a worker asks for between two steps of an optimiser.
        nonlocal shown
        if monotonic() - shown >= REPORT_SECONDS:
            show(progress(store))
            shown = monotonic()
        return False

    with one_thread():
        worker_of(store, look, device).run()
    show(progress(store))
