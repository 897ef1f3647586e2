"""What a disturbed study left in its database and its folder, and whether that is exact."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from optuna.trial import FrozenTrial, TrialState
from PIL import Image
from sqlalchemy import Connection, text

from benchmarks.audit import read_audit
from search.evaluation import Cohort
from search.storage.opening import open_storage
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition
from search.study.task_data import TaskData

# Of the trials that were lost with a worker, and of those that were not, so many are trained again.
TRAINED_AGAIN = 6


@dataclass(frozen=True)
class LeftOver:
    """What is left of a study.

    failed: trials whose workers were lost three times. begun_after_end: changes of a trial that was
    finished. incomplete: complete trials without a curve or with too few replicas. damaged_files:
    artifacts that are not whole. run_again: trials that were lost and ended all the same.
    trained_again, other_scores: trials that were trained again alone, and those of them that got
    another score. differing: files of report and export that differ from what commands write of the
    same study that nothing disturbs.
    """

    finished: int
    failed: int
    used: int
    open: int
    leases: int
    begun_after_end: int
    twice: int
    incomplete: int
    artifacts: int
    damaged_files: int
    run_again: int
    trained_again: int
    other_scores: int
    jobs: int
    jobs_done: int
    jobs_failed: int
    differing: tuple[str, ...]

    def is_sound(self, trials: int) -> bool:
        """Whether just the budget was spent, nothing was lost or done twice, and all is whole."""
        wrong = (
            *(self.open, self.leases, self.begun_after_end, self.twice, self.incomplete),
            *(self.damaged_files, self.other_scores, len(self.differing)),
        )
        all_jobs = self.jobs == self.jobs_done + self.jobs_failed > 0
        return self.finished == self.used == trials and all_jobs and not any(wrong)


def left_over(url: str, study: str, results: Path, undisturbed: Path, seed: int) -> LeftOver:
    """Look at a study that is over.

    results, undisturbed: folders of a report and an export; seed: chooses who is trained again.
    """
    with open_storage(url, create=False) as storage:
        store = storage.study(study)
        counts, jobs, trials = store.counts(), store.final_jobs(), store.frozen_trials()
        budget = store.budget()
        with storage.engine.connect() as connection:
            audit = read_audit(connection, {})
            lost = _lost(connection)
            incomplete = _incomplete(connection, store)
        files = [own for trial in trials for own in store.artifacts(trial._trial_id)]
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        chosen = _chosen(complete, lost, seed)
        others = sum(_score_alone(store, trial) != trial.value for trial in chosen)
        return LeftOver(
            finished=counts.complete + counts.pruned + counts.failed,
            failed=counts.failed,
            used=budget.used_trials,
            open=counts.running + counts.waiting,
            leases=len(store.held_trials()),
            begun_after_end=audit.begun_after_end,
            twice=len(trials) - len({trial.number for trial in trials}),
            incomplete=incomplete,
            artifacts=len(files),
            damaged_files=sum(not _is_whole(own.filename, own.content) for own in files),
            run_again=len(lost & {t._trial_id for t in trials if t.state != TrialState.FAIL}),
            trained_again=len(chosen),
            other_scores=others,
            jobs=len(jobs),
            jobs_done=sum(job.state == "done" for job in jobs),
            jobs_failed=sum(job.state == "failed" for job in jobs),
            differing=tuple(_differing(results, undisturbed)),
        )


def _lost(connection: Connection) -> set[int]:
    found = connection.execute(text("SELECT trial_id FROM freerun_trials WHERE attempts > 0"))
    return set(found.scalars())


def _incomplete(connection: Connection, store: StudyStore) -> int:
    replicas = read_stored_definition(store.definition).search.replicas
    statement = text(
        "SELECT count(*) FROM trials JOIN freerun_trials USING (trial_id) "
        "WHERE state = 'COMPLETE' AND "
        "(NOT EXISTS (SELECT 1 FROM freerun_curves c WHERE c.trial_id = trials.trial_id) OR "
        "(SELECT count(*) FROM freerun_replicas r WHERE r.trial_id = trials.trial_id) <> :replicas)"
    )
    return int(connection.scalar(statement, {"replicas": replicas}) or 0)


def _is_whole(name: str, content: bytes) -> bool:
    if not name.endswith(".png"):
        return bool(content)
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.load()
    except OSError:
        return False
    return True


def _chosen(complete: list[FrozenTrial], lost: set[int], seed: int) -> list[FrozenTrial]:
    chance = random.Random(seed)
    groups = [[trial for trial in complete if (trial._trial_id in lost) == was] for was in (0, 1)]
    return [t for group in groups for t in chance.sample(group, min(TRAINED_AGAIN, len(group)))]


def _score_alone(store: StudyStore, trial: FrozenTrial) -> float:
    """The score of a trial that is trained once more, in a cohort of its own."""
    torch.set_num_threads(1)
    definition: StudyDefinition = read_stored_definition(store.definition)
    data = TaskData(definition, None)
    cohort = Cohort(
        [definition.full_space().resolve(trial.params)],
        [data.view("search", replica) for replica in range(definition.search.replicas)],
        study_seed=definition.seed,
        purpose="search",
        rung_fractions=definition.search.rung_fractions,
    )
    return [rung.results[0].score for rung in cohort if rung is not None][-1]


def _differing(results: Path, undisturbed: Path) -> list[str]:
    """The files that two folders of results do not share, byte for byte."""
    one, other = _files(results), _files(undisturbed)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _files(folder: Path) -> Mapping[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    # What a killed process left lies under a hidden name, which nobody reads.
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
