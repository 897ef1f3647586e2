"""The figures of a study's report, each with its words."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from search.results.figures import (
    Curve,
    Role,
    draw_curves,
    draw_history,
    draw_rollout,
    history_rows,
    horizon_curve,
    rollout_rows,
)
from search.results.pictures import CURVE, ROLLOUT, read_curve_csv
from search.results.study_results import StudyResults
from search.results.winner import BaselineOutcome, Outcome
from search.results.wording import (
    counted,
    short_baseline_name,
    shown_score,
    truth_name,
)
from search.series import Table

_ROLES: dict[str, Role] = {"ar": "ar", "persistence": "persistence", "mean": "mean"}
_COMPARED = "ar"


@dataclass(frozen=True)
class Plot:
    """A figure of plotly as JSON values. alternative: what it shows, for who can't see it."""

    key: str
    title: str
    caption: str
    alternative: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """A PNG within the page, as a data URL."""

    title: str
    caption: str
    alternative: str
    url: str


def rollout_plot(results: StudyResults) -> Plot | Picture | None:
    """The free run of the winner's test, else of its final, else the best trial's picture."""
    winner = results.winner
    if winner is None:
        return _best_picture(results)
    outcome = winner.test or winner.final
    compared = _baseline(outcome, _COMPARED)
    forecast = None if compared is None else compared.forecast
    example, table = outcome.example, results.table
    rows = rollout_rows(example, forecast, None if table is None else axis_positions(table))
    figure = draw_rollout(
        rows,
        time_title="step of the series" if table is None else table.time_column,
        value_title=results.definition.series.channels[0],
        truth_name=truth_name(outcome.scored_against),
        baseline_name="" if forecast is None else f"free run of {short_baseline_name(_COMPARED)}",
    )
    where = "test" if outcome.purpose == "test" else "final"
    score = shown_score(outcome.replica_scores[example.replica])
    draw = _draw_of(results, example.replica)
    beside = "" if forecast is None else f", and beside it that of {short_baseline_name(_COMPARED)}"
    return Plot(
        key="rollout",
        title=f"The winner's free run in the {where}",
        caption=(
            f"The network reads observed values up to the vertical line, then only its own output. "
            f"Shown is the {where}'s median case, {draw}, with NMSE {score}."
        ),
        alternative=(
            f"Observed values before the end of the warm-up; after it the truth, the free run of "
            f"the network over {counted(outcome.horizon_steps, 'step')}{beside}. NMSE {score}, "
            f"verdict {outcome.verdicts[example.replica]}."
        ),
        figure=plain_figure(figure),
    )


def error_plot(results: StudyResults, baselines: Sequence[BaselineOutcome]) -> Plot | None:
    """The error by horizon step of the winner, or of the best trial, and of the baselines.

    baselines: on the draws of the search, for a study without a final.
    """
    winner = results.winner
    if winner is not None:
        outcome = winner.test or winner.final
        name, errors, baselines = f"trial {winner.trial_number}", outcome.curve, outcome.baselines
        where: str = outcome.purpose
    else:
        best = results.ranked(1)
        found = _artifact(results, CURVE)
        if not best or found is None:
            return None
        name, errors, where = f"trial {best[0][1].number}", read_curve_csv(found), "search"
    curves = [horizon_curve(name, "free-run", errors)] + [
        horizon_curve(short_baseline_name(b.name), role, b.curve)
        for known, role in _ROLES.items()
        for b in baselines
        if b.name == known
    ]
    return Plot(
        key="error-by-horizon",
        title=f"Error by horizon in the {where}",
        caption=(
            "NMSE at each step of the free run, the median over draws or trainings. Far out, "
            "neighbouring steps are drawn as their mean."
        ),
        alternative="NMSE by horizon step. " + " ".join(map(_curve_in_words, curves)),
        figure=plain_figure(draw_curves(curves, results.definition.task.score_against)),
    )


def history_plot(results: StudyResults) -> Plot | None:
    """The scores of all trials in their order."""
    rows = history_rows(results.trials)
    if not rows.complete.numbers and not rows.pruned.numbers:
        return None
    best = f"; the best is {shown_score(rows.best.scores[-1])}" if rows.best.scores else ""
    return Plot(
        key="score-history",
        title="Score history",
        caption=(
            "Each trial's score in the search. A pruned trial is shown by its last report, of a "
            "network that was not trained to the end. Of points that would lie on each other, one "
            "is drawn."
        ),
        alternative=f"Scores of {counted(results.counts.complete, 'complete trial')} and "
        f"{counted(results.counts.pruned, 'pruned trial')} by trial number{best}.",
        figure=plain_figure(draw_history(rows, results.definition.task.score_against)),
    )


def axis_positions(table: Table) -> list[float | str]:
    """The time labels as positions: numbers, or dates as plotly reads them."""
    try:
        return [float(label) for label in table.times]
    except ValueError:
        return [label.replace("/", "-") for label in table.times]


def _best_picture(results: StudyResults) -> Picture | None:
    content = _artifact(results, ROLLOUT)
    if content is None:
        return None
    ((score, trial),) = results.ranked(1)
    return Picture(
        title="The best trial's free run in the search",
        caption="The network reads observed values up to the vertical line, then its own output.",
        alternative=f"Observed values, the truth and the free run of trial {trial.number}, whose "
        f"score is {shown_score(score)}.",
        url="data:image/png;base64," + base64.b64encode(content).decode(),
    )


def _artifact(results: StudyResults, filename: str) -> bytes | None:
    """A stored file of the best trial."""
    for _, trial in results.ranked(1):
        for artifact in results.study.artifacts(trial.trial_id):
            if artifact.filename == filename:
                return artifact.content
    return None


def _baseline(outcome: Outcome, name: str) -> BaselineOutcome | None:
    return next((baseline for baseline in outcome.baselines if baseline.name == name), None)


def _draw_of(results: StudyResults, replica: int) -> str:
    return f"draw {replica}" if results.table is None else f"training {replica}"


def _curve_in_words(curve: Curve) -> str:
    step = f"{curve.steps[-1]:.0f}"
    first, last = shown_score(curve.errors[0]), shown_score(curve.errors[-1])
    return f"{curve.name}: {first} at step 1, {last} near step {step}."


def plain_figure(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON values."""
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain
