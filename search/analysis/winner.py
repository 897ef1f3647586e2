"""Which candidate won the final, and what the final and the test found."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from models.diagnostics.scores import geometric_mean
from search.evaluation import Example
from search.series import FloatArray
from search.storage import FinalJob, ParamValue, StudyReader, TrialRow
from search.study.definition import ScoreAgainst

FinalPurpose: TypeAlias = Literal["final", "test"]


@dataclass(frozen=True, eq=False)
class BaselineOutcome:
    """A baseline on the draws of an outcome.

    score: the median of draw_scores; curve: NMSE by horizon step; forecast: `[time]` of the
    example's draw, None where it was not kept.
    """

    name: str
    score: float
    mean_score: float
    draw_scores: tuple[float, ...]
    curve: FloatArray
    forecast: FloatArray | None

    @classmethod
    def from_plain(cls, name: str, plain: Mapping[str, Any]) -> Self:
        """Rebuild from what a final job stored; also takes `BaselineResult.to_plain()`."""
        forecast = plain.get("forecast")
        return cls(
            name=name,
            score=plain["score"],
            mean_score=plain["mean_score"],
            draw_scores=tuple(plain["draw_scores"]),
            curve=np.array(plain["curve"]),
            forecast=None if forecast is None else np.array(forecast),
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a final job found: a candidate's result and, on the same draws, the baselines.

    score: the median of replica_scores, NMSE against the signal or the observations; curve: NMSE
    by horizon step, the median over replicas; seconds: of one core; parameters: of one network;
    machine: type and versions that it was trained with, as far as the job recorded them.
    """

    job_id: int
    purpose: FinalPurpose
    trial_id: int
    has_weights: bool
    score: float
    mean_score: float
    replica_scores: tuple[float, ...]
    scored_against: ScoreAgainst
    verdict: str
    verdicts: tuple[str, ...]
    curve: FloatArray
    parameters: int
    seconds: float
    example: Example
    baselines: tuple[BaselineOutcome, ...]
    machine: Mapping[str, str]

    @property
    def geometric_mean(self) -> float:
        """The geometric mean of replica_scores, by which the final chooses."""
        return geometric_mean(self.replica_scores)

    @property
    def horizon_steps(self) -> int:
        """Scored steps of each free run."""
        return len(self.curve)

    @classmethod
    def from_job(cls, job: FinalJob) -> Self:
        """Rebuild what a job that is done has stored."""
        assert job.result is not None
        plain = json.loads(job.result)
        return cls(
            job_id=job.job_id,
            purpose="test" if job.purpose == "test" else "final",
            trial_id=job.trial_id,
            has_weights=job.has_weights,
            replica_scores=tuple(plain["replica_scores"]),
            verdicts=tuple(plain["verdicts"]),
            curve=np.array(plain["curve"]),
            example=Example.from_plain(plain["example"]),
            baselines=tuple(
                BaselineOutcome.from_plain(name, baseline)
                for name, baseline in plain.get("baselines", {}).items()
            ),
            machine=plain.get("machine", {}),
            **{key: plain[key] for key in _PLAIN_FIELDS},
        )


_PLAIN_FIELDS = ("score", "mean_score", "scored_against", "verdict", "parameters", "seconds")


@dataclass(frozen=True, eq=False)
class Winner:
    """The finalist of the least geometric mean, and its test where that is done."""

    trial_id: int
    trial_number: int
    params: Mapping[str, ParamValue]
    final: Outcome
    test: Outcome | None


def winner_of(study: StudyReader) -> Winner | None:
    """Return the winner of the finals that are done, None without one.

    Of equal geometric means the lower trial number wins.
    """
    return winner_among(outcomes(study, "final"), outcomes(study, "test"), study.trial_rows())


def winner_among(
    finals: Sequence[Outcome], tests: Iterable[Outcome], trials: Iterable[TrialRow]
) -> Winner | None:
    """Return the winner of finals that were read before, the winner first."""
    if not finals:
        return None
    final = finals[0]
    (trial,) = (row for row in trials if row.trial_id == final.trial_id)
    test = next((test for test in tests if test.trial_id == final.trial_id), None)
    return Winner(trial.trial_id, trial.number, trial.params, final, test)


def outcomes(study: StudyReader, purpose: FinalPurpose) -> list[Outcome]:
    """Return the results of the jobs of a purpose that are done, by geometric mean."""
    done = [job for job in study.final_jobs() if job.purpose == purpose and job.state == "done"]
    # Within a study, trial ids are given in the order of trial numbers.
    return sorted(
        map(Outcome.from_job, done), key=lambda found: (found.geometric_mean, found.trial_id)
    )
