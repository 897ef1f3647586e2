"""The figures of a study's report, each with its words."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.analysis.course import history_of, rate_of
from search.analysis.importances import Importance
from search.analysis.score_table import OPPONENT, by_score
from search.analysis.study_results import StudyResults, Winner, baselines_of
from search.analysis.trials import Trial, verdict_counts
from search.analysis.wording import VERDICTS, counted, short_baseline_name, shown_score, truth_name
from search.contest import baseline_of
from search.plotting.artifacts import CURVE, ROLLOUT, read_curve_csv
from search.plotting.charts import chart
from search.plotting.drawing import Line
from search.plotting.free_runs import baseline_lines, error_drawing, error_line, rollout_drawing
from search.plotting.panels import channel_drawings, left_out, panels_chart
from search.plotting.study import history_chart, importances_chart, rate_chart
from search.records import BaselineRecord
from search.series import FloatArray


@dataclass(frozen=True)
class Plot:
    """A figure of plotly as JSON values; `alternative` describes it for readers who can't see it.

    key: unique within its section.
    """

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


@dataclass(frozen=True)
class VerdictRow:
    """How many trials got a verdict; share: of those that got any.

    example: the free run of a complete trial, None where none was kept.
    """

    verdict: str
    description: str
    complete: int
    pruned: int
    share: float
    example: Picture | None


def rollout_plot(results: StudyResults) -> Plot | Picture | None:
    """The free run of the winner's test, else of its final, else the best trial's picture.

    Of the baselines' free runs, those of AR and of the best one are shown, the others on demand.
    """
    winner = results.winner
    if winner is None:
        return _best_picture(results)
    found, where = winner.last.found, winner.last.purpose
    example, table = found.example, results.table
    forecasts = _baseline_forecasts(results, winner)
    beside = _beside(results, winner)
    drawn = [name for name in by_score(beside) if name in forecasts]
    shown = {OPPONENT, *drawn[:1]}
    drawing = rollout_drawing(
        example,
        truth_name=truth_name(found.scored_against),
        network_name="free run of the winner",
        baselines=[(name, forecasts[name], name in shown) for name in reversed(drawn)],
        positions=None if table is None else table.positions,
        x_title="step of the series" if table is None else table.time_column,
        y_title=[*example.channels, *results.definition.series.channels][0],
    )
    score = shown_score(found.replica_scores[example.replica])
    draw = f"draw {example.replica}" if table is None else f"training {example.replica}"
    names = ", ".join(map(short_baseline_name, drawn))
    return Plot(
        key="rollout",
        title=f"The winner's free run in the {where}",
        caption=(
            f"The winner reads observed values up to the vertical line, then only its own output. "
            f"Shown is the {where}'s median case, {draw}, with NMSE {score}. Click on a name in "
            "the legend to show or hide a line."
        ),
        alternative=(
            f"Observed values before the end of the warm-up; after it the truth and the free run "
            f"of the winner over {counted(found.horizon_steps, 'step')}, NMSE {score}, verdict "
            f"{found.verdicts[example.replica]}; beside it the free runs of {names or 'none'}."
        ),
        figure=chart(drawing, height=420),
    )


def panels_plot(results: StudyResults) -> Plot | None:
    """The free run of `rollout_plot` by channel, where there are several."""
    winner = results.winner
    if winner is None or not winner.last.found.example.others:
        return None
    found, where, table = winner.last.found, winner.last.purpose, results.table
    example = found.example
    drawings = channel_drawings(
        example,
        truth_name=truth_name(found.scored_against),
        network_name="free run of the winner",
        positions=None if table is None else table.positions,
        x_title="step of the series" if table is None else table.time_column,
    )
    scores = found.channel_scores
    long = None if table is None else table.long
    what = "" if long is None else f" ({long})"
    said = "; ".join(f"{name}: NMSE {shown_score(scores[name])}" for name, _ in drawings)
    return Plot(
        key="channels",
        title=f"The winner's free run in the {where}, by channel",
        caption=(
            f"{len(drawings)} of {counted(len(example.channels), 'channel')}{what}, each in its "
            f"own units. {left_out(example)}"
        ).strip(),
        alternative=f"Observed values, the truth and the free run of each channel. {said}.",
        figure=panels_chart(drawings),
    )


def error_plot(results: StudyResults, baselines: Mapping[str, BaselineRecord]) -> Plot | None:
    """The error by horizon step of the winner, or of the best trial, and of all baselines.

    baselines: on the draws of the search, for a study without a final.
    """
    winner, where = results.winner, "search"
    if winner is not None:
        where, errors, name = winner.last.purpose, winner.last.found.curve, winner.name
        baselines = _beside(results, winner)
    elif results.complete:
        trial = results.complete[0]
        name, content = f"trial {trial.number}", results.artifact(trial, CURVE)
        if content is None:
            return None
        errors = read_curve_csv(content)
    else:
        return None
    lines = [error_line(name, errors, "free-run")]
    lines += baseline_lines([(name, baselines[name].curve) for name in by_score(baselines)])
    return Plot(
        key="error-by-horizon",
        title=f"Error by horizon in the {where}",
        caption=(
            "NMSE at each step of the free run, the median over draws or trainings. Far out, "
            "neighbouring steps are drawn as their mean. Baselines also differ by their symbols, "
            "which stand at other steps in each line."
        ),
        alternative="NMSE by horizon step. " + " ".join(map(_line_in_words, lines)),
        figure=chart(error_drawing(lines, results.definition.task.score_against), height=420),
    )


def _beside(results: StudyResults, winner: Winner) -> dict[str, BaselineRecord]:
    """The baselines on the data of the winner's last job, without the winner itself."""
    done = results.tests if winner.test is not None else results.finals
    own = baseline_of(winner.subject)
    return {name: found for name, found in baselines_of(done).items() if name != own}


def _baseline_forecasts(results: StudyResults, winner: Winner) -> dict[str, FloatArray]:
    """The free runs of the baselines `[time]` on the draw of the winner's example, by name.

    Those of an earlier version are stored; others are run again.
    """
    done = results.tests if winner.test is not None else results.finals
    replica = winner.last.found.example.replica
    found = {name: own.forecast for name, own in winner.last.found.baselines.items()}
    for of in done:
        name = baseline_of(of.subject)
        if name is not None and of.subject != winner.subject:
            found[name] = results.forecast_of(of, replica)
    return {name: forecast for name, forecast in found.items() if forecast is not None}


def history_plot(results: StudyResults) -> Plot | None:
    """The scores of all trials in their order."""
    history = history_of(results.trials)
    if not history.complete.numbers and not history.pruned.numbers:
        return None
    best = history.best.scores
    return Plot(
        key="score-history",
        title="Score history",
        caption=(
            "Each trial's score in the search. A pruned trial is shown by its last report, of a "
            "network that was not trained to the end. Where points would lie on each other, one is "
            "drawn."
        ),
        alternative=f"Scores of {counted(results.counts.complete, 'complete trial')} and "
        f"{counted(results.counts.pruned, 'pruned trial')} by trial number"
        + (f"; the best is {shown_score(best[-1])}." if best else "."),
        figure=history_chart(history, results.definition.task.score_against),
    )


def rate_plot(results: StudyResults) -> Plot | None:
    """How fast the search went."""
    rate = rate_of(results.trials)
    if rate is None:
        return None
    finished, span = results.counts.complete + results.counts.pruned, rate.span_minutes
    return Plot(
        key="rate",
        title="Trials a minute",
        caption=(
            "Trials that ended, in intervals of equal length from the start of the first trial to "
            "the end of the last. Intervals in which none ended are empty."
        ),
        alternative=f"{finished:,} complete and pruned trials in {span:.2g} minutes, "
        f"{finished / span:.1f} a minute in the mean.",
        figure=rate_chart(rate),
    )


def importances_plot(rows: Sequence[Importance]) -> Plot | None:
    """Which parameters decide; None where there are too few trials."""
    if not rows:
        return None
    words = ", ".join(f"{row.parameter} {100 * row.share:.0f} %" for row in rows[:5])
    return Plot(
        key="importances",
        title="Importance of each parameter",
        caption=(
            "Conditional PED-ANOVA: how differently a parameter is distributed among the best "
            "tenth of the complete trials and among all of them, as shares of 100 %. It says where "
            "the good trials lie, not that a parameter alone makes them good."
        ),
        alternative=f"The most important parameters are {words}.",
        figure=importances_chart(rows),
    )


def verdict_rows(results: StudyResults) -> list[VerdictRow]:
    """Return the verdicts that were given, the most frequent first, each with an example."""
    rows = verdict_counts(results.trials)
    total = sum(complete + pruned for _, complete, pruned in rows)
    return [
        VerdictRow(
            verdict=verdict,
            description=VERDICTS.get(verdict, ""),
            complete=complete,
            pruned=pruned,
            share=(complete + pruned) / total,
            example=_example(results, verdict),
        )
        for verdict, complete, pruned in rows
    ]


def data_url(png: bytes) -> str:
    """Return a PNG as an address that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _best_picture(results: StudyResults) -> Picture | None:
    if not results.complete:
        return None
    best = results.complete[0]
    return _picture(
        results,
        best,
        title="The best trial's free run in the search",
        caption="It reads observed values up to the vertical line, then its own output.",
        what=f"whose score is {shown_score(best.score)}",
    )


def _example(results: StudyResults, verdict: str) -> Picture | None:
    """The picture of the trial in the middle, by score, of those that ended with a verdict."""
    ended = [trial for trial in results.complete if trial.record.verdict == verdict]
    if not ended:
        return None
    middle = ended[(len(ended) - 1) // 2]
    score = shown_score(middle.score)
    return _picture(
        results,
        middle,
        title=f"“{verdict}”: trial {middle.number}",
        caption=f"The middle one, by score, of {len(ended):,} complete trials: NMSE {score}.",
        what=f"which {VERDICTS.get(verdict, verdict)}; NMSE {score}",
    )


def _picture(
    results: StudyResults, trial: Trial, title: str, caption: str, what: str
) -> Picture | None:
    content = results.artifact(trial, ROLLOUT)
    if content is None:
        return None
    shown = f"Observed values, the truth and the free run of trial {trial.number}, {what}."
    return Picture(title, caption, alternative=shown, url=data_url(content))


def _line_in_words(line: Line) -> str:
    first, last = shown_score(line.y[0] or 0.0), shown_score(line.y[-1] or 0.0)
    step = float(line.x[-1])
    return f"{line.name}: {first} at step 1, {last} near step {step:.0f}."
