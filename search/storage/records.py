"""The values that a storage takes and returns.

All are frozen and opaque: a definition is text, a cohort key is a string, a curve is bytes. Times
are seconds by the database's clock unless said otherwise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from optuna.distributions import BaseDistribution

ParamValue: TypeAlias = bool | int | float | str | None
FinishedState: TypeAlias = Literal["complete", "pruned", "failed"]
TrialStateName: TypeAlias = Literal["running", "complete", "pruned", "failed", "waiting"]
# What a final job is about: a trial by its id, or anything else by a name that is no number.
Subject: TypeAlias = int | str
JobState: TypeAlias = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate for a new trial, to be run if the budget allows it.

    params: values in sampling order, as the user sees them; distributions: one for each.
    cohort_key: trials of equal keys may be claimed and trained together.
    quota: the name of the study's quota that the trial uses, None for no quota.
    """

    params: Mapping[str, ParamValue]
    distributions: Mapping[str, BaseDistribution]
    cohort_key: str
    quota: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedTrial:
    """A trial that a worker holds from now on, new or given back by another.

    attempts: how often it was lost with its worker, 0 for a new trial.
    """

    trial_id: int
    number: int
    params: Mapping[str, ParamValue]
    distributions: Mapping[str, BaseDistribution]
    cohort_key: str
    attempts: int


class Report(NamedTuple):
    """An intermediate value of a running trial, which may be NaN or infinite."""

    trial_id: int
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """A small file of a trial."""

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Replica:
    """One training run of a trial.

    score: finite; training_loss: any float; restart: index of the restart that was kept.
    """

    index: int
    score: float
    training_loss: float
    restart: int


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """Everything that is stored of a trial at its end, in one transaction.

    value: the score, required and not NaN for a complete trial. A pruned trial gets its last
    report instead, as in Optuna; a failed trial has none.
    user_attributes: plain JSON values.
    artifacts: the most important first; those that exceed a limit are left out.
    curve: float32 bytes.

    Raises ValueError where state and value contradict each other.
    """

    trial_id: int
    state: FinishedState
    value: float | None = None
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Artifact] = ()
    curve: bytes | None = None
    replicas: Sequence[Replica] = ()

    def __post_init__(self) -> None:
        if self.state == "complete":
            if self.value is None or math.isnan(self.value):
                raise ValueError(f"a complete trial needs a value, but got {self.value}")
        elif self.value is not None:
            raise ValueError(f"a {self.state} trial must have no value, but got {self.value}")


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a worker's heartbeat.

    held_trials, held_jobs: ids of the trials and final jobs it still holds; any other was lost.
    to_sweep: whether other workers hold something on an expired lease, so that a sweep is due.
    """

    budget: Budget
    held_trials: frozenset[int]
    held_jobs: frozenset[int]
    to_sweep: bool


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A trial that another program enqueued.

    params: what it asks for, perhaps only some of a trial's; anything that JSON can hold.
    """

    trial_id: int
    number: int
    params: Mapping[str, Any]


class OpenTrials(NamedTuple):
    """Whether workers hold trials of a study, and whether trials wait to be run again."""

    held: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep took from dead workers: ids of trials that wait again, of trials that failed,
    and of final jobs that wait again or failed."""

    given_back: tuple[int, ...]
    failed: tuple[int, ...]
    final_jobs: tuple[int, ...]


class Held(NamedTuple):
    """How many studies a database holds, and how many trials they have."""

    studies: int
    trials: int


class Versions(NamedTuple):
    """Of the tables in a backup.

    schema: of ours, None where they are older than their versions by Alembic. optuna: the revision
    of Optuna's, None where none is found.
    """

    schema: int | None
    optuna: str | None


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
        """Trials of any state, as the budget counts them."""
        return self.complete + self.pruned + self.failed + self.running + self.waiting


@dataclass(frozen=True, slots=True)
class Quota:
    """A part of the budget. trials: the limit; used: its trials of any state."""

    trials: int
    used: int

    @property
    def left(self) -> int:
        """New trials that may still be claimed."""
        return max(0, self.trials - self.used)


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a study and what is spent of them.

    trials, minutes: None for no limit; used_trials: freerun's own trials, of any state;
    spent_seconds: time up to now in which at least one worker was alive; quotas: by name.
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
        """Whether no new trial may be claimed."""
        quotas_used = bool(self.quotas) and all(quota.left == 0 for quota in self.quotas.values())
        is_spent = self.trials_left == 0 or self.seconds_left == 0 or quotas_used
        return is_spent or self.stop_requested


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as the database sees it.

    machine: as given at registration; beat_age: seconds since its last heartbeat;
    alive: it has not left and its leases have not expired; trial_ids, job_ids: what it holds.
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
    """The way of a database from one schema version to another.

    storage: its URL without passwords; steps: one line for each, none if it is up to date.
    """

    storage: str
    from_version: int
    to_version: int
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One line of the list of studies. created, last_active: seconds since the epoch, the latter
    of the last heartbeat; workers: how many are alive; best_value: least value of the complete
    trials, None without any."""

    name: str
    created: float
    last_active: float
    workers: int
    counts: Counts
    best_value: float | None


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """A finished trial without its parameters. value: as in Optuna; reports: intermediate values by
    step; cohort_key: None for a trial of another program."""

    trial_id: int
    state: TrialStateName
    value: float | None
    reports: Mapping[int, float]
    cohort_key: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Finished trials, counted.

    failed: how many failed. attributes: by the key of a user attribute, how many trials of a state
    have a value, which is JSON text. ends: when those ended that ended lately; first_start: when
    the first one began, None without any. Times are UTC without a zone.
    """

    failed: int
    attributes: Mapping[str, Counter[tuple[TrialStateName, str]]]
    ends: Sequence[datetime]
    first_start: datetime | None


@dataclass(frozen=True, slots=True)
class FinalJob:
    """A unit of work after the search, such as the final training of a trial or the winner's test.

    purpose: what is to be done; subject: with what; result: JSON text once it is done; has_weights:
    whether weights are stored; message: why it failed.
    """

    job_id: int
    purpose: str
    subject: Subject
    state: JobState
    attempts: int
    worker_id: int | None
    result: str | None
    has_weights: bool
    message: str | None

    @property
    def trial_id(self) -> int | None:
        """The trial that the job is about, None for another subject."""
        return self.subject if isinstance(self.subject, int) else None
