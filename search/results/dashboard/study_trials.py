"""A study's trials as the dashboard holds them in memory: read once, then only what is new."""

import numbers
from collections.abc import Iterable, Mapping
from threading import Lock
from time import monotonic
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.results.dashboard.trial_json import trial_json, with_note
from search.storage import StudyReader, TrialRow
from search.storage.records import TrialStateName

# Two looks into the storage are so far apart, however many pages ask.
REFRESH_SECONDS = 1.0

_STATES: Mapping[TrialState, TrialStateName] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "waiting",
}
# Attributes that figures are made of.
_KEPT = ("verdict", "limit")


class StudyTrials:
    """All trials of a study: as JSON for the page, and as rows for figures and importances.

    rows: by trial number. version: another one when anything has changed. distributions: of every
    parameter that a trial has which did not fail. Whoever uses them holds `lock`.
    """

    def __init__(self, study: StudyReader) -> None:
        self.study = study
        self.lock = Lock()
        self.version = 0
        self.rows: dict[int, TrialRow] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        # Of each attribute, whether all its values are numbers, by which the page can sort.
        self.attributes: dict[str, bool] = {}
        self.has_reports = False
        self._counts: dict[str, int] = {}
        self._counted = 0
        self._texts: dict[int, bytes] = {}
        self._unfinished: set[int] = set()
        self._looked_at = -REFRESH_SECONDS

    def refresh(self) -> None:
        """Read what is new, unless that was done just now. The lock is held."""
        if monotonic() - self._looked_at < REFRESH_SECONDS:
            return
        finished, unfinished = self.study.news()
        self._looked_at = monotonic()
        was_unfinished, self._unfinished = self._unfinished, {t.number for t in unfinished}
        changed = bool(finished) or was_unfinished != self._unfinished
        for trial in finished:
            self._count(trial)
        for trial in [*finished, *unfinished]:
            text = trial_json(trial, self.study.study_id)
            changed |= self._texts.get(trial.number) != text
            self._texts[trial.number] = text
            self.rows[trial.number] = _row(trial)
        self.version += changed

    def texts(self, numbers: Iterable[int], notes: Mapping[int, Mapping[str, Any]]) -> bytes:
        """The JSON of trials, with commas between them.

        notes: of trials that have one, by trial id.
        """
        return b",".join(
            with_note(self._texts[number], notes.get(self.rows[number].trial_id))
            for number in numbers
        )

    def best(self) -> TrialRow | None:
        """The complete trial of the least value, the first of several."""
        complete = [row for row in self.rows.values() if row.state == "complete"]
        return min(complete, key=lambda row: (row.value or 0.0, row.number), default=None)

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        return sum(row.state == "complete" for row in self.rows.values())

    @property
    def common(self) -> dict[str, BaseDistribution]:
        """The distributions of the parameters that every trial has, but for failed ones."""
        return {
            name: distribution
            for name, distribution in self.distributions.items()
            if self._counts[name] == self._counted
        }

    def _count(self, trial: FrozenTrial) -> None:
        for key, value in trial.user_attrs.items():
            is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            self.attributes[key] = self.attributes.get(key, True) and is_number
        if trial.state == TrialState.FAIL:
            return
        self.has_reports |= bool(trial.intermediate_values)
        self._counted += 1
        for name, distribution in trial.distributions.items():
            self.distributions[name] = distribution
            self._counts[name] = self._counts.get(name, 0) + 1


def _row(trial: FrozenTrial) -> TrialRow:
    return TrialRow(
        trial_id=trial._trial_id,
        number=trial.number,
        state=_STATES[trial.state],
        value=trial.value,
        params=trial.params,
        user_attributes={key: trial.user_attrs[key] for key in _KEPT if key in trial.user_attrs},
        intermediate_values=trial.intermediate_values,
        started=trial.datetime_start,
        completed=trial.datetime_complete,
        cohort_key=None,
        attempts=0,
        worker_id=None,
    )
