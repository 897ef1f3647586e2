"""A study's trials as the dashboard holds them in memory: read once, then only what is new.

Each is also kept as the JSON that the page takes, in a third of the bytes that optuna-dashboard
sends: without what the page never reads (the distribution and the type of each parameter), and with
numbers of six significant digits. A test compares the rest with what optuna-dashboard sends.

The page takes a trial's place in the list for its number, so none can be left out; but it can't
draw a hundred thousand. Beyond `MOST_SHOWN` trials, the best and an even part of the others are
shown as they are, and the others as stubs: without values, parameters and attributes.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from time import monotonic
from typing import Any, Self

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.analysis.contexts import Contexts
from search.analysis.trials import Trial, best_first
from search.storage.outlines import Wanted
from search.storage.records import ParamValue, TrialStateName
from search.storage.study_store import StudyReader
from search.study.space import PRESET, Space

# Two looks into the storage are so far apart, however many pages ask.
REFRESH_SECONDS = 1.0
# Above so many trials that are shown, the others than the best are thinned to an even part.
MOST_SHOWN = 10_000
BEST_SHOWN = 500
_THINNED_TO = 2500

# Of a trial's record, what figures draw.
_ATTRIBUTES = ("verdict", "limit")
_ARTIFACTS = "artifacts:"
_NO_NOTE = b'{"version": 0, "body": ""}'
_LEFT_OUT = b'{"version":0,"body":"A large study: of this trial the page has no details."}'
_STUB = (
    b'{"trial_id":%d,"study_id":%d,"number":%d,"state":"%s","params":[],"fixed_params":[],'
    b'"user_attrs":[],"artifacts":[],"constraints":[],"intermediate_values":[]'
)
# As the page knows the states of finished trials.
_STATES = {"complete": b"Complete", "pruned": b"Pruned", "failed": b"Fail"}
# As optuna-dashboard cuts attributes that are neither texts nor numbers.
_MOST_SIGNS = 1024


class StudyTrials:
    """All trials of a study: as JSON for the page, and as rows for figures.

    rows: by trial number, with a record of verdict and limit alone. Of a finished trial that is not
    shown, a row has no reports and times, and the parameters that figures group by. contexts: by
    trial number, how many true values the networks of complete trials read; empty where no trial
    has a limit. version: changes when anything changes. distributions: of the parameters of those
    that were shown and did not fail. All are to be read in a block of `fresh`.
    """

    def __init__(self, study: StudyReader, space: Space) -> None:
        self.study = study
        self._contexts = Contexts(study, space)
        self._kept_params = (PRESET, *self._contexts.names)
        self._lock = Lock()
        self.version = 0
        self.rows: dict[int, Trial] = {}
        self.contexts: dict[int, int | None] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        # Of each attribute, whether all its values are numbers, by which the page can sort.
        self.attributes: dict[str, bool] = {}
        self.has_reports = False
        self._counts: dict[str, int] = {}
        self._counted = 0
        self._texts: dict[int, bytes] = {}
        self._params: dict[int, Mapping[str, ParamValue]] = {}
        self._unfinished: set[int] = set()
        # Of those that are not among the best, every so many are shown.
        self._stride = 0
        self._looked_at = -REFRESH_SECONDS

    @contextmanager
    def fresh(self) -> Iterator[Self]:
        """The trials as they are now, or were `REFRESH_SECONDS` ago, for the block alone."""
        with self._lock:
            if monotonic() - self._looked_at >= REFRESH_SECONDS:
                self._refresh()
            yield self

    def _refresh(self) -> None:
        if not self._stride:
            self._stride = 1
            self._widen(self.study.counts().total)
        changed, unfinished = False, set(self._unfinished)
        wanted = Wanted(_ATTRIBUTES, self._kept_params, params_of="complete")
        for news in self.study.news(wanted, self._is_on_stride):
            unfinished = {trial.number for trial in news.unfinished}
            changed |= bool(news.finished or news.outlines)
            for outline in news.outlines:
                self.rows[outline.number] = Trial.of_outline(outline)
                self._texts.pop(outline.number, None)
            for trial in news.finished:
                self._count(trial)
            for trial in [*news.finished, *news.unfinished]:
                changed |= self._keep(trial)
            self._widen(len(self.rows))
        changed |= self._unfinished != unfinished
        self._unfinished = unfinished
        if changed:
            self._choose()
            self._find_contexts()
        self._looked_at = monotonic()
        self.version += changed

    def _is_on_stride(self, number: int, _state: TrialStateName) -> bool:
        return number % self._stride == 0

    def _keep(self, trial: FrozenTrial) -> bool:
        """Keep a trial and its text; return whether it changed."""
        text = trial_json(trial, self.study.study_id)
        changed = self._texts.get(trial.number) != text
        self._texts[trial.number] = text
        self.rows[trial.number] = Trial.of(trial, _ATTRIBUTES)
        return changed

    def _widen(self, trials: int) -> None:
        """Show fewer of so many trials, where they are too many."""
        if trials > MOST_SHOWN:
            while trials > self._stride * _THINNED_TO:
                self._stride *= 2

    def _choose(self) -> None:
        """Show the best of many trials, and let go of what is not to be shown any more."""
        if self._stride == 1:
            return
        best = {trial.number for trial in best_first(self.rows.values())[:BEST_SHOWN]}
        new = [self.rows[number].trial_id for number in best if number not in self._texts]
        for trial in self.study.frozen_trials(new) if new else ():
            self._count(trial)
            self._keep(trial)
        for number in [n for n in self._texts if n % self._stride and n not in best]:
            row = self.rows[number]
            if row.state not in ("running", "waiting"):
                del self._texts[number]
                self.rows[number] = row.outline(self._kept_params)

    def _find_contexts(self) -> None:
        scored = [row for row in self.rows.values() if row.is_scored]
        if any(row.record.limit is not None for row in scored):
            new = (row for row in scored if row.number not in self.contexts)
            self.contexts |= self._contexts.of(new)

    def with_params(self) -> list[Trial]:
        """The complete trials, with all their parameters."""
        scored = [row for row in self.rows.values() if row.is_scored]
        shown = {row.number for row in scored if row.number in self._texts}
        missing = {row.number for row in scored} - shown - self._params.keys()
        by_id = {self.rows[number].trial_id: number for number in missing}
        for trial_id, params in self.study.params(sorted(by_id)).items():
            self._params[by_id[trial_id]] = params
        return [
            row if row.number in shown else replace(row, params=self._params[row.number])
            for row in scored
        ]

    def texts(self, numbers: Iterable[int], notes: Mapping[int, Mapping[str, Any]]) -> bytes:
        """The JSON of trials, with commas between them.

        notes: of trials that have one, by trial id.
        """
        return b",".join(self._text(number, notes) for number in numbers)

    def _text(self, number: int, notes: Mapping[int, Mapping[str, Any]]) -> bytes:
        row = self.rows[number]
        note, text = notes.get(row.trial_id), self._texts.get(number)
        if text is not None:
            return with_note(text, note)
        stub = stub_json(row, self.study.study_id)
        return with_note(stub, note) if note is not None else stub + b',"note":' + _LEFT_OUT + b"}"

    @property
    def complete(self) -> int:
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
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            self.attributes[key] = self.attributes.get(key, True) and is_number
        if trial.state == TrialState.FAIL:
            return
        self.has_reports |= bool(trial.intermediate_values)
        self._counted += 1
        for name, distribution in trial.distributions.items():
            self.distributions[name] = distribution
            self._counts[name] = self._counts.get(name, 0) + 1


def trial_json(trial: FrozenTrial, study_id: int) -> bytes:
    """The JSON object of a trial without its note and its closing brace; see `with_note`."""
    plain: dict[str, Any] = {
        "trial_id": trial._trial_id,
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state.name.capitalize(),
        "params": [
            {
                "name": name,
                "param_internal_value": _rounded(trial.distributions[name].to_internal_repr(value)),
                "param_external_value": str(_rounded(value)),
            }
            for name, value in trial.params.items()
        ],
        "fixed_params": [
            {"name": name, "param_external_value": str(_rounded(value))}
            for name, value in trial.system_attrs.get("fixed_params", {}).items()
        ],
        "user_attrs": [
            {"key": key, "value": _attribute(value)} for key, value in trial.user_attrs.items()
        ],
        "artifacts": _artifacts(trial.system_attrs),
        "constraints": trial.system_attrs.get("constraints", []),
        "intermediate_values": [
            {"step": step, "value": _number(value)}
            for step, value in sorted(trial.intermediate_values.items())
        ],
    }
    if trial.values is not None:
        plain["values"] = [_number(value) for value in trial.values]
    for key in ("datetime_start", "datetime_complete"):
        moment = getattr(trial, key)
        if moment is not None:
            plain[key] = moment.isoformat(timespec="milliseconds")
    return json.dumps(plain, separators=(",", ":")).encode()[:-1]


def stub_json(row: Trial, study_id: int) -> bytes:
    """The same of a trial that is not shown: which one it is, and how it ended."""
    return _STUB % (row.trial_id, study_id, row.number, _STATES[row.state])


def with_note(trial: bytes, note: Mapping[str, Any] | None) -> bytes:
    """The whole JSON object. Notes are the study's, and may be written after the trial's end."""
    shown = _NO_NOTE if note is None else json.dumps(dict(note)).encode()
    return trial + b',"note":' + shown + b"}"


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def _number(value: float) -> float | str:
    """A number as JSON has it; what JSON has not, as the page knows it by name."""
    if math.isfinite(value):
        return float(_rounded(float(value)))
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _attribute(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(_rounded(value))
    listed = [_rounded(each) for each in value] if isinstance(value, list) else value
    return json.dumps(listed)[:_MOST_SIGNS]


def _artifacts(system_attributes: Mapping[str, Any]) -> list[Any]:
    kept = (json.loads(v) for k, v in system_attributes.items() if k.startswith(_ARTIFACTS))
    return [artifact for artifact in kept if artifact is not None]
