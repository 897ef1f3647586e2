"""What studies of presets found: numbers by preset, the limit, and what explains them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.analysis.study_results import StudyResults
from search.analysis.winner import Winner
from search.plotting.artifacts import ROLLOUT
from search.series import SineSeries
from search.storage import TrialRow
from search.student.jobs import DIAGNOSIS, REPLAY, WITHOUT
from search.study.limit.limit import ContextLimit, Limit, sine_limit
from search.study.presets import BY_NAME as PRESETS
from search.study.presets import Preset
from search.study.space import PRESET, Space
from search.study.space.ablation import components, taken_along

# Context lengths at which the limit is drawn, as far as the training span has them.
_CONTEXTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_RESAMPLES, _CONFIDENCE = 10_000, 0.95


@dataclass(frozen=True)
class ExampleRun:
    """The picture of one trial's free run, PNG: the middle one by score of those of a verdict."""

    verdict: str
    trials: int
    number: int
    score: float
    picture: bytes


@dataclass(frozen=True, eq=False)
class Attempt:
    """The trials of one preset of one study.

    context_steps: None where the preset leaves them open. scores: of its complete trials, the least
    first; others: trials of any other state. contexts: (context steps, mean over replicas) of each
    complete trial. anatomy: as `search.evaluation.anatomy` made it of the best trial, with the
    `transfer` of its networks; None where it is not done.
    """

    study: str
    preset: Preset
    context_steps: int | None
    scores: tuple[float, ...]
    others: int
    best_trial: int
    verdicts: Mapping[str, int]
    examples: tuple[ExampleRun, ...]
    contexts: tuple[tuple[int, float], ...]
    anatomy: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.preset.name

    @property
    def median(self) -> float:
        """The median score of its complete trials."""
        return float(np.median(self.scores))

    @property
    def mean(self) -> float:
        """Their mean score."""
        return float(np.mean(self.scores))

    @property
    def tracking(self) -> int:
        """How many of its complete trials track."""
        return self.verdicts.get("tracks", 0)

    @property
    def transfer(self) -> Mapping[str, Any] | None:
        """How its best networks do on draws that they were not trained on."""
        return None if self.anatomy is None else self.anatomy.get("transfer")


@dataclass(frozen=True)
class Effect:
    """How many times as large the error is without a component of the winner: low <= ratio <= high.

    The geometric mean over pairs of networks of the same draw, without it and with it; low and high
    bound it with 95 % confidence (bootstrap over the pairs). score: the median without it.
    along: components that rest on it and went with it, so that the ratio is of all of them.
    """

    component: str
    without: str
    along: tuple[str, ...]
    ratio: float
    low: float
    high: float
    score: float
    pairs: int


@dataclass(frozen=True, eq=False)
class StudyFindings:
    """What one study of presets found.

    limit: None where none is known. short_limit: the same over the horizon of the search. replay:
    the series of phase 0, None where it was not replayed.
    """

    results: StudyResults
    attempts: tuple[Attempt, ...]
    limit: Limit | None
    short_limit: Limit | None
    effects: tuple[Effect, ...]
    replay: Mapping[str, Any] | None
    winner: Winner | None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.results.study.name

    @property
    def noise_std(self) -> float | None:
        """Of the series, None where it is not a sine."""
        series = self.results.definition.series
        return series.noise_std if isinstance(series, SineSeries) else None

    def attempt(self, preset: str) -> Attempt | None:
        """The trials of a preset, None where there are none."""
        return next((a for a in self.attempts if a.name == preset), None)

    def limit_at(self, context_steps: int | None) -> ContextLimit | None:
        """The limit of a context, over the horizon of the test."""
        if self.limit is None or context_steps is None:
            return None
        return next((c for c in self.limit.contexts if c.samples == context_steps), None)


def study_findings(results: StudyResults) -> StudyFindings | None:
    """Read what a study found; None for one without presets or without a complete trial."""
    definition = results.definition
    jobs = [job for job in results.study.final_jobs() if job.result is not None]
    by_trial = {
        job.trial_id: json.loads(job.result or "") for job in jobs if job.purpose == DIAGNOSIS
    }
    attempts = []
    for name, quota in definition.presets.items():
        trials = [trial for trial in results.trials if trial.params.get(PRESET) == name]
        found = _attempt(
            results, PRESETS.get(name, Preset(name, "", quota.fixed)), trials, by_trial
        )
        if found is not None:
            attempts.append(found)
    if not attempts:
        return None
    replays = [json.loads(job.result or "") for job in jobs if job.purpose == REPLAY]
    without = {
        job.purpose.removeprefix(WITHOUT): json.loads(job.result or "")
        for job in jobs
        if job.purpose.startswith(WITHOUT)
        and results.winner is not None
        and job.trial_id == results.winner.trial_id
    }
    contexts = {a.context_steps for a in attempts if a.context_steps is not None}
    return StudyFindings(
        results=results,
        attempts=tuple(attempts),
        limit=_limit(results, contexts, definition.task.test_horizon_steps),
        short_limit=_limit(results, contexts, definition.task.horizon_steps),
        effects=_effects(definition.full_space(), results.winner, without),
        replay=replays[0] if replays else None,
        winner=results.winner,
    )


def _attempt(
    results: StudyResults,
    preset: Preset,
    trials: Sequence[TrialRow],
    anatomies: Mapping[int, Mapping[str, Any]],
) -> Attempt | None:
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    complete.sort(key=lambda trial: (trial.value, trial.number))
    if not complete:
        return None
    window = preset.fixed.get("window_steps", preset.fixed.get("warm_up_steps"))
    anatomy = next((anatomies[t.trial_id] for t in complete if t.trial_id in anatomies), None)
    return Attempt(
        study=results.study.name,
        preset=preset,
        context_steps=None if window is None else int(window),
        scores=tuple(float(trial.value or 0.0) for trial in complete),
        others=len(trials) - len(complete),
        best_trial=complete[0].number,
        verdicts=Counter(str(trial.user_attributes.get("verdict")) for trial in complete),
        examples=_examples(results, complete),
        contexts=tuple(_contexts(results, complete)),
        anatomy=anatomy,
    )


def _examples(results: StudyResults, complete: Sequence[TrialRow]) -> tuple[ExampleRun, ...]:
    """Of each verdict the trial in the middle by its score, the most frequent verdict first."""
    by_verdict: dict[str, list[TrialRow]] = {}
    for trial in complete:
        by_verdict.setdefault(str(trial.user_attributes.get("verdict")), []).append(trial)
    examples = []
    for verdict, rows in sorted(by_verdict.items(), key=lambda pair: -len(pair[1])):
        # The picture is of one replica, which may do something else than most of them.
        typical = [row for row in rows if row.user_attributes.get("shown_verdict") == verdict]
        middle = (typical or rows)[(len(typical or rows) - 1) // 2]
        for artifact in results.study.artifacts(middle.trial_id):
            if artifact.filename == ROLLOUT:
                score = float(middle.value or 0.0)
                examples.append(
                    ExampleRun(verdict, len(rows), middle.number, score, artifact.content)
                )
    return tuple(examples)


def _contexts(results: StudyResults, complete: Sequence[TrialRow]) -> list[tuple[int, float]]:
    found = []
    for trial in complete:
        replicas = results.replicas.get(trial.trial_id, ())
        if replicas:
            steps = results.candidate(trial).architecture.context_steps
            found.append((steps, float(np.mean([replica.score for replica in replicas]))))
    return found


def _limit(results: StudyResults, contexts: set[int], horizon_steps: int) -> Limit | None:
    series, task = results.definition.series, results.definition.task
    if not isinstance(series, SineSeries) or task.score_against != "signal":
        return None
    samples = {n for n in (*_CONTEXTS, *contexts, task.train_steps) if n <= task.train_steps}
    return sine_limit(
        series,
        train_steps=task.train_steps,
        horizon_steps=horizon_steps,
        samples=sorted(samples),
    )


def _effects(
    space: Space, winner: Winner | None, without: Mapping[str, Mapping[str, Any]]
) -> tuple[Effect, ...]:
    """The effect of each component, the largest first."""
    if winner is None:
        return ()
    along = taken_along(space, winner.params)
    whole = np.log(np.maximum(winner.final.replica_scores, 1e-300))
    generator = np.random.Generator(np.random.PCG64(0))
    effects = []
    for name, plain in without.items():
        scores = np.maximum(plain["replica_scores"], 1e-300)
        if len(scores) != len(whole) or name not in components():
            continue
        ratios = np.log(scores) - whole
        picked = generator.integers(0, len(ratios), (_RESAMPLES, len(ratios)))
        low, high = np.quantile(
            ratios[picked].mean(axis=1), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]
        )
        effects.append(
            Effect(
                component=name,
                without=components()[name].without,
                along=along.get(name, ()),
                ratio=float(np.exp(ratios.mean())),
                low=float(np.exp(low)),
                high=float(np.exp(high)),
                score=float(plain["score"]),
                pairs=len(ratios),
            )
        )
    return tuple(sorted(effects, key=lambda effect: -effect.ratio))
