"""The course of a search: scores trial by trial, speed, pruning, workers and failures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from search.analysis.trials import Trial
from search.storage.records import WorkerStatus

_LEAST_SCORE = 1e-12
# Beyond so many trials those that would lie on each other are drawn once.
_MOST_TRIALS = 1500
_COLUMNS, _ROWS_PER_DECADE = 150, 15
_BINS = 60
_MOST_MESSAGES = 10


@dataclass(frozen=True)
class Points:
    """Trial numbers, their scores, and how many trials each point stands for."""

    numbers: Sequence[int]
    scores: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True)
class History:
    """The scores of a study's trials in their order.

    complete: scores at the end; pruned: last reports, of networks that were not trained to their
    end; best: the steps of the best score so far.
    """

    complete: Points
    pruned: Points
    best: Points


@dataclass(frozen=True)
class Rate:
    """Trials that ended, a minute, in intervals of equal length.

    minutes: from the first start to the middle of each interval. span_minutes: to the last end.
    """

    span_minutes: float
    minutes: Sequence[float]
    complete: Sequence[float]
    pruned: Sequence[float]


@dataclass(frozen=True)
class Rung:
    """How many trials reported at a rung, and how many were pruned there."""

    rung: int
    reported: int
    pruned: int


@dataclass(frozen=True)
class Crew:
    """Workers of one host and one type of machine. trials: how many they finished."""

    host: str
    machine: str
    workers: int
    alive: int
    trials: int


@dataclass(frozen=True)
class Failures:
    """Why trials failed: (message, trials) of the most frequent messages; others: of the rest."""

    messages: Sequence[tuple[str, int]]
    others: int


def history_of(trials: Sequence[Trial]) -> History:
    """Return the history of trials, which come in the order of their numbers."""
    complete, pruned = (
        [
            (trial.number, max(trial.value, _LEAST_SCORE))
            for trial in trials
            if trial.state == state and trial.value is not None and math.isfinite(trial.value)
        ]
        for state in ("complete", "pruned")
    )
    return History(_thinned(complete), _thinned(pruned), _best(complete, len(trials)))


def rate_of(trials: Sequence[Trial]) -> Rate | None:
    """Return the rate over the whole study; None where nothing ended, or all at one moment."""
    starts = [trial.started for trial in trials if trial.started is not None]
    ends = [(trial.state, trial.completed) for trial in trials if trial.completed is not None]
    if not starts or not ends:
        return None
    first = min(starts)
    width = (max(end for _, end in ends) - first) / _BINS
    if width <= timedelta(0):
        return None
    minutes = width.total_seconds() / 60

    def rates(state: str) -> list[float]:
        own = (end for ended, end in ends if ended == state)
        bins = Counter(min(_BINS - 1, int((end - first) / width)) for end in own)
        return [_short(bins[i] / minutes) for i in range(_BINS)]

    return Rate(
        span_minutes=_BINS * minutes,
        minutes=[_short((i + 0.5) * minutes) for i in range(_BINS)],
        complete=rates("complete"),
        pruned=rates("pruned"),
    )


def rungs_of(trials: Sequence[Trial]) -> list[Rung]:
    """Return the rungs at which trials reported."""
    reported: Counter[int] = Counter()
    pruned: Counter[int] = Counter()
    for trial in trials:
        reported.update(trial.reports.keys())
        if trial.state == "pruned" and trial.reports:
            pruned[max(trial.reports)] += 1
    return [Rung(rung, reported[rung], pruned[rung]) for rung in sorted(reported)]


def crews_of(trials: Sequence[Trial], workers: Sequence[WorkerStatus]) -> list[Crew]:
    """Return the workers by host and type of machine."""
    finished = Counter(trial.record.worker for trial in trials)
    found: dict[tuple[str, str], list[WorkerStatus]] = {}
    for worker in workers:
        machine = worker.machine
        keys = ("architecture", "cpu_capability", "device")
        kind = ", ".join(str(machine[key]) for key in keys if key in machine)
        if "torch" in machine:
            kind += f", torch {machine['torch']}"
        found.setdefault((worker.host, kind), []).append(worker)
    return [
        Crew(
            host,
            kind,
            workers=len(members),
            alive=sum(worker.alive for worker in members),
            trials=sum(finished[worker.worker_id] for worker in members),
        )
        for (host, kind), members in found.items()
    ]


def failures_of(trials: Sequence[Trial]) -> Failures:
    """Count the messages of failed trials."""
    messages = Counter(
        trial.record.message or "no message" for trial in trials if trial.state == "failed"
    )
    shown = messages.most_common(_MOST_MESSAGES)
    return Failures(shown, messages.total() - sum(count for _, count in shown))


def _best(scored: Iterable[tuple[int, float]], trials: int) -> Points:
    steps: list[tuple[int, float]] = []
    for number, score in scored:
        if not steps or score < steps[-1][1]:
            steps.append((number, score))
    if steps and steps[-1][0] < trials - 1:
        steps.append((trials - 1, steps[-1][1]))
    return _points(steps)


def _points(scored: Sequence[tuple[int, float]], counts: Sequence[int] = ()) -> Points:
    return Points([n for n, _ in scored], [s for _, s in scored], counts or [1] * len(scored))


def _thinned(scored: Sequence[tuple[int, float]]) -> Points:
    """All points where there are few; else one for each cell of the picture that has any."""
    if len(scored) <= _MOST_TRIALS:
        return _points(scored)
    width = max(1, scored[-1][0] // _COLUMNS)
    cells: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for number, score in scored:
        cell = (number // width, math.floor(math.log10(score) * _ROWS_PER_DECADE))
        cells.setdefault(cell, []).append((number, score))
    first = [(number, _short(score)) for (number, score), *_ in cells.values()]
    return _points(first, [len(members) for members in cells.values()])


def _short(value: float) -> float:
    return float(f"{value:.4g}")
