"""The jobs that explain a study of presets once its winner is tested, shared like the final's.

DIAGNOSIS       the best trial of each preset, and the trial of `baseline` with the least training
                loss: one-step forecasts, sensitivity to a displaced value, and how its networks do
                on draws that they were not trained on
REPLAY          the report's own series, whose phase is 0, by the `baseline` of the least loss
WITHOUT + name  the winner without one of its components, on the draws of its final
ABLATION + name the best trials of some presets without one of theirs, on the draws of a diagnosis
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from models.candidate import Candidate
from search.errors import UsageError
from search.evaluation.diagnostics import (
    OneStep,
    Sensitivity,
    Transfer,
    one_step,
    one_step_forecasts,
    persistence_curve,
    sensitivity,
    transfer,
)
from search.records import Array, CandidateRecord, Origin
from search.running.final import CompleteTrial, Train
from search.study.definition import StudyDefinition
from search.study.presets import BASELINE_NAME
from search.study.presets import BY_NAME as PRESETS
from search.study.space import PRESET, Space
from search.study.space.ablation import without_each
from search.study.task_data import TaskData

# As databases have held them since version 0.1.0.
DIAGNOSIS, REPLAY, WITHOUT = "anatomy", "replay", "without "
ABLATION = "ablation "

# Networks of a diagnosis or a replay, one a draw; draws on which each of them runs that are not
# its own: more than the 100 below which a mean is not compared with the limit.
NETWORKS = 8
TRANSFER_DRAWS = 200


class Diagnosis(Origin):
    """The best trial of a preset, trained again on `NETWORKS` draws.

    persistence: NMSE by horizon step of the last value for ever. one_step, sensitivity: None where
    they are not defined, see `search.evaluation.diagnostics`. transfer: None for a table.
    """

    result: CandidateRecord
    persistence: Array
    one_step: OneStep | None
    sensitivity: Sensitivity | None = Field(alias="echo")
    transfer: Transfer | None = None


class Replay(Origin):
    """The series of phase 0, `[time]`, and its forecasts by the network of the median replica.

    one_step: of the values from position `first_forecast` on.
    """

    result: CandidateRecord
    values: Array
    truth: Array
    first_forecast: int
    one_step: Array


class Without(CandidateRecord, Origin):
    """A candidate without one of its components, on the draws of the final or of a diagnosis."""


class ExplainingJobs:
    """The jobs as a worker plans and does them, see `search.running.final.FurtherJobs`."""

    def plan(
        self,
        definition: StudyDefinition,
        trials: Sequence[CompleteTrial],
        winner: int,
        losses: Callable[[Sequence[int]], Mapping[int, float]],
    ) -> Iterator[tuple[str, Sequence[int]]]:
        """Yield the purposes with the ids of their trials; none for a study without presets."""
        if not definition.presets:
            return
        space = definition.full_space()
        best: dict[str, CompleteTrial] = {}
        for trial in trials:
            preset = str(trial.params.get(PRESET))
            if PRESET in trial.params and preset not in best and _is_candidate(space, trial):
                best[preset] = trial
        yield DIAGNOSIS, [trial.trial_id for trial in best.values()]
        if BASELINE_NAME in best:
            # The best free run of an attempt may be that of a network which hardly learned
            # anything, and whose constant happens to lie well.
            of_baseline = losses(
                [
                    trial.trial_id
                    for trial in trials
                    if trial.params.get(PRESET) == BASELINE_NAME and _is_candidate(space, trial)
                ]
            )
            trained = min(of_baseline, key=lambda trial_id: (of_baseline[trial_id], trial_id))
            yield DIAGNOSIS, [trained]
            if definition.series.source == "sine":
                yield REPLAY, [trained]
        (won,) = (trial for trial in trials if trial.trial_id == winner)
        for name in without_each(space, won.params):
            yield WITHOUT + name, [winner]
        ablated: dict[str, list[int]] = {}
        for preset, trial in best.items():
            if preset in PRESETS and PRESETS[preset].is_ablated:
                for name in without_each(space, trial.params):
                    ablated.setdefault(name, []).append(trial.trial_id)
        for name, trial_ids in ablated.items():
            yield ABLATION + name, trial_ids

    def run(
        self,
        purpose: str,
        params: Mapping[str, Any],
        definition: StudyDefinition,
        data: TaskData,
        train: Train,
    ) -> Diagnosis | Replay | Without:
        """Do a job; return its result."""
        space = definition.full_space()
        for prefix, draws in ((WITHOUT, definition.search.final_replicas), (ABLATION, NETWORKS)):
            if purpose.startswith(prefix):
                candidate = without_each(space, params)[purpose.removeprefix(prefix)]
                views = [data.view("final", draw) for draw in range(draws)]
                return Without(**dict(train(candidate, views)[1].record))
        candidate = space.resolve(params)
        if purpose == REPLAY:
            return _replay(candidate, definition, train)
        return _diagnosis(candidate, definition, data, train)


def _is_candidate(space: Space, trial: CompleteTrial) -> bool:
    """Whether a trial is of this space: another program may have added one that is not."""
    try:
        space.resolve(trial.params)
    except UsageError:
        return False
    return True


def _diagnosis(
    candidate: Candidate, definition: StudyDefinition, data: TaskData, train: Train
) -> Diagnosis:
    views = [data.view("final", draw) for draw in range(NETWORKS)]
    checkpoint, result = train(candidate, views)
    others = range(TRANSFER_DRAWS) if definition.series.is_generated else ()
    replica = result.record.example.replica
    return Diagnosis(
        result=result.record,
        persistence=persistence_curve(views),
        one_step=one_step(checkpoint, views, replica),
        sensitivity=sensitivity(checkpoint, views),
        transfer=transfer(checkpoint, [data.view("transfer", draw) for draw in others])
        if others
        else None,
    )


def _replay(candidate: Candidate, definition: StudyDefinition, train: Train) -> Replay:
    """Train on the series of phase 0, each network with noise of its own."""
    series = definition.series.model_copy(update={"phase": 0.0})
    data = TaskData(definition.model_copy(update={"series": series}), None)
    views = [data.view("final", draw) for draw in range(NETWORKS)]
    checkpoint, result = train(candidate, views)
    first, shown = candidate.architecture.context_steps, result.record.example.replica
    return Replay(
        result=result.record,
        values=views[shown].values[:, 0],
        truth=views[shown].truth[:, 0],
        first_forecast=first,
        one_step=one_step_forecasts(checkpoint, views, [first] * NETWORKS)[shown, :, 0],
    )
