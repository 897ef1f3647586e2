"""The jobs that explain a study of presets once its winner is known, shared out like the final's.

anatomy       of the best trial of each preset: one-step forecasts, the echo of errors, and how its
              networks do on draws that they were not trained on
replay        of the report's own series, whose phase is 0, by the best trial of `baseline`
without NAME  the winner without one of its components, on the draws of its final
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from models.candidate import Candidate
from models.checkpoint import Checkpoint
from search.evaluation import CandidateResult, anatomy, one_step_forecasts, transfer
from search.storage import FinalJob, TrialRow
from search.study.definition import StudyDefinition
from search.study.presets import BASELINE_NAME
from search.study.purposes import ANATOMY, REPLAY, WITHOUT
from search.study.space import PRESET
from search.study.space.ablation import without_each
from search.study.task_data import TaskData, View

# Networks of an anatomy or a replay, one a draw; draws on which each of them runs that are not
# its own: more than the 100 below which a mean is not compared with the limit.
NETWORKS = 8
TRANSFER_DRAWS = 200

Train = Callable[[Candidate, list[View]], tuple[Checkpoint, CandidateResult]]


def explaining_jobs(
    definition: StudyDefinition, rows: Sequence[TrialRow], winner: int
) -> Iterator[tuple[str, list[int]]]:
    """Yield the purposes of the jobs that explain a study, each with the ids of its trials.

    rows: all trials; winner: id of the one that won. A study without presets has none.
    """
    if not definition.presets:
        return
    best = best_of_presets(rows)
    yield ANATOMY, [row.trial_id for row in best.values()]
    if BASELINE_NAME in best and definition.series.source == "sine":
        yield REPLAY, [best[BASELINE_NAME].trial_id]
    (won,) = (row for row in rows if row.trial_id == winner)
    for name in without_each(definition.full_space(), won.params):
        yield WITHOUT + name, [winner]


def best_of_presets(rows: Sequence[TrialRow]) -> dict[str, TrialRow]:
    """The complete trial of the least score of each preset that has any, the older of equals."""
    best: dict[str, TrialRow] = {}
    complete = [row for row in rows if row.state == "complete" and PRESET in row.params]
    for row in sorted(complete, key=lambda row: (row.value, row.number)):
        best.setdefault(str(row.params[PRESET]), row)
    return best


def explain(
    job: FinalJob,
    params: Mapping[str, Any],
    definition: StudyDefinition,
    data: TaskData,
    train: Train,
) -> dict[str, Any]:
    """Do one of these jobs; return its result as JSON values.

    params: of the job's trial. train: trains a candidate on views as the final does.
    """
    space = definition.full_space()
    if job.purpose.startswith(WITHOUT):
        candidate = without_each(space, params)[job.purpose.removeprefix(WITHOUT)]
        draws = range(definition.search.final_replicas)
        _, result = train(candidate, [data.view("final", draw) for draw in draws])
        return result.to_plain()
    candidate = space.resolve(params)
    if job.purpose == REPLAY:
        return _replay(candidate, definition, train)
    views = [data.view("final", draw) for draw in range(NETWORKS)]
    checkpoint, result = train(candidate, views)
    plain = anatomy(checkpoint, result, views)
    if definition.series.is_generated:
        others = [data.view("transfer", draw) for draw in range(TRANSFER_DRAWS)]
        plain["transfer"] = transfer(checkpoint, others)
    return plain


def _replay(candidate: Candidate, definition: StudyDefinition, train: Train) -> dict[str, Any]:
    """Train on the series of phase 0, each network with noise of its own; JSON values."""
    series = definition.series.model_copy(update={"phase": 0.0})
    data = TaskData(definition.model_copy(update={"series": series}), None)
    views = [data.view("final", draw) for draw in range(NETWORKS)]
    checkpoint, result = train(candidate, views)
    first = candidate.architecture.context_steps
    shown = result.median_replica.index
    return {
        "result": result.to_plain(),
        "values": views[shown].values[:, 0].tolist(),
        "truth": views[shown].truth[:, 0].tolist(),
        "first_forecast": first,
        "one_step": one_step_forecasts(checkpoint, views, first)[shown, :, 0].tolist(),
    }
