"""The table of scores: candidates and baselines side by side where they are comparable.

Scores are comparable within a group: same purpose, hence same draws, same span, same horizon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from models.diagnostics.errors import Errors
from models.diagnostics.scores import geometric_mean
from search.analysis.wording import baseline_name, counted, trained_for_test, validation_of
from search.evaluation import baseline_candidates, baseline_record, baseline_results
from search.records import BaselineRecord
from search.series import Table
from search.storage.records import ParamValue
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

# The baseline that each candidate is compared with, draw by draw.
OPPONENT = "ar"


@dataclass(frozen=True)
class Row:
    """A candidate or a baseline.

    scores: NMSE of each draw, or of each training where the series is a table; score: what they
    make together. is_winner: of the final. better_than_ar: on how many of the scores it is below
    AR's, as (how many, of); None for AR itself, and for a row that is in no group yet. errors: in
    the units of the series, None where an earlier version did not record them.
    """

    name: str
    kind: Literal["candidate", "baseline"]
    score: float
    scores: tuple[float, ...]
    described: str = ""
    verdict: str | None = None
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    is_winner: bool = False
    better_than_ar: tuple[int, int] | None = None
    errors: Errors | None = None

    @property
    def geometric_mean(self) -> float:
        """The geometric mean of the scores."""
        return geometric_mean(self.scores) if self.scores else self.score

    @property
    def mean_score(self) -> float:
        return float(np.mean(self.scores)) if self.scores else self.score


@dataclass(frozen=True)
class ScoreGroup:
    """Rows that were scored alike, the least score first; title and note say on what."""

    title: str
    note: str
    rows: Sequence[Row]


def search_baselines(definition: StudyDefinition, table: Table | None) -> dict[str, BaselineRecord]:
    """Fit and score the baselines on the draws of the search, which no trial did."""
    data = TaskData(definition, table)
    replicas = range(definition.search.replicas)
    views = [data.view("search", index) for index in replicas]
    results = baseline_results(baseline_candidates(data), views)
    return {name: baseline_record(result) for name, result in results.items()}


def score_group(
    title: str,
    note: str,
    candidates: Sequence[Row],
    baselines: Mapping[str, BaselineRecord],
    winning_baseline: str | None = None,
) -> ScoreGroup:
    """Return candidates and baselines as one list by their scores, with AR as the measure."""
    opponent = baselines[OPPONENT].draw_scores if OPPONENT in baselines else ()
    rows = [replace(row, better_than_ar=pairs(row.scores, opponent)) for row in candidates]
    for name, found in baselines.items():
        better = None if name == OPPONENT else pairs(found.draw_scores, opponent)
        row = Row(
            baseline_name(name), "baseline", found.score, found.draw_scores, errors=found.errors
        )
        rows.append(replace(row, better_than_ar=better, is_winner=name == winning_baseline))
    return ScoreGroup(title, note, sorted(rows, key=lambda row: row.score))


def span(
    definition: StudyDefinition, purpose: Literal["search", "final", "test"], trainings: int
) -> str:
    """On which data a purpose trained and scored, in words; trainings: of each candidate."""
    task = definition.task
    if definition.series.is_generated:
        fresh = "" if purpose == "search" else "fresh "
        runs = (
            f"a free run of {counted(task.test_horizon_steps, 'step')}"
            if purpose == "test"
            else _free_runs(task.start_points, task.horizon_steps)
        )
        return (
            f"{counted(trainings, f'{fresh}draw')}; on each, training on "
            f"{counted(task.train_steps, 'step')} and {runs}, against the {task.score_against}"
        )
    if purpose == "test":
        room = task.test_steps - task.test_horizon_steps + 1
        runs = _free_runs(min(task.start_points, room), task.test_horizon_steps)
        rows = f"{trained_for_test(task)}; {runs} within those"
    else:
        rows = validation_of(task)
    return (
        f"the one table; {counted(trainings, 'training')} on {rows}, against the "
        f"{task.score_against}"
    )


def _free_runs(number: int, steps: int) -> str:
    return f"{counted(number, 'free run')} of {counted(steps, 'step')}"


def by_score(baselines: Mapping[str, BaselineRecord]) -> list[str]:
    """The names of baselines, the best first."""
    return sorted(baselines, key=lambda name: baselines[name].score)


def pairs(scores: Sequence[float], opponent: Sequence[float]) -> tuple[int, int] | None:
    """On how many draws scores are below an opponent's, and of how many; None if they differ.

    An opponent of a table has one score, with which each training is compared.
    """
    if len(opponent) == 1:
        opponent = [opponent[0]] * len(scores)
    if not scores or len(opponent) != len(scores):
        return None
    return sum(a < b for a, b in zip(scores, opponent, strict=True)), len(scores)
