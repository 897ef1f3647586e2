"""How much stands behind a score: the free runs it is of, and what it is divided by."""

from typing import Literal

from search.analysis.study_results import Standing
from search.analysis.wording import short_baseline_name, trained_for_test
from search.series import Table
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

# A comparison over fewer free runs says little.
_FEW_RUNS = 5


def free_runs(
    definition: StudyDefinition, table: Table | None, purpose: Literal["final", "test"]
) -> int | None:
    """From how many different rows of a table its free runs start; None for a generated series.

    Trainings share their rows: more of them are no more evidence about the series.
    """
    if table is None:
        return None
    data = TaskData(definition, table)
    if purpose == "test":
        return len(data.view("test", 0).starts)
    return len({start for cut in data.cuts("final") for start in cut.starts})


def shown_runs(runs: int | None) -> str:
    """The number of free runs behind a claim, in brackets that follow it; "" where not known."""
    if runs is None:
        return ""
    if runs < _FEW_RUNS:
        return f" ({'1 free run' if runs == 1 else f'{runs} free runs'}, which is little evidence)"
    return f" ({runs:,} free runs)"


def divisor(definition: StudyDefinition, purpose: Literal["final", "test"]) -> str:
    """The variance that an NMSE is divided by, in words."""
    task = definition.task
    if definition.series.is_generated:
        of = "signal" if task.score_against == "signal" else "training span"
        return f"the variance of the {of} of each draw"
    if purpose == "test":
        return f"the variance of {trained_for_test(task)}"
    if task.validation == "end":
        return f"the variance of the {task.train_steps:,} rows for training"
    return "the variance of the rows for training and validation"


def plain_finding(
    standing: Standing, winning_baseline: str | None, *, is_generated: bool
) -> str | None:
    """That nothing clearly better than a baseline was found, a sentence; None where it was.

    winning_baseline: the winner's name where it is a baseline. is_generated: the series is; its
    study asks what a kind of forecaster can do, so that nothing is said.
    """
    beats_none = standing.final is False and not standing.test
    baseline = winning_baseline or standing.opponent_final
    if baseline is None or is_generated or not (standing.is_baseline or beats_none):
        return None
    name = short_baseline_name(baseline)
    return f"This study found no forecaster that is clearly better than the baseline {name}."
