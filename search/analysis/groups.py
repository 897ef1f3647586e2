"""Trials side by side: by any key, and by the value of a parameter."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.methods import Choices, Domain
from search.analysis.trials import Trial
from search.storage.records import ParamValue
from search.study.definition import StudyDefinition

Key = str | float | int | bool

# Ranges of numbers are cut into so many parts of equal width, on a log scale where they have one.
_PARTS = 4


@dataclass(frozen=True)
class Group:
    """Trials that share a value.

    trials: complete and pruned ones; tracking: those whose verdict is "tracks"; complete: those
    that are complete. best, median, quartiles: of the scores of complete trials, None without one.
    """

    key: Key
    trials: int
    tracking: int
    complete: int
    best: float | None
    median: float | None
    quartiles: tuple[float, float] | None


@dataclass(frozen=True)
class ParameterEffect:
    """A parameter of which trials sampled several values.

    values: each, or a part of their range, as it is shown, with its trials.
    """

    parameter: str
    values: Sequence[tuple[str, Group]]


def grouped(trials: Iterable[Trial], key: Callable[[Trial], Key | None]) -> list[Group]:
    """Return the groups in the order of their keys; trials without a key are in none."""
    ended: defaultdict[Key, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.state in ("complete", "pruned") and (value := key(trial)) is not None:
            ended[value].append(trial)
    keys = sorted(ended, key=lambda value: (isinstance(value, str), value))
    return [_group(value, ended[value]) for value in keys]


def effects(
    trials: Sequence[Trial], definition: StudyDefinition, names: Sequence[str]
) -> list[ParameterEffect]:
    """Return those of the named parameters, in their order, of which trials have several values.

    A value that a preset fixes does not count: it belongs to the preset and was not sampled.
    """
    domains = definition.full_space().domains
    shown = [_effect(trials, name, domains[name]) for name in names]
    return [effect for effect in shown if len(effect.values) > 1]


def _group(key: Key, trials: Sequence[Trial]) -> Group:
    tracking = sum(trial.record.verdict == "tracks" for trial in trials)
    scores = [trial.score for trial in trials if trial.is_scored]
    if not scores:
        return Group(key, len(trials), tracking, 0, None, None, None)
    low, middle, high = np.percentile(scores, [25, 50, 75]).tolist()
    return Group(key, len(trials), tracking, len(scores), min(scores), middle, (low, high))


def _effect(trials: Sequence[Trial], name: str, domain: Domain) -> ParameterEffect:
    if isinstance(domain, Choices):
        groups = grouped(trials, lambda trial: trial.params.get(name))
        return ParameterEffect(name, [(_shown(group.key), group) for group in groups])
    part, label = _parts(domain.low, domain.high, log=domain.log)
    groups = grouped(trials, lambda trial: part(trial.params.get(name)))
    return ParameterEffect(name, [(label(group.key), group) for group in groups])


def _shown(value: Key) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(
    low: float, high: float, *, log: bool
) -> tuple[Callable[[ParamValue], int | None], Callable[[Key], str]]:
    """How a number is put into a part of its range, and how that part is shown."""

    def scale(number: float) -> float:
        return math.log(number) if log else number

    first, width = scale(low), (scale(high) - scale(low)) / _PARTS

    def part(value: ParamValue) -> int | None:
        if value is None:
            return None
        assert isinstance(value, int | float)
        return min(_PARTS - 1, max(0, int((scale(value) - first) / width))) if width else 0

    def edge(number: int) -> str:
        at = first + number * width
        return f"{math.exp(at) if log else at:.2g}"

    return part, lambda key: f"{edge(int(key))} to {edge(int(key) + 1)}"
