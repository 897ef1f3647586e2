"""How much each parameter decides whether a trial is among the best."""

import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.analysis.trials import Trial
from search.storage.optuna_log import quiet
from search.study.definition import StudyDefinition
from search.study.space import distribution_of

# The best tenth of the complete trials is compared with all of them; of fewer than 50, that is
# fewer than the 5 that Optuna's documentation of PED-ANOVA asks for.
FEWEST_TRIALS = 50


@dataclass(frozen=True)
class Importance:
    """A parameter's part in reaching the best tenth of the scores.

    share: of all parameters' parts, which sum to 1. trials: complete trials that sampled it.
    """

    parameter: str
    share: float
    trials: int


def importances(trials: Sequence[Trial], definition: StudyDefinition) -> list[Importance]:
    """Return the parameters that trials sampled among several values, the most important first.

    trials: any of the study's; only complete ones count. The method is conditional PED-ANOVA
    (Watanabe et al. 2023, https://arxiv.org/abs/2304.10255, and https://arxiv.org/abs/2601.20800
    for parameters that not every trial has): the Pearson divergence between the distribution of a
    parameter in the best tenth and in all complete trials. In a study with presets, `preset` is a
    parameter too. Equal shares are sorted by name. Returns nothing for fewer than `FEWEST_TRIALS`
    complete trials.
    """
    scored = [t for t in trials if t.is_scored and math.isfinite(t.score)]
    if len(scored) < FEWEST_TRIALS:
        return []
    space = definition.full_space()
    # Made once for a name, since thousands of trials share them and are compared by them.
    distributions = {name: distribution_of(domain) for name, domain in space.domains.items()}
    known = {
        name: count
        for name, distribution in distributions.items()
        if not distribution.single() and (count := sum(name in trial.params for trial in scored))
    }
    if not known:
        return []
    mirror = _Mirror([_frozen(trial, distributions) for trial in scored])
    with warnings.catch_warnings():
        # A condition that held for one trial only: that one trial is left out.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        shares = get_param_importances(
            mirror, evaluator=PedAnovaImportanceEvaluator(), params=list(known)
        )
    rows = [Importance(name, shares[name], count) for name, count in known.items()]
    return sorted(rows, key=lambda row: (-row.share, row.parameter))


class _Mirror(Study):
    """A study whose trials are those that it was given: Optuna's own would copy each of them."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        with quiet():
            empty = optuna.create_study()
        super().__init__(empty.study_name, empty._storage)
        self._given = list(trials)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._given if states is None or trial.state in states]


def _frozen(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.trial_id,
        state=TrialState.COMPLETE,
        value=trial.value,
        params=dict(trial.params),
        distributions={name: distributions[name] for name in trial.params},
        datetime_start=trial.started,
        datetime_complete=trial.completed,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
