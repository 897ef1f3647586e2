"""Scores, and the best that a study has found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from models.diagnostics.errors import Errors
    from search.storage.study_store import StudyReader


@dataclass(frozen=True)
class Score:
    """How far free runs are from the truth.

    nmse: mean squared error over the variance. purpose: "search", "final" (validation, trained
    anew) or "test" (rows that no choice has seen). horizon_steps: of each free run. scored_against:
    "signal" or "observations". verdict: what the free runs do, such as "tracks". errors: "mae" and
    "rmse" in the units of the series, and "mase", which is relative to forecasts that repeat the
    value of a season before; empty where they were not recorded. Columns in units of their own have
    no common "mae" and "rmse": channel_errors has those of each, by name.
    """

    nmse: float
    purpose: str
    horizon_steps: int
    scored_against: str
    verdict: str | None = None
    errors: Mapping[str, float] = field(default_factory=dict)
    channel_errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Best:
    """What a study holds for its best: the winner of its final, before that its best trial.

    name: such as "trial 3", "the baseline SSA" or "the ensemble". trial: its number, None where it
    is no trial. params: of that trial. score: on validation. test: None as long as there is none.
    """

    name: str
    trial: int | None
    params: Mapping[str, Any]
    score: Score
    test: Score | None = None


class _Found(Protocol):
    """What a record of a final and the claim of an export have in common."""

    @property
    def score(self) -> float: ...
    @property
    def horizon_steps(self) -> int: ...
    @property
    def scored_against(self) -> Any: ...
    @property
    def verdict(self) -> str | None: ...
    @property
    def errors(self) -> Errors | None: ...
    @property
    def channel_errors(self) -> Mapping[str, Errors]: ...


def score_of(found: _Found | None, purpose: str) -> Score | None:
    """Return what was found for a purpose as a score, None where nothing was."""
    if found is None:
        return None
    return Score(
        nmse=found.score,
        purpose=purpose,
        horizon_steps=found.horizon_steps,
        scored_against=found.scored_against,
        verdict=found.verdict,
        errors=known_errors(found.errors),
        channel_errors={n: known_errors(own) for n, own in found.channel_errors.items()},
    )


def best_of(study: StudyReader) -> Best | None:
    """Return the best of a study, None as long as no trial is complete."""
    from search.analysis.study_results import winner_of
    from search.analysis.trials import Trial
    from search.study.study_file import read_stored_definition

    winner = winner_of(study)
    if winner is not None:
        trial = winner.trial
        score = score_of(winner.final.found, "final")
        assert score is not None
        return Best(
            name=winner.name,
            trial=None if trial is None else trial.number,
            params={} if trial is None else dict(trial.params),
            score=score,
            test=score_of(winner.tested, "test"),
        )
    frozen = study.best_trial()
    if frozen is None:
        return None
    trial, task = Trial.of(frozen), read_stored_definition(study.definition).task
    score = Score(
        nmse=trial.score,
        purpose="search",
        horizon_steps=task.horizon_steps,
        scored_against=task.score_against,
        verdict=trial.record.verdict,
        errors=known_errors(trial.record.errors),
    )
    return Best(f"trial {trial.number}", trial.number, dict(trial.params), score)


def known_errors(errors: Errors | None) -> dict[str, float]:
    """Return the errors that were recorded, by name."""
    found = {} if errors is None else asdict(errors)
    return {name: error for name, error in found.items() if error is not None}
