"""The figures of the section on attempts, each with its words; none where there is nothing."""

from collections.abc import Sequence

import numpy as np

from search.analysis.importances import Importance
from search.analysis.wording import counted, shown_score
from search.plotting.charts import chart, short
from search.plotting.drawing import Line
from search.plotting.free_runs import error_drawing, error_line
from search.plotting.study import importances_chart
from search.report.figures import Plot
from search.series import FloatArray
from search.student import figures
from search.student.figures import Interval
from search.student.findings import ComponentEffect, StudyFindings, margin
from search.study.presets import BASELINE_NAME

# The attempts that blame vanishing gradients, and what they are compared with.
_BLAMED = (
    BASELINE_NAME,
    "lstm",
    "gru",
    "multi-step",
    "residual",
    "recursive-three-loss",
    "rnn-symmetric",
)


def scores(found: StudyFindings) -> Plot:
    """The scores of each preset."""
    in_words = "; ".join(
        f"{a.name}: {a.scores[0]:.2g} to {a.scores[-1]:.2g}" for a in found.attempts
    )
    return Plot(
        key=f"scores-{found.name}",
        title=f"Scores by preset, {found.name}",
        caption=(
            "Complete trials of each preset: thick from quartile to quartile, thin from the best "
            "to the worst, a tick at the median. NMSE over the horizon of the search: 1 is about "
            "the error of a constant."
        ),
        alternative=f"Scores by preset, best to worst. {in_words}.",
        figure=figures.spreads_chart(
            [
                (a.name, "free-run" if a.preset.is_attempt else "good", a.scores)
                for a in found.attempts
            ]
        ),
    )


def verdicts(found: StudyFindings) -> Plot:
    """The verdicts of each preset."""
    families = [(a.name, a.verdicts) for a in found.attempts]
    in_words = "; ".join(
        f"{name}: " + ", ".join(f"{v} {n}" for v, n in sorted(counts.items()))
        for name, counts in families
    )
    return Plot(
        key=f"verdicts-{found.name}",
        title=f"Verdicts by preset, {found.name}",
        caption="What the free runs of each preset do: the most frequent verdict of each trial's "
        "replicas.",
        alternative=f"Trials by verdict. {in_words}.",
        figure=figures.verdict_shares_chart(families),
    )


def limits(found: StudyFindings) -> Plot | None:
    """The limit by context length, with trials and networks on other draws."""
    if found.limit is None or found.short_limit is None or found.limit.reason:
        return None
    networks = [
        Interval(a.name, t.mean, t.mean - margin(t), t.mean + margin(t), t.context_steps)
        for a in found.attempts
        if (t := a.transfer) is not None
    ]
    trials = [point for a in found.attempts for point in a.contexts]
    return Plot(
        key="limit",
        title="The limit by context",
        caption=(
            "The least mean error that any forecaster with weights that do not depend on the draw "
            "could reach from so many noisy samples before the free run. Only means over many "
            "draws on which nothing was trained compare with it, the diamonds. Trials (circles) "
            "are means over a few draws of networks that were trained on those very draws, and may "
            "lie below."
        ),
        alternative="Limit in the mean by samples seen: "
        + ", ".join(f"{c.samples}: {shown_score(c.nmse)}" for c in found.limit.contexts),
        figure=figures.limits_chart(found.limit, found.short_limit, trials, networks),
    )


def one_step(found: StudyFindings) -> Plot | None:
    """The baseline's one-step forecasts beside its free run, and persistence both ways."""
    trained = found.trained
    if trained is None or trained.one_step is None:
        return None
    free_run, persistence = trained.result.curve, trained.persistence
    horizon, nmse = len(persistence), trained.one_step.nmse
    last_value = np.full(horizon, trained.one_step.persistence)
    lines = [
        error_line("free run of the best-trained baseline", free_run, "free-run"),
        error_line(
            "persistence: the last value for ever",
            persistence,
            "baseline-2",
            1.8,
            "dot",
        ),
        error_line(
            "one-step forecasts from true values", np.full(horizon, nmse), "baseline-3", 1.8, "dash"
        ),
        error_line("the last true value, step by step", last_value, "baseline-1", 1.8, "dashdot"),
    ]
    against = found.results.definition.task.score_against
    return Plot(
        key="one-step",
        title="One step ahead, and on its own",
        caption=(
            "NMSE by horizon step, the median over draws. The level lines read the truth at every "
            "step; the other two read it for the last time before step 1."
        ),
        alternative=f"One-step NMSE {shown_score(nmse)}, free run "
        f"{shown_score(trained.result.score)} over {horizon} steps.",
        figure=chart(error_drawing(lines, against), height=380),
    )


def sensitivity(found: StudyFindings) -> Plot | None:
    """What is left of a displaced value later in the free run."""
    curves = [
        (attempt.name, attempt.sensitivity.lags, attempt.sensitivity.norms)
        for attempt in map(found.attempt, _BLAMED)
        if attempt is not None and attempt.sensitivity is not None
    ]
    if not curves:
        return None
    return Plot(
        key="sensitivity",
        title="Sensitivity to a displaced value",
        caption=(
            "The derivative of the last forecast of a free run with respect to a forecast so many "
            "steps before, by the best trial of each preset, the median over networks: the "
            "gradient through the rollout. A line that falls steeply forgets; above 1 it blows up."
        ),
        alternative="Gradient norm by lag. "
        + "; ".join(f"{name}: {n[0]:.2g} to {n[-1]:.2g}" for name, _, n in curves),
        figure=figures.sensitivity_chart(curves),
    )


def components(
    effects: Sequence[ComponentEffect], of: str = "The winner", key: str = "components"
) -> Plot | None:
    """How much larger the error is without each component of the winner, or of another trial."""
    if not effects:
        return None
    ratios = [Interval(f"{e.component} → {e.without}", e.ratio, e.low, e.high) for e in effects]
    return Plot(
        key=key,
        title=f"{of} without each of its components",
        caption=(
            "Error without the component over error with it: geometric mean over "
            f"{counted(effects[0].pairs, 'draw')} of the final, with a 95 % interval (bootstrap "
            "over draws). Right of 1, it is needed. What rests on a component goes with it."
        ),
        alternative="; ".join(
            f"{r.name}: {shown_score(r.value)} ({shown_score(r.low)} to {shown_score(r.high)})"
            for r in ratios
        ),
        figure=figures.ratios_chart(ratios, "error without it / error with it"),
    )


def parameters(rows: Sequence[Importance]) -> Plot | None:
    """The importances over all presets."""
    if not rows:
        return None
    return Plot(
        key="importances",
        title="Importance of parameters",
        caption=(
            "PED-ANOVA: how differently a parameter is distributed among the best tenth of all "
            "complete trials and among all of them; shares of the sum over parameters."
        ),
        alternative="Shares: " + ", ".join(f"{r.parameter} {r.share:.3f}" for r in rows),
        figure=importances_chart(rows),
    )


def replay(found: StudyFindings) -> list[Plot]:
    """The report's three pictures: the series, one-step forecasts, and the free run."""
    if found.replay is None:
        return []
    run, train = found.replay, found.results.definition.task.train_steps

    def points(start: int, y: FloatArray) -> tuple[Sequence[int], Sequence[float | None]]:
        return range(start, start + len(y)), [short(value) for value in y]

    both = [
        Line("observed", "observed", *points(0, run.values), 1.0),
        Line("wave without its noise", "truth", *points(0, run.truth)),
    ]
    first = points(run.first_forecast, run.one_step)
    one_step = Line("one-step forecasts", "free-run", *first, 2.5, "dash")
    free_run = Line(
        "free run", "free-run", *points(train, run.result.example.forecast), 3.0, "dash"
    )
    panels = [
        ("series", "The series", both, "The series of phase 0."),
        ("one-step", "One-step forecasts", [*both, one_step], "Each reads the values before it."),
        (
            "free-run",
            "The free run",
            [*both, free_run],
            "After the training span each forecast reads the forecasts before it.",
        ),
    ]
    return [
        Plot(
            key=f"replay-{key}",
            title=title,
            caption=caption,
            alternative=f"{title} of phase 0; {', '.join(line.name for line in lines)}.",
            figure=figures.series_chart(lines, train, run.values),
        )
        for key, title, lines, caption in panels
    ]
