"""Trials as results are read from them: as Optuna has them, with attributes as a typed record."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from optuna.trial import FrozenTrial, TrialState

from search.errors import UsageError
from search.records import TrialRecord
from search.storage.records import ParamValue, TrialStateName
from search.study.space import PRESET, Space

if TYPE_CHECKING:
    from search.storage.outlines import Outline

_STATES: Mapping[TrialState, TrialStateName] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of any state.

    value: its score, or the last report of a pruned one. reports: values by rung. started,
    completed: naive local time, as in Optuna.
    """

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    params: Mapping[str, ParamValue]
    record: TrialRecord
    reports: Mapping[int, float]
    started: datetime | None = None
    completed: datetime | None = None

    @classmethod
    def of(cls, trial: FrozenTrial, attributes: Collection[str] | None = None) -> Self:
        """Return a trial as Optuna describes it; attributes: of its record, None for all."""
        if attributes is None:
            record = TrialRecord.from_attributes(trial.user_attrs)
        else:
            record = _shared({n: v for n, v in trial.user_attrs.items() if n in attributes})
        return cls(
            trial_id=trial._trial_id,
            number=trial.number,
            state=_STATES[trial.state],
            value=trial.value,
            params=trial.params,
            record=record,
            reports=trial.intermediate_values,
            started=trial.datetime_start,
            completed=trial.datetime_complete,
        )

    @classmethod
    def of_outline(cls, outline: "Outline") -> Self:
        """Return a trial as far as it was read, its record too."""
        return cls(
            trial_id=outline.trial_id,
            number=outline.number,
            state=outline.state,
            value=outline.value,
            params=outline.params,
            record=_shared(outline.attributes),
            reports=outline.reports,
            started=outline.started,
            completed=outline.completed,
        )

    def outline(self, names: Collection[str]) -> Self:
        """The same trial without times and reports, and with these parameters alone."""
        params = {name: value for name, value in self.params.items() if name in names}
        return replace(self, params=params, reports={}, started=None, completed=None)

    @property
    def is_scored(self) -> bool:
        """Whether it is complete, with a score."""
        return self.state == "complete" and self.value is not None

    @property
    def score(self) -> float:
        """The score of a complete trial."""
        assert self.value is not None
        return self.value

    @property
    def preset(self) -> str | None:
        """Its preset, None in a study without presets."""
        preset = self.params.get(PRESET)
        return None if preset is None else str(preset)


def _shared(attributes: Mapping[str, Any]) -> TrialRecord:
    """A record of few attributes, which trials share that have the same ones."""
    try:
        return _record_of(tuple(attributes.items()))
    except TypeError:  # of another program, which may keep a list under any name
        return TrialRecord.from_attributes(attributes)


@lru_cache(maxsize=1024)
def _record_of(attributes: tuple[tuple[str, Any], ...]) -> TrialRecord:
    return TrialRecord.from_attributes(dict(attributes))


def best_first(trials: Iterable[Trial]) -> list[Trial]:
    """Return the complete trials, the best first, ties by number."""
    scored = [trial for trial in trials if trial.is_scored]
    return sorted(scored, key=lambda trial: (trial.score, trial.number))


def verdict_counts(trials: Iterable[Trial]) -> list[tuple[str, int, int]]:
    """Return each verdict with how many complete and how many pruned trials got it, most first."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        if trial.record.verdict is not None:
            counts[trial.record.verdict][trial.state] += 1
    rows = [(verdict, count["complete"], count["pruned"]) for verdict, count in counts.items()]
    return sorted(rows, key=lambda row: (-row[1] - row[2], row[0]))


def context_steps(space: Space, trial: Trial) -> int | None:
    """Return how many true values a trial's networks read before a free run that is scored.

    None for a trial whose parameters are no candidate of the space: another program made it.
    """
    try:
        return space.resolve(trial.params).architecture.shown_steps
    except UsageError:
        return None
