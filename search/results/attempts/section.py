"""The section as it is laid out: questions, each with its sentences and figures."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from models.methods import counted
from search.results.attempts import sentences
from search.results.attempts.findings import Attempt, ExampleRun, StudyFindings, study_findings
from search.results.figures.bars import draw_bars
from search.results.figures.echo import Echo, draw_echoes
from search.results.figures.effects import Ratio, draw_ratios
from search.results.figures.error_by_horizon import draw_curves, horizon_curve
from search.results.figures.limit_by_context import LimitRows, Transferred, draw_limit
from search.results.figures.series import SeriesLine, draw_series
from search.results.figures.shares import draw_verdicts
from search.results.figures.spread import draw_spreads, spread_rows
from search.results.importances import Importance, importances
from search.results.plots import Picture, Plot, plain_figure
from search.results.study_results import StudyResults
from search.results.wording import shown_score
from search.study.presets import BASELINE_NAME

_Z = 1.96  # of a 95 % interval around a mean
# Pictures of examples within the page: half of what a trial keeps, since there are many.
_EXAMPLE_PIXELS = (600, 253)
_SHOWN_PARAMETERS = 12
# The attempts that blame vanishing gradients, and what they are compared with.
_ECHOES = (
    BASELINE_NAME,
    "lstm",
    "gru",
    "multi-step",
    "residual",
    "recursive-three-loss",
    "professor-forcing",
    "warmed-up",
)


@dataclass(frozen=True)
class Row:
    """One preset in the table; limit and transfer as text, "" where there is none."""

    attempt: Attempt
    study: str
    limit: str
    transfer: str
    one_step: str
    examples: Sequence[Picture]


@dataclass(frozen=True)
class Block:
    """A question with its answer."""

    question: str
    sentences: Sequence[str]
    plots: Sequence[Plot] = ()
    rows: Sequence[Row] = field(default=())


@dataclass(frozen=True)
class AttemptsSection:
    """The whole section; headline: the answer in one sentence."""

    headline: str
    blocks: Sequence[Block]

    @property
    def plots(self) -> list[Plot]:
        """The figures that plotly draws."""
        return [plot for block in self.blocks for plot in block.plots]


def attempts_section(studies: Sequence[StudyResults]) -> AttemptsSection | None:
    """Return the section on those of the studies that have presets; None if none has.

    The first of them is the report's own series; one without noise beside it is compared with it.
    """
    read = (study_findings(results) for results in studies)
    found = [findings for findings in read if findings is not None]
    if not found:
        return None
    noisy = next((f for f in found if f.noise_std != 0), found[0])
    clean = next((f for f in found if f is not noisy and f.noise_std == 0), None)
    importance_rows = importances(noisy.results.trials, noisy.results.definition)
    blocks = [
        Block(
            "Did any of the attempts work?",
            sentences.did_they_work(noisy),
            [*(_spreads(f) for f in found), *(_verdicts(f) for f in found)],
            [row for f in found for row in _rows(f)],
        ),
        Block("What could they have reached?", sentences.what_was_possible(noisy), _limits(noisy)),
        Block(
            "Why did the one-step forecast look good?",
            sentences.why_one_step_looks_good(noisy),
            _one_step(noisy),
        ),
        Block(
            "What does a free run do with its error?",
            sentences.what_becomes_of_an_error(noisy),
            _echoes(noisy),
        ),
        Block(
            "What does the winner do differently?",
            sentences.what_the_winner_needs(noisy.effects),
            _effects(noisy),
        ),
        Block(
            "Which parameters decide?",
            sentences.what_decides(importance_rows),
            _importances(importance_rows),
        ),
        Block(
            "And without noise?",
            [] if clean is None else sentences.without_noise(noisy, clean),
        ),
        Block("The report's own series, phase 0", _replay_words(noisy), _replay(noisy)),
    ]
    shown = [block for block in blocks if block.sentences or block.plots]
    return AttemptsSection(sentences.headline(noisy), shown)


def _rows(found: StudyFindings) -> list[Row]:
    rows = []
    for attempt in found.attempts:
        limit, transfer = found.limit_at(attempt.context_steps), attempt.transfer
        one_step = None if attempt.anatomy is None else attempt.anatomy["one_step"]
        rows.append(
            Row(
                attempt=attempt,
                study=found.name,
                limit="" if limit is None else shown_score(limit.nmse),
                transfer=""
                if transfer is None
                else f"{shown_score(transfer['mean'])} ± "
                f"{shown_score(_Z * transfer['standard_error'])}",
                one_step="" if one_step is None else shown_score(one_step["nmse"]),
                examples=[_example(attempt, example) for example in attempt.examples],
            )
        )
    return rows


def _example(attempt: Attempt, example: ExampleRun) -> Picture:
    with Image.open(io.BytesIO(example.picture)) as picture:
        small = picture.convert("RGB").resize(_EXAMPLE_PIXELS, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.quantize(16, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        content, "PNG", optimize=True
    )
    return Picture(
        title=f"{example.verdict} ({counted(example.trials, 'trial')})",
        caption=f"Trial {example.number}, score {shown_score(example.score)}: the middle one.",
        alternative=f"Free run of trial {example.number} of {attempt.name}, verdict "
        f"{example.verdict}, score {shown_score(example.score)}.",
        url="data:image/png;base64," + base64.b64encode(content.getvalue()).decode(),
    )


def _spreads(found: StudyFindings) -> Plot:
    spreads = [
        spread_rows(a.name, "free-run" if a.preset.is_attempt else "good", a.scores)
        for a in found.attempts
    ]
    told = "; ".join(f"{s.name}: {s.least:.2g} to {s.greatest:.2g}" for s in spreads)
    return Plot(
        key=f"attempts-scores-{found.name}",
        title=f"Scores by preset, {found.name}",
        caption=(
            "Complete trials of each preset: thick from quartile to quartile, thin from the best "
            "to the worst, a tick at the median. NMSE over the horizon of the search: 1 is about "
            "the error of a constant."
        ),
        alternative=f"Scores by preset, best to worst. {told}.",
        figure=plain_figure(draw_spreads(spreads, [("a constant", 1.0)], "score (NMSE)")),
    )


def _verdicts(found: StudyFindings) -> Plot:
    families = [(a.name, a.verdicts) for a in found.attempts]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{v} {n}" for v, n in sorted(verdicts.items()))
        for name, verdicts in families
    )
    return Plot(
        key=f"attempts-verdicts-{found.name}",
        title=f"Verdicts by preset, {found.name}",
        caption="What the free runs of each preset do: the most frequent verdict of each trial's "
        "replicas.",
        alternative=f"Trials by verdict. {told}.",
        figure=plain_figure(draw_verdicts(families)),
    )


def _limits(found: StudyFindings) -> list[Plot]:
    if found.limit is None or found.short_limit is None or found.limit.reason:
        return []
    transferred = [
        Transferred(a.name, t["context_steps"], t["mean"], _Z * t["standard_error"])
        for a in found.attempts
        if (t := a.transfer) is not None
    ]
    rows = LimitRows(
        limit=[(c.samples, c.nmse) for c in found.limit.contexts],
        horizon_steps=found.limit.horizon_steps,
        short_limit=[(c.samples, c.nmse) for c in found.short_limit.contexts],
        short_horizon_steps=found.short_limit.horizon_steps,
        trials=[point for a in found.attempts for point in a.contexts],
        transferred=transferred,
    )
    return [
        Plot(
            key="attempts-limit",
            title="The limit by context",
            caption=(
                "The least mean error that any forecaster with weights that do not depend on the "
                "draw could reach from so many noisy samples before the free run. Only means over "
                "many draws on which nothing was trained compare with it, the diamonds. Trials "
                "(circles) are means over a few draws of networks that were trained on those very "
                "draws, and may lie below."
            ),
            alternative="Limit in the mean by samples seen: "
            + ", ".join(f"{c.samples}: {shown_score(c.nmse)}" for c in found.limit.contexts),
            figure=plain_figure(draw_limit(rows)),
        )
    ]


def _one_step(found: StudyFindings) -> list[Plot]:
    baseline = found.attempt(BASELINE_NAME)
    if baseline is None or baseline.anatomy is None or baseline.anatomy["one_step"] is None:
        return []
    anatomy = baseline.anatomy
    horizon = len(anatomy["persistence"])
    curves = [
        horizon_curve(
            "free run of the best baseline", "free-run", np.array(anatomy["result"]["curve"])
        ),
        horizon_curve(
            "persistence: the last value for ever", "persistence", np.array(anatomy["persistence"])
        ),
        horizon_curve(
            "one-step forecasts from true values",
            "ar",
            np.full(horizon, anatomy["one_step"]["nmse"]),
        ),
        horizon_curve(
            "the last true value, step by step",
            "mean",
            np.full(horizon, anatomy["one_step"]["persistence"]),
        ),
    ]
    against = found.results.definition.task.score_against
    return [
        Plot(
            key="attempts-one-step",
            title="One step ahead, and on its own",
            caption=(
                "NMSE by horizon step, the median over draws. The level lines read the truth at "
                "every step; the other two read it for the last time before step 1."
            ),
            alternative=f"One-step NMSE {shown_score(anatomy['one_step']['nmse'])}, free run "
            f"{shown_score(anatomy['result']['score'])} over {horizon} steps.",
            figure=plain_figure(draw_curves(curves, against)),
        )
    ]


def _echoes(found: StudyFindings) -> list[Plot]:
    echoes = []
    for name in _ECHOES:
        attempt = found.attempt(name)
        if attempt is not None and attempt.anatomy is not None and attempt.anatomy["echo"]:
            echo = attempt.anatomy["echo"]
            echoes.append(Echo(name, echo["lags"], echo["norms"]))
    if not echoes:
        return []
    return [
        Plot(
            key="attempts-echo",
            title="What is left of an error",
            caption=(
                "The derivative of the last forecast of a free run with respect to a forecast so "
                "many steps before, by the best trial of each preset, the median over networks: "
                "the gradient through the rollout. Straight down is forgotten, above 1 is blown up."
            ),
            alternative="Gradient norm by lag. "
            + "; ".join(f"{e.name}: {e.norms[0]:.2g} to {e.norms[-1]:.2g}" for e in echoes),
            figure=plain_figure(draw_echoes(echoes)),
        )
    ]


def _effects(found: StudyFindings) -> list[Plot]:
    if not found.effects:
        return []
    ratios = [Ratio(f"{e.component} → {e.without}", e.ratio, e.low, e.high) for e in found.effects]
    return [
        Plot(
            key="attempts-components",
            title="The winner without each of its components",
            caption=(
                "Error without the component over error with it: geometric mean over the draws of "
                "the final, with a 95 % interval (bootstrap over draws). Right of 1, it is needed. "
                "What rests on a component goes with it, as the text says."
            ),
            alternative="; ".join(
                f"{r.name}: {shown_score(r.ratio)} ({shown_score(r.low)} to {shown_score(r.high)})"
                for r in ratios
            ),
            figure=plain_figure(draw_ratios(ratios, "error without it / error with it")),
        )
    ]


def _importances(rows: Sequence[Importance]) -> list[Plot]:
    if not rows:
        return []
    shown = [(row.parameter, row.share) for row in rows[:_SHOWN_PARAMETERS]]
    return [
        Plot(
            key="attempts-importances",
            title="Importance of parameters",
            caption=(
                "PED-ANOVA: how differently a parameter is distributed among the best tenth of all "
                "complete trials and among all of them; shares of the sum over parameters."
            ),
            alternative="Shares: " + ", ".join(f"{name} {share:.3f}" for name, share in shown),
            figure=plain_figure(draw_bars(shown, "share of importance")),
        )
    ]


def _replay_words(found: StudyFindings) -> list[str]:
    if found.replay is None:
        return []
    result = found.replay["result"]
    return [
        "With the phase fixed at 0 a network can learn the answer by heart, so this is shown and "
        f"not ranked: the best baseline trained on it, the middle one of "
        f"{counted(len(result['replica_scores']), 'network')} with noise of their own, whose free "
        f"run scores {shown_score(float(np.median(result['replica_scores'])))} in the median, "
        f"verdict “{result['verdict']}”."
    ]


def _replay(found: StudyFindings) -> list[Plot]:
    if found.replay is None:
        return []
    replay, train = found.replay, found.results.definition.task.train_steps
    values, truth = replay["values"], replay["truth"]
    free = replay["result"]["example"]["forecast"]
    low, high = min(values), max(values)
    room = 0.1 * (high - low)
    observed = SeriesLine("observed", "observed", 0, values, 1)
    signal = SeriesLine("wave without its noise", "truth", 0, truth, 1.6)
    panels = [
        ("series", "The series", [observed, signal], "The series of phase 0."),
        (
            "one-step",
            "One-step forecasts",
            [
                observed,
                signal,
                SeriesLine(
                    "one-step forecasts",
                    "free-run",
                    replay["first_forecast"],
                    replay["one_step"],
                    2.5,
                    "dash",
                ),
            ],
            "Each forecast reads the true values before it.",
        ),
        (
            "free-run",
            "The free run",
            [
                observed,
                signal,
                SeriesLine("free run", "free-run", train, free, 3, "dash"),
            ],
            "After the training span each forecast reads the forecasts before it.",
        ),
    ]
    return [
        Plot(
            key=f"attempts-replay-{key}",
            title=title,
            caption=caption,
            alternative=f"{title} of phase 0; {', '.join(line.name for line in lines)}.",
            figure=plain_figure(
                draw_series(
                    lines,
                    end_of_training=train,
                    mark="end of training",
                    value_range=(low - room, high + room),
                )
            ),
        )
        for key, title, lines, caption in panels
    ]
