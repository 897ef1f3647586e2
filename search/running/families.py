"""Which kind of candidate is tried next, so that none is starved and what is good gets more.

A family is what the first choice of a trial names: its preset, or else its core (a cell or a
closed form). Each family has its own sampler: one sampler for all would model what the best family
has in common and choose at random within the others, whose best an ensemble needs.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.methods import Choices, Scalar
from models.methods.condition import TRAINED
from models.methods.method import Core
from models.methods.registry import method_named
from search.storage.records import ScoredTrial
from search.study.space import PRESET, Space

# The least share of what the best family gets.
LEAST_WEIGHT = 1 / 32
# From so many trials on, a family is judged by its best score, and before by a part of it (on a
# logarithmic scale): of what is trained, which learns more from a trial and takes longer for it,
# and of what is fitted.
JUDGED_TRAINED, JUDGED_FITTED = 8, 16
# Beyond so many trials, a further one of the same family tells less and less.
ENOUGH_TRIALS = 100


@dataclass
class Family:
    """What was spent on a family so far.

    seconds: by this worker. trials: finished ones of all workers. turns: how often this worker
    chose it. best: the least score of its complete trials. core: the cell or closed form that all
    of it have, "" where it is searched. is_trained: whether training takes optimiser steps, rather
    than one fit. is_exhausted: whether all of its candidates seem to be tried. typical: values of
    the space with which its core is good on most series.
    """

    name: str
    core: str
    is_trained: bool
    seconds: float = 0.0
    trials: int = 0
    turns: int = 0
    best: float = math.inf
    is_exhausted: bool = False
    typical: Mapping[str, Scalar] = field(default_factory=dict)


class Families:
    """The families of a space, and whose turn it is.

    selector: the parameter that names a trial's family; None where all trials are of one.
    """

    def __init__(self, space: Space) -> None:
        domain = space.domains.get("cell")
        names: Sequence[str] = ()
        self.selector: str | None = None
        if space.presets:
            self.selector, names = PRESET, list(space.presets)
        elif isinstance(domain, Choices) and len(domain.values) > 1:
            self.selector, names = "cell", [str(name) for name in domain.values]
        cells = domain.values if isinstance(domain, Choices) else ()
        self.all: dict[str, Family] = {}
        for name in names or [""]:
            params = space.presets.get(name, {"cell": name or next(iter(cells), "")})
            core = str(params.get("cell", ""))
            is_trained, typical = TRAINED.holds(params), _typical_values(core, space)
            self.all[name] = Family(name, core, is_trained=is_trained, typical=typical)
        self._by_key: dict[str, str | None] = {}

    def of(self, trial: ScoredTrial) -> str | None:
        """The name of a finished trial's family; None for a trial of another program."""
        return None if trial.cohort_key is None else self.of_key(trial.cohort_key)

    def of_key(self, cohort_key: str) -> str | None:
        """The name of the family of a cohort key; None where the space has no such family."""
        if self.selector is None:
            return ""
        # A worker that joins asks several times for each of the study's trials.
        if cohort_key not in self._by_key:
            self._by_key[cohort_key] = self._named(json.loads(cohort_key))
        return self._by_key[cohort_key]

    def _named(self, key: Sequence[Any]) -> str | None:
        if self.selector == PRESET:
            return key[0] if key[0] in self.all else None
        return next((name for name in self.all if [self.selector, name] in key), None)

    def learn(self, finished: Iterable[ScoredTrial]) -> None:
        """Count finished trials, and note the best scores."""
        for trial in finished:
            name = self.of(trial)
            if name is None:
                continue
            family = self.all[name]
            family.trials += 1
            if trial.state == "complete" and trial.value is not None:
                family.best = min(family.best, trial.value)

    def next(self, trials_left: int | None, seconds_left: float | None) -> str:
        """The family that has had the least for what it is worth; of equals what is fitted first.

        Of what is fitted, and of what is trained, what has typical values comes first: a study that
        is too short to try each family has then tried those that are good on most series.
        Had is the share that it took of what the study may spend: of its trials, of its time, or
        of both, as far as they are limited. Its worth follows its best score, squared: a family
        that is three times worse than the best one gets a ninth, once it has some trials. Beyond
        `ENOUGH_TRIALS`, it counts for more with each trial.
        """
        families = list(self.all.values())
        least = min(family.best for family in families)
        seconds = sum(family.seconds for family in families) + (seconds_left or 0.0)
        trials = sum(family.trials for family in families) + (trials_left or 0)

        def price(family: Family) -> float:
            had = 0.0
            if seconds_left is not None and seconds > 0.0:
                had += family.seconds / seconds
            if trials_left is not None or seconds_left is None:
                had += family.trials / max(trials, 1)
            return had / _weight(family, least) * max(1.0, family.trials / ENOUGH_TRIALS)

        def place(family: Family) -> tuple[bool, float, int, bool, bool]:
            order = family.is_trained, not family.typical
            return family.is_exhausted, price(family), family.turns, *order

        chosen = min(families, key=place)
        chosen.turns += 1
        return chosen.name

    def exhaust(self, name: str) -> None:
        """Note that a sampler found no further candidate of a family: others come first now."""
        self.all[name].is_exhausted = True

    def charge(self, name: str, seconds: float) -> None:
        """Note what a cohort of a family took."""
        self.all[name].seconds += seconds


def _weight(family: Family, least: float) -> float:
    if family.best <= 0.0 or family.best <= least:
        return 1.0
    judged = JUDGED_TRAINED if family.is_trained else JUDGED_FITTED
    certainty = min(1.0, family.trials / judged)
    return float(max((least / family.best) ** 2, LEAST_WEIGHT) ** certainty)


def _typical_values(core: str, space: Space) -> dict[str, Scalar]:
    """The values that are typical of a cell or closed form, as far as a space has them."""
    method = method_named("cell", core)
    if method is None or not issubclass(method, Core):
        return {}
    return {
        name: value
        for name, value in method.typical.items()
        if name in space.domains and space.domains[name].contains(value)
    }
