"""How numbers, baselines, candidates and next commands are written, wherever they are shown."""

import shlex
from collections.abc import Sequence

from models.baselines.baseline import baselines
from models.diagnostics.errors import Errors
from models.diagnostics.scores import Averaging
from models.methods import counted as counted
from models.methods.series_properties import LEVEL, SeriesProperties
from search.contest import LEAST_LEVEL_SHARE, LEAST_T, LEAST_T_OF_THE_BEST
from search.series import Table
from search.study.definition import ScoreAgainst, Task, Validation


def shown_score(score: float) -> str:
    """A score with three significant digits."""
    if score < 999.5:
        return f"{score:.3g}"
    return f"{score:,.0f}" if score < 1e5 else f"{score:.2e}"


def shown_errors(errors: Errors | None) -> str:
    """Errors in a list; "" where they were not recorded."""
    if errors is None:
        return ""
    known = {"MAE": errors.mae, "RMSE": errors.rmse, "MASE": errors.mase}
    return ", ".join(f"{n} {shown_score(e)}" for n, e in known.items() if e is not None)


def mase_rule(season_steps: int) -> str:
    """What MASE is, without a full stop; season_steps: see `View`."""
    repeated = f"the value of {season_steps:,} steps before"
    if season_steps == 1:
        repeated = "the value before, since no season is known"
    return (
        "MASE is the absolute error over that of forecasts within the training span that repeat "
        f"{repeated}"
    )


def errors_rule(season_steps: int) -> str:
    """What MAE, RMSE and MASE are; season_steps: see `View`."""
    return (
        "MAE and RMSE are the mean absolute and the root mean squared error in the units of the "
        f"series, medians over draws or trainings. {mase_rule(season_steps)}."
    )


UNITS_RULE = (
    "Of columns in units of their own, MAE and RMSE are shown by column, and no mean of them."
)


def shown_minutes(used: float, limit: float | None) -> str:
    """The running time of a study beside its limit, which ends the search alone."""
    if limit is None:
        return f"{used:.1f} minutes"
    text = f"{min(used, limit):.1f} of {limit:g} minutes"
    # The search ends within seconds of its limit.
    return text if used - limit < 0.05 else f"{text}, then {used - limit:.1f} for the final"


def shown_scores(scores: Sequence[float]) -> str:
    return ", ".join(shown_score(score) for score in scores)


def baseline_name(key: str) -> str:
    """A baseline's name in full."""
    known = baselines().get(key)
    return key if known is None else known.label


def short_baseline_name(key: str) -> str:
    """A baseline's name in a sentence or a legend."""
    known = baselines().get(key)
    return key if known is None else known.short_label


_NOT_BEATEN = "does not beat every baseline in validation by more than the noise"


def beaten(
    in_final: bool | None, in_test: bool | None, final_runs: str = "", test_runs: str = ""
) -> str:
    """Whether a winner that is no baseline beats every baseline, in words that follow its name.

    final_runs, test_runs: what follows where, see `search.analysis.evidence.shown_runs`.
    """
    if in_final is None:
        return "won, with no baseline beside it"
    validated, tested = f"in validation{final_runs}", f"in the test{test_runs}"
    beats = f"beats every baseline {validated}" if in_final else f"{_NOT_BEATEN}{final_runs}"
    if in_test is None:
        return beats
    if in_final and in_test:
        return f"beats every baseline, {validated} and {tested}"
    if in_final:
        return f"{beats}, but not {tested}"
    if in_test:
        return f"{beats}, but does beat them {tested}"
    return f"{beats}, nor {tested}"


def truth_name(scored_against: ScoreAgainst) -> str:
    """What the truth of a score is, in a legend."""
    return "truth (noise-free signal)" if scored_against == "signal" else "truth (as observed)"


def scale_of(scored_against: ScoreAgainst) -> str:
    """What an NMSE is, in a sentence."""
    if scored_against == "signal":
        return (
            "NMSE is the mean squared error against the noise-free signal over that signal's "
            "variance: 1 is about the error of a constant at its mean."
        )
    return (
        "NMSE is the mean squared error against the observations over the variance of rows that "
        "are trained on. The mean as a baseline need not score 1: its score shows how much the "
        "scored rows vary compared with these."
    )


# What a score is, over replicas.
SCORE_OVER: dict[Averaging, str] = {
    "median": "median NMSE",
    "mean": "mean NMSE",
    "geometric mean": "geometric mean of NMSE + 1e-8, over start points, too,",
}

_TEST_RULE = "the score of the test is the median over trainings on the same rows."
_SHARED_VARIANCE = (
    "In the search and the final, NMSE is over the variance of the rows for training and "
    "validation together"
)
# What a score is and what the final ranks by, in a report.
_MOVING_RULE = (
    "A score is the mean NMSE over the replicas, each of which trains and runs freely "
    "at another place of the table, so that squared errors weigh as in a test over all of "
    f"them. The final ranks by the same score. {_SHARED_VARIANCE}; "
    f"{_TEST_RULE}"
)
_BLOCKS = "each of which leaves another block of rows out of its training and runs freely within it"
_SCORE_RULES: dict[Validation, str] = {
    "end": "A score is the median NMSE over draws or trainings. The final ranks by the geometric "
    "mean: unlike the median, it counts the draws on which a forecaster fails.",
    "rolling": _MOVING_RULE,
    "expanding": _MOVING_RULE,
    "blocks": "A score is the geometric mean of NMSE + 1e-8 over all free runs of the replicas, "
    f"{_BLOCKS}: one bad start does not decide it. The final ranks by the same score. "
    f"{_SHARED_VARIANCE}; {_TEST_RULE}",
}


def score_rule(task: Task) -> str:
    """What a score is and what the final ranks by, in a report."""
    if task.averaging != "mean":
        return _SCORE_RULES[task.validation]
    return (
        f"A score is the mean NMSE over all free runs of the replicas, {_BLOCKS}, so that squared "
        "errors weigh as in a test over many starts. The final ranks by the same score. "
        f"{_SHARED_VARIANCE}; {_TEST_RULE}"
    )


def winner_rule(*, has_draws: bool) -> str:
    """Who wins the final, see `search.contest`; has_draws: whether the series is generated."""
    if has_draws:
        return "The best trial wins."
    return (
        "The ensemble stands for the trials, unless the best of them beats it by more than "
        f"{LEAST_T_OF_THE_BEST:g} standard errors of the comparison in pairs. A trial wins where "
        f"it beats the best baseline by more than {LEAST_T:g}, the ensemble where it has the lower "
        "score; else that baseline wins."
    )


def left_out_sentence(count: int, *, level_is_new: bool) -> str:
    """That some finalists took no part in the choice, or could not win, and why."""
    who, do = ("1 finalist", "does") if count == 1 else (f"{count} finalists", "do")
    said = (
        "candidates learn the level of a block from the rows around it, so "
        f"{who} {do} not win but as part of an ensemble"
    )
    if level_is_new:
        said = (
            "the rows before the test end at a level that no earlier ones had, so "
            f"{who} {do} not take part in the choice"
        )
    return (
        f"{said}: of a shift of level, less than {LEAST_LEVEL_SHARE:.0%} is found in what is "
        "forecast after it"
    )


def validation_of(task: Task) -> str:
    """On which rows of a table the search trains and scores, in words."""
    runs = f"{counted(task.start_points, 'free run')} of {counted(task.horizon_steps, 'step')}"
    is_first = task.unused_rows == "between"
    early, the = ("the first ones", "the first ") if is_first else ("early ones", "")
    if task.validation == "rolling":
        return (
            f"{task.train_steps:,} rows each, {early} and then ever later ones; {runs} from "
            f"the row after them, all within the {task.validation_steps:,} rows after the first"
        )
    if task.validation == "expanding":
        return (
            f"{the}{task.train_steps:,} rows or more, ever later ones too; {runs} from the "
            f"row after them, all within the {task.validation_steps:,} rows after the first"
        )
    if task.validation == "blocks":
        return (
            f"{the}{task.train_steps + task.validation_steps:,} rows but a block of "
            f"{task.validation_steps:,}, another one each time; {runs} within the block"
        )
    return f"{the}{task.train_steps:,} rows; {runs} in the {task.validation_steps:,} after"


def trained_for_test(task: Task) -> str:
    """On which rows of a table the winner of the final is trained for the test, in words."""
    if task.unused_rows == "between" or task.validation == "expanding":
        return f"all rows before the last {task.test_steps:,}"
    known = task.train_steps + task.validation_steps
    return f"the {known:,} rows before the last {task.test_steps:,}"


# So many names of channels are written out.
_NAMED = 12


def shown_channels(table: Table) -> str:
    """The columns of a table, or the ids of a long one with its columns."""
    names, word = table.columns, "column"
    if table.long is not None:
        names, word = table.long.ids, f"series by {table.long.id_column}"
    shown = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        shown += f" and {len(names) - _NAMED} more"
    if table.long is None:
        return f"{counted(len(names), word)}: {shown}" if len(names) > 1 else f"{word} {shown}"
    columns = ", ".join(table.long.value_columns)
    return f"{len(names)} {word}: {shown}; {counted(len(table.long.value_columns), 'column')}: " + (
        columns
    )


def shown_properties(found: SeriesProperties) -> list[tuple[str, str]]:
    """What a training span shows of its series: what is said of, and what is said."""
    if not found.periods:
        period = "none found"
    else:
        steps = " and ".join(f"{period:.6g}" for period in found.periods)
        seen = found.train_steps / found.periods[0]
        period = f"{steps} steps" + (f", of which {seen:.2g} are seen" if found.is_wave else "")
    level = f"{100 * LEVEL:.0f} %"
    symmetry = {
        "Upside down": (found.is_sign_symmetric, "skewness of values"),
        "Backwards in time": (found.is_reversible, "skewness of increments"),
    }
    new_level = "a new one: the rows before the test end outside all levels that they had before"
    smooth = "none: the values follow a smooth curve, to less than 1 % of their standard deviation"
    return [
        ("Period", period),
        *([("Noise", smooth)] if found.is_noise_free else []),
        *([("Level", new_level)] if found.has_new_level else []),
        *(
            (name, f"{'may look' if may else 'does not look'} the same ({test}, level {level})")
            for name, (may, test) in symmetry.items()
        ),
    ]


# The rules of `models.diagnostics.verdict` in a few words.
VERDICTS = {
    "tracks": "stays on the truth",
    "flat": "settles on a level",
    "copies": "stays at its last input",
    "decays": "dies away on the way",
    "wrong frequency": "oscillates too fast or too slowly",
    "phase drift": "keeps its shape, and slips out of step",
    "diverges": "runs away",
    "off": "none of the others",
}


def commands(name: str, storage_url: str) -> list[tuple[str, str]]:
    """What can be done next: command lines, and what each does. storage_url: without password."""
    study, folder = shlex.quote(name), shlex.quote(f"{name}-export")
    hidden = ", with the password in place of ***" if "***" in storage_url else ""
    return [
        (f"export FREERUN_STORAGE={shlex.quote(storage_url)}", f"where it is kept{hidden}"),
        (f"freerun run {study}", "resumes; --trials and --minutes raise the budget"),
        ("freerun dashboard", "shows every trial in the browser"),
        (f"freerun report {study} -o report.html", "writes the report again"),
        (
            f"freerun export {study} -o {folder}",
            "exports the winner; --trial N exports a trial, --baseline NAME a baseline",
        ),
        (f"freerun retrain {folder} -o retrained", "trains it again and proves its score"),
        (
            f"freerun forecast {folder} --series FILE.csv --horizon 100 -o forecast.csv",
            "forecasts what comes after a table's last row",
        ),
    ]
