"""The values that go into a study's storage and come out of it.

All are frozen and know nothing of what they describe: a definition is text, a cohort key is opaque,
a curve is bytes. Times are seconds by the database's clock unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ParamValue: TypeAlias = bool | int | float | str | None
FinishedState: TypeAlias = Literal["complete", "pruned", "failed"]
TrialStateName: TypeAlias = Literal["running", "complete", "pruned", "failed", "waiting"]
JobState: TypeAlias = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate to be run as a new trial, if the budget allows it.

    params: the values in sampling order, as the user sees them; distributions: one for each.
    cohort_key: opaque; trials of equal keys may be claimed and trained together.
    user_attributes, system_attributes: plain JSON values, stored with the new trial.
    quota: the name of the study's quota that the trial uses, None where it has none.
    """

    params: Mapping[str, ParamValue]
    distributions: Mapping[str, BaseDistribution]
    cohort_key: str
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    system_attributes: Mapping[str, Any] = field(default_factory=dict)
    quota: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedTrial:
    """A trial that a worker holds from now on, new or given back by another.

    attempts: how often a worker that held it was lost; 0 for a new trial.
    """

    trial_id: int
    number: int
    params: Mapping[str, ParamValue]
    distributions: Mapping[str, BaseDistribution]
    cohort_key: str
    attempts: int


class Report(NamedTuple):
    """An intermediate value of a running trial; NaN and infinities are kept as they are."""

    trial_id: int
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """A small file of a trial. mimetype: guessed from the file name where it is None."""

    filename: str
    content: bytes
    mimetype: str | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """One training run of a trial.

    index: which replica; score: finite; training_loss: any float; restart: the one that was kept.
    """

    index: int
    score: float
    training_loss: float
    restart: int


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """All that is told about a trial at its end, in one transaction.

    value: the score; required, and no NaN, for a complete trial. A pruned trial takes its last
    report instead, as Optuna does; a failed trial has none.
    user_attributes, system_attributes: plain JSON values.
    artifacts: in the order of their importance; those that exceed a bound are left out.
    curve: float32 bytes; message: why a trial failed, kept as the user attribute "message".

    Raises ValueError where state and value contradict each other.
    """

    trial_id: int
    state: FinishedState
    value: float | None = None
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    system_attributes: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Artifact] = ()
    curve: bytes | None = None
    replicas: Sequence[Replica] = ()
    message: str | None = None

    def __post_init__(self) -> None:
        if self.state == "complete":
            if self.value is None or math.isnan(self.value):
                raise ValueError(f"a complete trial needs a value, but got {self.value}")
        elif self.value is not None:
            raise ValueError(f"a {self.state} trial is told without a value, but got {self.value}")


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker learns when it beats.

    seconds_left: running time left for the study, None where minutes are not limited.
    held_trials, held_jobs: the ids of the trials and final jobs it still holds; one that is missing
    was lost. budget_spent: whether no new trial may be claimed; to_sweep: whether others hold
    something though their lease has run out, so that a sweep is due.
    """

    stop_requested: bool
    seconds_left: float | None
    held_trials: frozenset[int]
    held_jobs: frozenset[int]
    budget_spent: bool
    to_sweep: bool


class OpenTrials(NamedTuple):
    """Whether any trials of a study are held by workers, and whether any wait to be run again."""

    held: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep took from dead workers: trial ids given back, trial ids failed for good, and
    ids of final jobs given back or failed."""

    given_back: tuple[int, ...]
    failed: tuple[int, ...]
    final_jobs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many trials of a study are in each state."""

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        """All trials, as the budget counts them."""
        return self.complete + self.pruned + self.failed + self.running + self.waiting


@dataclass(frozen=True, slots=True)
class Quota:
    """A part of the budget. trials: the limit; used: trials of any state that it was charged."""

    trials: int
    used: int

    @property
    def left(self) -> int:
        """New trials of this quota that may still be claimed."""
        return max(0, self.trials - self.used)


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a study and what is spent of them.

    trials, minutes: the limits, None for no limit; used_trials: trials of any state;
    spent_seconds: time in which at least one worker was alive, up to now. quotas: by name, none for
    a study whose trials have none.
    """

    trials: int | None
    minutes: float | None
    used_trials: int
    spent_seconds: float
    stop_requested: bool
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    @property
    def trials_left(self) -> int | None:
        """New trials that may still be claimed, None for no limit."""
        return None if self.trials is None else max(0, self.trials - self.used_trials)

    @property
    def seconds_left(self) -> float | None:
        """Running time left, None for no limit."""
        return None if self.minutes is None else max(0.0, self.minutes * 60 - self.spent_seconds)

    @property
    def exhausted(self) -> bool:
        """Whether no new trial may be claimed any more."""
        quotas_used = bool(self.quotas) and all(quota.left == 0 for quota in self.quotas.values())
        is_spent = self.trials_left == 0 or self.seconds_left == 0 or quotas_used
        return is_spent or self.stop_requested


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as the database sees it.

    machine: what it said of itself at registration; beat_age: seconds since its last beat;
    alive: it has not left, and its lease has not run out; trial_ids, job_ids: what it holds.
    """

    worker_id: int
    host: str
    pid: int
    machine: Mapping[str, Any]
    beat_age: float
    alive: bool
    left: bool
    trial_ids: tuple[int, ...]
    job_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How a database comes, or came, from one schema version to another.

    storage: its URL without passwords; steps: one line each, none where the versions are equal.
    """

    storage: str
    from_version: int
    to_version: int
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One line of the list of studies. created: seconds since the epoch; best_value: least value of
    a complete trial, None where there is none."""

    name: str
    created: float
    counts: Counts
    best_value: float | None


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """A finished trial without what it was. value: as in Optuna; reports: intermediate values by
    step; cohort_key: None for a trial of another program."""

    trial_id: int
    state: TrialStateName
    value: float | None
    reports: Mapping[int, float]
    cohort_key: str | None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial of any state, for reports. started, completed: naive local time, as in Optuna."""

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    params: Mapping[str, ParamValue]
    user_attributes: Mapping[str, Any]
    intermediate_values: Mapping[int, float]
    started: datetime | None
    completed: datetime | None
    cohort_key: str | None
    attempts: int
    worker_id: int | None


@dataclass(frozen=True, slots=True)
class FinalJob:
    """A final training of a trial's candidate, or the test of the winner, as a unit of work.

    purpose: "final" or "test"; result: JSON text once it is done; has_weights: whether weights are
    kept; message: why it failed.
    """

    job_id: int
    purpose: str
    trial_id: int
    state: JobState
    attempts: int
    worker_id: int | None
    result: str | None
    has_weights: bool
    message: str | None
