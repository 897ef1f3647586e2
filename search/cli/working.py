"""A worker of a stored study, with the pictures of trials and the jobs that explain a study."""

from collections.abc import Callable

from search.cli.options import stored_study
from search.plotting.artifacts import trial_artifacts
from search.running.worker import Worker
from search.storage.study_store import StudyStore
from search.student.jobs import ExplainingJobs
from search.study.task_data import TaskData


def worker_of(store: StudyStore, stop_requested: Callable[[], bool], device: str) -> Worker:
    """Return a worker that has not begun; see `Worker` for what it is told."""
    definition, table = stored_study(store)
    return Worker(
        store,
        definition,
        TaskData(definition, table),
        make_artifacts=trial_artifacts,
        stop_requested=stop_requested,
        device=device,
        further_jobs=ExplainingJobs(),
    )
