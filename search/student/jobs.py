"""The jobs that explain a study of presets once its winner is tested, shared like the final's.

DIAGNOSIS       the best trial of each preset: one-step forecasts, sensitivity to a displaced value,
                and how its networks do on draws that they were not trained on
REPLAY          the report's own series, whose phase is 0, by the best trial of `baseline`
WITHOUT + name  the winner without one of its components, on the draws of its final
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.candidate import Candidate
from search.evaluation import anatomy, one_step_forecasts, transfer
from search.running.final import CompleteTrial, Train
from search.study.definition import StudyDefinition
from search.study.presets import BASELINE_NAME
from search.study.space import PRESET
from search.study.space.ablation import without_each
from search.study.task_data import TaskData

# As databases have held them since version 0.1.0.
DIAGNOSIS, REPLAY, WITHOUT = "anatomy", "replay", "without "

# Networks of a diagnosis or a replay, one a draw; draws on which each of them runs that are not
# its own: more than the 100 below which a mean is not compared with the limit.
NETWORKS = 8
TRANSFER_DRAWS = 200


class ExplainingJobs:
    """The jobs as a worker plans and does them, see `search.running.final.FurtherJobs`."""

    def plan(
        self, definition: StudyDefinition, trials: Sequence[CompleteTrial], winner: int
    ) -> Iterator[tuple[str, Sequence[int]]]:
        """Yield the purposes with the ids of their trials; none for a study without presets."""
        if not definition.presets:
            return
        best: dict[str, int] = {}
        for trial in trials:
            best.setdefault(str(trial.params[PRESET]), trial.trial_id)
        yield DIAGNOSIS, list(best.values())
        if BASELINE_NAME in best and definition.series.source == "sine":
            yield REPLAY, [best[BASELINE_NAME]]
        (won,) = (trial for trial in trials if trial.trial_id == winner)
        for name in without_each(definition.full_space(), won.params):
            yield WITHOUT + name, [winner]

    def run(
        self,
        purpose: str,
        params: Mapping[str, Any],
        definition: StudyDefinition,
        data: TaskData,
        train: Train,
    ) -> dict[str, Any]:
        """Do a job; return its result as JSON values."""
        space = definition.full_space()
        if purpose.startswith(WITHOUT):
            candidate = without_each(space, params)[purpose.removeprefix(WITHOUT)]
            draws = range(definition.search.final_replicas)
            _, result = train(candidate, [data.view("final", draw) for draw in draws])
            return result.to_plain()
        candidate = space.resolve(params)
        if purpose == REPLAY:
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
