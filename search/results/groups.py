"""Trials in groups: by preset, by what they read, by the value of a parameter."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from search.storage import ParamValue, TrialRow
from search.study.definition import StudyDefinition
from search.study.space import PRESET

Key = str | float | int | bool


@dataclass(frozen=True)
class Group:
    """Trials that share a value. The scores are of the complete ones.

    trials: complete and pruned ones; tracking: those of them whose verdict is "tracks". complete:
    of them; best, median, quartiles: of their scores,
    None where none is complete.
    """

    key: Key
    trials: int
    tracking: int
    complete: int
    best: float | None
    median: float | None
    quartiles: tuple[float, float] | None


def grouped(trials: Iterable[TrialRow], key: Callable[[TrialRow], Key | None]) -> list[Group]:
    """Return the groups in the order of their keys; trials without a key are in none."""
    ended: Counter[Key] = Counter()
    tracking: Counter[Key] = Counter()
    scores: defaultdict[Key, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.state not in ("complete", "pruned") or (value := key(trial)) is None:
            continue
        ended[value] += 1
        tracking[value] += trial.user_attributes.get("verdict") == "tracks"
        if trial.state == "complete" and trial.value is not None:
            scores[value].append(trial.value)
    keys = sorted(ended, key=lambda value: (isinstance(value, str), value))
    return [_group(value, ended[value], tracking[value], scores[value]) for value in keys]


def _group(key: Key, trials: int, tracking: int, scores: list[float]) -> Group:
    if not scores:
        return Group(key, trials, tracking, 0, None, None, None)
    low, middle, high = np.percentile(scores, [25, 50, 75]).tolist()
    return Group(key, trials, tracking, len(scores), min(scores), middle, (low, high))


def verdict_counts(trials: Iterable[TrialRow]) -> list[tuple[str, int, int]]:
    """Return each verdict with how many complete and how many pruned trials got it, most first."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        if "verdict" in trial.user_attributes:
            counts[str(trial.user_attributes["verdict"])][trial.state] += 1
    rows = [(verdict, count["complete"], count["pruned"]) for verdict, count in counts.items()]
    return sorted(rows, key=lambda row: (-row[1] - row[2], row[0]))


def preset_of(trial: TrialRow) -> str | None:
    """A trial's preset, None in a study without presets."""
    preset = trial.params.get(PRESET)
    return None if preset is None else str(preset)


def all_parameters(definition: StudyDefinition, trial: TrialRow) -> Mapping[str, ParamValue]:
    """What a trial sampled, with what its preset fixes."""
    preset = preset_of(trial)
    quota = None if preset is None else definition.presets.get(preset)
    return dict(trial.params) if quota is None else {**quota.fixed, **trial.params}


def context_steps(definition: StudyDefinition, trial: TrialRow) -> int | None:
    """How many true values a trial's networks read before a free run that is scored."""
    params = all_parameters(definition, trial)
    name = "window_steps" if params.get("context") == "window" else "warm_up_steps"
    steps = params.get(name)
    return int(steps) if isinstance(steps, int | float) else None
