"""The training of a subject of the final: a trial's candidate, a baseline or an ensemble."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from models.candidate import Candidate
from models.checkpoint import Checkpoint
from models.ensemble import Ensemble
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from search.evaluation import CandidateResult, Cohort
from search.evaluation.ensembles import train_ensemble
from search.evaluation.twins import distinct_views
from search.records import FinalRecord
from search.series import Purpose
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View


def train(
    candidate: Candidate,
    views: Sequence[View],
    study_seed: int,
    purpose: Purpose,
    device: str,
    tick: Callable[[], None],
) -> tuple[Checkpoint, CandidateResult]:
    """Train one candidate to the end on its views and score it."""
    cohort = Cohort([candidate], views, study_seed=study_seed, purpose=purpose, device=device)
    for rung in cohort:
        if rung is not None:
            return cohort.checkpoint(), rung.results[0]
        tick()
    raise AssertionError("a cohort ends with its last rung")


def train_any(
    candidate: AnyCandidate,
    views: Sequence[View],
    study_seed: int,
    purpose: Purpose,
    device: str,
    tick: Callable[[], None],
    *,
    is_held_out: bool = False,
) -> tuple[AnyCheckpoint, CandidateResult]:
    """Train a candidate or the members of an ensemble; is_held_out: see `train_ensemble`."""
    one = partial(train, study_seed=study_seed, purpose=purpose, device=device, tick=tick)
    if isinstance(candidate, Ensemble):
        return train_ensemble(candidate, views, one, is_held_out=is_held_out)
    return one(candidate, views)


def job_views(definition: StudyDefinition, data: TaskData, purpose: Purpose) -> list[View]:
    """What the replicas of a final or a test see: fresh draws, or the table again."""
    search = definition.search
    is_test = purpose == "test" and definition.series.is_generated
    replicas = search.test_draws if is_test else search.final_replicas
    return [data.view(purpose, replica) for replica in range(replicas)]


def baseline_views(definition: StudyDefinition, data: TaskData, purpose: Purpose) -> list[View]:
    """The same for a baseline, which has no random numbers: a table once."""
    return distinct_views(job_views(definition, data, purpose))


def final_record(
    result: CandidateResult, candidate: dict[str, Any] | None = None, **more: Any
) -> FinalRecord:
    """What a final or a test found; candidate, more: see `FinalRecord`."""
    units = tuple(replica.unit_errors for replica in result.replicas)
    return FinalRecord(**dict(result.record), unit_errors=units, candidate=candidate, **more)
