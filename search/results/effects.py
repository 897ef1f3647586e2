"""What each component does to the score: the trials of each of its values side by side."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.methods import Choices, Domain
from search.results.groups import Group, Key, grouped
from search.storage import ParamValue, TrialRow
from search.study.definition import StudyDefinition

# Ranges of numbers are cut into so many parts of equal width, on a log scale where they have one.
_PARTS = 4


@dataclass(frozen=True)
class Value:
    """A value of a parameter, or a part of its range, as it is shown, and its trials."""

    shown: str
    trials: Group


@dataclass(frozen=True)
class Effect:
    """A parameter that trials sampled among several values."""

    parameter: str
    values: Sequence[Value]


def effects(
    trials: Sequence[TrialRow], definition: StudyDefinition, names: Sequence[str]
) -> list[Effect]:
    """Return the named parameters, in that order, as far as trials have several values of them."""
    domains = definition.full_space().domains
    shown = [_effect(trials, name, domains[name]) for name in names]
    return [effect for effect in shown if len(effect.values) > 1]


def _effect(trials: Sequence[TrialRow], name: str, domain: Domain) -> Effect:
    part: Callable[[ParamValue], Key] = _as_key
    label: Callable[[Key], str] = _shown
    if not isinstance(domain, Choices):
        part, label = _parts(domain.low, domain.high, log=domain.log)

    def key(trial: TrialRow) -> Key | None:
        # As it was sampled: what a preset fixes is part of the preset, not chosen for itself.
        value = trial.params.get(name)
        return None if value is None else part(value)

    return Effect(name, [Value(label(group.key), group) for group in grouped(trials, key)])


def _as_key(value: ParamValue) -> Key:
    assert value is not None
    return value


def _shown(value: Key) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(
    low: float, high: float, *, log: bool
) -> tuple[Callable[[ParamValue], Key], Callable[[Key], str]]:
    """How a number is put into a part of its range, and how that part is shown."""

    def scale(number: float) -> float:
        return math.log(number) if log else number

    first, width = scale(low), (scale(high) - scale(low)) / _PARTS

    def part(value: ParamValue) -> Key:
        assert isinstance(value, int | float)
        return min(_PARTS - 1, max(0, int((scale(value) - first) / width))) if width else 0

    def edge(number: int) -> str:
        at = first + number * width
        return f"{math.exp(at) if log else at:.2g}"

    return part, lambda key: f"{edge(int(key))} to {edge(int(key) + 1)}"
