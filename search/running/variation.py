"""A sampler that varies the best candidates: at random first, then one of the best with some moved.

An evolution strategy with recombination of nothing, mu best of all as parents, and one child at a
time (Rechenberg 1973; Beyer & Schwefel 2002). Scores of kernel regressions on chaotic series are
ragged in each parameter, and differ by orders of magnitude: a density of good values by parameter,
as in TPE, is flat where the best combination of them is narrow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

# So many finished trials are sampled at random before any is varied; and this share of all others.
STARTUP_TRIALS = 32
RANDOM_SHARE = 0.2
# One of so many of the best is varied: each parameter moves with this probability, and at least one
# does; numbers by a normal step of this share of their range.
PARENTS, MOVED_SHARE, STEP = 8, 0.3, 0.15


class VariationSampler(BaseSampler):
    """Samples each parameter near that of a parent, which a trial has from its first parameter on.

    seed: of all that it draws.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.anywhere = RandomSampler(seed=seed)
        # The trial that is sampled now, and what it varies; nothing where it is a random one.
        self.number, self.parent, self.forced = -1, dict[str, Any](), ""
        # What all trials have for now, see `SamplerView.fixing`: they vary what is like that.
        self.fixed: Mapping[str, Any] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The parent's value, moved or not; any value of what the parent does not have."""
        if trial.number != self.number:
            self.number = trial.number
            self._choose_parent(study)
        value = self.parent.get(param_name)
        if value is None or param_distribution.single():
            return self.anywhere.sample_independent(study, trial, param_name, param_distribution)
        if param_name != self.forced and self.random.random() >= MOVED_SHARE:
            return value
        return self._near(value, param_distribution)

    def _choose_parent(self, study: Study) -> None:
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        self.parent, self.forced = {}, ""
        # A cohort is led by one candidate; of its company most share that one's parent.
        is_company = len(self.fixed) > 1
        if len(finished) < STARTUP_TRIALS:
            return
        if not is_company and self.random.random() < RANDOM_SHARE:
            return
        complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
        best = sorted(complete, key=lambda trial: (trial.value, trial.number))[:PARENTS]
        alike = [self._shared(trial) for trial in best]
        closest = [trial for trial, own in zip(best, alike, strict=True) if own == max(alike)]
        if not closest or (is_company and 2 * max(alike) <= len(self.fixed)):
            return
        chosen = closest[self.random.integers(len(closest))]
        self.parent = chosen.params
        movable = [
            name
            for name, own in chosen.distributions.items()
            if name not in self.fixed and not own.single()
        ]
        self.forced = str(self.random.choice(movable)) if movable else ""

    def _shared(self, trial: FrozenTrial) -> int:
        """How many of the fixed parameters a trial has."""
        return sum(trial.params.get(name) == value for name, value in self.fixed.items())

    def _near(self, value: Any, distribution: BaseDistribution) -> Any:
        """A value not far from one; of choices the next number, or any other name."""
        match distribution:
            case CategoricalDistribution(choices=choices):
                return self._other(value, choices)
            case IntDistribution(low=low, high=high, log=log, step=step):
                return int(self._stepped(value, low, high, log, step))
            case FloatDistribution(low=low, high=high, log=log, step=step):
                if step is None:
                    return self._moved(value, low, high, log)
                return float(self._stepped(value, low, high, log, step))
        raise AssertionError(distribution)

    def _other(self, value: Any, choices: Sequence[Any]) -> Any:
        others = [choice for choice in choices if choice != value]
        if any(isinstance(choice, bool | str) for choice in choices):
            return others[self.random.integers(len(others))]
        below = [choice for choice in others if choice < value]
        above = [choice for choice in others if choice > value]
        sides = [max(below)] if below else []
        sides += [min(above)] if above else []
        return sides[self.random.integers(len(sides))]

    def _stepped(self, value: float, low: float, high: float, log: bool, step: float) -> float:
        """Another value of a grid: the one near a moved one, or a neighbour."""
        place, most = round((value - low) / step), round((high - low) / step)
        moved = round((self._moved(value, low, high, log) - low) / step)
        if moved == place:
            up = place == 0 or (place < most and self.random.random() < 0.5)
            moved += 1 if up else -1
        return float(low + step * moved)

    def _moved(self, value: float, low: float, high: float, log: bool) -> float:
        """A value a normal step away, reflected at the bounds: at one, half the steps lead out."""
        size = STEP * self.random.standard_normal()
        share = np.log(value / low) / np.log(high / low) if log else (value - low) / (high - low)
        share = abs(share + size) % 2.0
        share = min(share, 2.0 - share)
        moved = low * (high / low) ** share if log else low + share * (high - low)
        return float(np.clip(moved, low, high))
