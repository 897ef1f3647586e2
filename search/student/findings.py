"""What studies of presets found: numbers by preset, the limit, and the results of their jobs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.study_results import StudyResults
from search.analysis.trials import Trial, context_steps
from search.evaluation.diagnostics import OneStep, Sensitivity, Transfer
from search.plotting.artifacts import ROLLOUT
from search.series import SineSeries
from search.student.jobs import ABLATION, DIAGNOSIS, REPLAY, WITHOUT, Diagnosis, Replay, Without
from search.study.limit import ContextLimit, Limit, sine_limit
from search.study.presets import BASELINE_NAME, Preset
from search.study.presets import BY_NAME as PRESETS
from search.study.space import Space
from search.study.space.ablation import components, taken_along
from search.study.space.contexts import context_range

# Context lengths at which the limit is drawn, up to the training span.
_CONTEXTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
# Of the bootstrap: resamples, and where an interval of 95 % begins and ends.
_RESAMPLES, _TAILS = 10_000, ((1 - 0.95) / 2, (1 + 0.95) / 2)


@dataclass(frozen=True)
class ExampleRun:
    """The picture (PNG) of the free run of a verdict's middle trial by score."""

    verdict: str
    trials: int
    middle: Trial
    picture: bytes


@dataclass(frozen=True)
class ComponentEffect:
    """How many times as large the error is without a component: low <= ratio <= high.

    The geometric mean over pairs of networks of the same draw, without it and with it; low and high
    bound it with 95 % confidence (bootstrap over the pairs). along: components that depend on it
    and were removed with it; the ratio is of all of them.
    """

    component: str
    without: str
    along: tuple[str, ...]
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True, eq=False)
class Attempt:
    """The trials of one preset.

    context_steps: None where the preset leaves them open. scores: of its complete trials, the least
    first; others: trials of any other state. contexts: (context steps, mean over replicas) of each
    complete trial. diagnosis: of the best trial; None where it is not done. effects: of its
    components, the largest first; empty where none were taken out.
    """

    preset: Preset
    context_steps: int | None
    scores: tuple[float, ...]
    others: int
    best_trial: int
    verdicts: Mapping[str, int]
    examples: tuple[ExampleRun, ...]
    contexts: tuple[tuple[int, float], ...]
    diagnosis: Diagnosis | None
    effects: tuple[ComponentEffect, ...] = ()

    @property
    def name(self) -> str:
        return self.preset.name

    @property
    def median(self) -> float:
        return float(np.median(self.scores))

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def tracking(self) -> int:
        """How many of its complete trials track."""
        return self.verdicts.get("tracks", 0)

    @property
    def one_step(self) -> OneStep | None:
        return None if self.diagnosis is None else self.diagnosis.one_step

    @property
    def sensitivity(self) -> Sensitivity | None:
        return None if self.diagnosis is None else self.diagnosis.sensitivity

    @property
    def transfer(self) -> Transfer | None:
        return None if self.diagnosis is None else self.diagnosis.transfer


@dataclass(frozen=True, eq=False)
class StudyFindings:
    """What one study of presets found.

    limit: None where none is known. short_limit: the same over the horizon of the search. trained:
    the diagnosis of the `baseline` with the least training loss among those that were diagnosed.
    replay: the series of phase 0, None where it was not replayed.
    """

    results: StudyResults
    attempts: tuple[Attempt, ...]
    limit: Limit | None
    short_limit: Limit | None
    effects: tuple[ComponentEffect, ...]
    trained: Diagnosis | None
    replay: Replay | None

    @property
    def name(self) -> str:
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


def margin(transfer: Transfer) -> float:
    """Half of the 95 % interval around the mean of a transfer."""
    return 1.96 * transfer.standard_error


def study_findings(results: StudyResults) -> StudyFindings | None:
    """Return what a study found; None for one without a complete trial of the report's attempts."""
    definition, best = results.definition, results.best_trial
    done = [job for job in results.study.final_jobs() if job.result is not None]
    texts = {
        (job.purpose, job.trial_id): job.result or "" for job in done if job.trial_id is not None
    }
    attempts = []
    for name, quota in definition.presets.items():
        preset = PRESETS.get(name, Preset(name, "", quota.fixed))
        trials = [trial for trial in results.trials if trial.preset == name]
        complete = [trial for trial in results.complete if trial.preset == name]
        if complete:
            attempts.append(_attempt(results, preset, complete, len(trials), texts))
    if not any(attempt.preset.is_attempt for attempt in attempts):
        return None
    contexts = {a.context_steps for a in attempts if a.context_steps is not None}
    replay = next((text for (purpose, _), text in texts.items() if purpose == REPLAY), None)
    return StudyFindings(
        results=results,
        attempts=tuple(attempts),
        limit=_limit(results, contexts, definition.task.test_horizon_steps),
        short_limit=_limit(results, contexts, definition.task.horizon_steps),
        effects=()
        if best is None
        else _effects(
            definition.full_space(),
            results.trial_of(best),
            best.found.replica_scores,
            texts,
            WITHOUT,
        ),
        trained=_best_trained(results, texts),
        replay=None if replay is None else Replay.from_json(replay),
    )


def _best_trained(results: StudyResults, texts: Mapping[tuple[str, int], str]) -> Diagnosis | None:
    found = [
        (math.inf if trial.record.training_loss is None else trial.record.training_loss, text)
        for trial in results.complete
        if trial.preset == BASELINE_NAME
        and (text := texts.get((DIAGNOSIS, trial.trial_id))) is not None
    ]
    return Diagnosis.from_json(min(found)[1]) if found else None


def _attempt(
    results: StudyResults,
    preset: Preset,
    complete: Sequence[Trial],
    trials: int,
    texts: Mapping[tuple[str, int], str],
) -> Attempt:
    """Return what the trials of a preset found; complete: those with a score, the best first."""
    least, most = context_range(results.definition.full_space(), preset.name)
    diagnoses = (texts.get((DIAGNOSIS, trial.trial_id)) for trial in complete)
    text = next((text for text in diagnoses if text is not None), None)
    diagnosis = None if text is None else Diagnosis.from_json(text)
    space = results.definition.full_space()
    return Attempt(
        preset=preset,
        context_steps=least if least == most else None,
        scores=tuple(trial.score for trial in complete),
        others=trials - len(complete),
        best_trial=complete[0].number,
        verdicts=Counter(str(trial.record.verdict) for trial in complete),
        examples=_examples(results, complete),
        contexts=tuple(_contexts(results, complete)),
        diagnosis=diagnosis,
        effects=()
        if diagnosis is None
        else _effects(space, complete[0], diagnosis.result.replica_scores, texts, ABLATION),
    )


def _examples(results: StudyResults, complete: Sequence[Trial]) -> tuple[ExampleRun, ...]:
    """Of each verdict the trial near the middle by its score, the most frequent verdict first.

    It is the nearest one that has a picture.
    """
    by_verdict: dict[str, list[Trial]] = {}
    for trial in complete:
        by_verdict.setdefault(str(trial.record.verdict), []).append(trial)
    examples = []
    for verdict, trials in sorted(by_verdict.items(), key=lambda pair: -len(pair[1])):
        # The picture is of one replica, which may do something else than most of them.
        typical = [trial for trial in trials if trial.record.shown_verdict == verdict]
        others = [trial for trial in trials if trial.record.shown_verdict != verdict]
        for trial in (*_outward(typical), *_outward(others)):
            if (picture := results.artifact(trial, ROLLOUT)) is not None:
                examples.append(ExampleRun(verdict, len(trials), trial, picture))
                break
    return tuple(examples)


def _outward(trials: Sequence[Trial]) -> list[Trial]:
    """The one in the middle first, then those beside it."""
    middle = (len(trials) - 1) // 2
    return [trials[i] for i in sorted(range(len(trials)), key=lambda place: abs(place - middle))]


def _contexts(results: StudyResults, complete: Sequence[Trial]) -> list[tuple[int, float]]:
    """The context of each trial, and the mean over its replicas."""
    space = results.definition.full_space()
    found = ((context_steps(space, trial), trial.record.replica_scores) for trial in complete)
    return [(steps, float(np.mean(scores))) for steps, scores in found if steps and scores]


def _limit(results: StudyResults, contexts: set[int], horizon_steps: int) -> Limit | None:
    series, task = results.definition.series, results.definition.task
    if not isinstance(series, SineSeries) or task.score_against != "signal":
        return None
    samples = {n for n in (*_CONTEXTS, *contexts, task.train_steps) if n <= task.train_steps}
    return sine_limit(
        series, train_steps=task.train_steps, horizon_steps=horizon_steps, samples=sorted(samples)
    )


def _effects(
    space: Space,
    trial: Trial,
    scores: Sequence[float],
    texts: Mapping[tuple[str, int], str],
    prefix: str,
) -> tuple[ComponentEffect, ...]:
    """Of a trial's components, the largest effect first; scores: with all of them, draw by draw.

    prefix: of the purposes of the jobs that took one out, on the same draws.
    """
    along = taken_along(space, trial.params)
    whole = np.log(np.maximum(scores, 1e-300))
    generator = np.random.Generator(np.random.PCG64(0))
    effects = []
    for (purpose, trial_id), text in texts.items():
        name = purpose.removeprefix(prefix)
        if name == purpose or name not in components() or trial_id != trial.trial_id:
            continue
        found = Without.from_json(text)
        if len(found.replica_scores) != len(whole):
            continue
        ratios = np.log(np.maximum(found.replica_scores, 1e-300)) - whole
        picked = generator.integers(0, len(ratios), (_RESAMPLES, len(ratios)))
        low, high = np.quantile(ratios[picked].mean(axis=1), _TAILS)
        effects.append(
            ComponentEffect(
                component=name,
                without=components()[name].without,
                along=along.get(name, ()),
                ratio=float(np.exp(ratios.mean())),
                low=float(np.exp(low)),
                high=float(np.exp(high)),
                pairs=len(ratios),
            )
        )
    return tuple(sorted(effects, key=lambda effect: -effect.ratio))
