"""A worker of a stored study, with the pictures of trials and the jobs that explain a study."""

from collections.abc import Callable, Sequence

from search.cli.options import stored_study
from search.evaluation import CandidateResult
from search.running.worker import Worker
from search.storage.records import Artifact
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
        make_artifacts=_trial_artifacts,
        stop_requested=stop_requested,
        device=device,
        further_jobs=ExplainingJobs(),
    )


def _trial_artifacts(result: CandidateResult, name: str) -> Sequence[Artifact]:
    # Imported here: Matplotlib takes half a second, for which no first trial should wait.
    from search.plotting.artifacts import trial_artifacts

    return trial_artifacts(result, name)
