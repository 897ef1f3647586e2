"""How numbers, baselines, candidates and next commands are written, wherever they are shown."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from models.candidate import Candidate
from search.study.definition import ScoreAgainst

# By their keys in models.baselines; another one is called by its key.
_BASELINES = {
    "ar": "autoregression (AR, order chosen on the training span)",
    "ridge-ar": "ridge AR (both ways in time, ridge chosen on the training span)",
    "ssa": "singular spectrum analysis (SSA, rank chosen on the training span)",
    "persistence": "persistence (the last value)",
    "mean": "mean of the training span",
}
_SHORT_BASELINES = {"ar": "AR", "ridge-ar": "ridge AR", "ssa": "SSA"}
_UNITS = {"lru": "complex mode"}


def shown_score(score: float) -> str:
    """A score with three significant digits."""
    if score < 999.5:
        return f"{score:.3g}"
    return f"{score:,.0f}" if score < 1e5 else f"{score:.2e}"


def shown_scores(scores: Sequence[float]) -> str:
    """Scores side by side, in their order."""
    return ", ".join(shown_score(score) for score in scores)


def baseline_name(key: str) -> str:
    """A baseline's name in full."""
    return _BASELINES.get(key, key)


def short_baseline_name(key: str) -> str:
    """A baseline's name in a sentence or a legend."""
    return _SHORT_BASELINES.get(key, key)


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
        "NMSE is the mean squared error against the observations over the variance of the training "
        "span: what the mean scores shows how much a later span varies beside it."
    )


def candidate_name(candidate: Candidate) -> str:
    """A candidate in a few words: cell, size, what it reads, what it was trained on."""
    architecture, strategy = candidate.architecture, candidate.strategy
    if architecture.is_fitted:
        return _fitted_name(candidate)
    layers = f"{architecture.layers} x " if architecture.layers > 1 else ""
    context = (
        f"window of {architecture.context_steps}"
        if architecture.context == "window"
        else f"warm-up of {architecture.context_steps}"
    )
    rollout = (
        "one-step loss"
        if strategy.rollout_steps == 1
        else f"free-running loss over {strategy.rollout_steps} steps"
    )
    size = layers + counted(architecture.units, _UNITS.get(architecture.cell, "unit"))
    named = [
        (architecture.cell == "orthogonal", counted(architecture.reflections, "reflection")),
        (architecture.cell == "shplrnn", f"expanded to {architecture.expanded_units}"),
        (architecture.layer_norm, "layer norm"),
        (architecture.instance_norm, "instance norm"),
        (architecture.residual and not architecture.scaled_increments, "residual"),
        (architecture.scaled_increments, "scaled increments"),
        (not strategy.damping, "undamped"),
        (architecture.autonomous, "running on its state"),
        (architecture.estimates_state, "state by least squares"),
    ]
    extras = [words for applies, words in named if applies]
    return ", ".join([architecture.cell, size, *extras, context, rollout])


def _fitted_name(candidate: Candidate) -> str:
    """The same for a closed form: its kind, size and regularisation."""
    architecture, strategy = candidate.architecture, candidate.strategy
    stride = counted(architecture.delay_stride, "step")
    sizes = {
        "esn": f"{counted(architecture.units, 'unit')}, warm-up of {architecture.context_steps}",
        "nvar": f"{counted(architecture.units, 'delay')} of {stride}, degree {architecture.degree}",
        "ar": f"order {architecture.context_steps}",
        "ssa": f"window of {architecture.context_steps}",
    }
    level = "rank" if architecture.cell == "ssa" else "ridge"
    given = f"{strategy.ssa_rank}" if level == "rank" else f"{strategy.ridge:.2g}"
    is_chosen = strategy.regularisation == "held-out"
    named = [
        (architecture.residual, "residual"),
        (strategy.time_reversal, "both ways in time"),
        (True, f"{level} chosen on the last quarter" if is_chosen else f"{level} {given}"),
    ]
    extras = [words for applies, words in named if applies]
    return ", ".join([architecture.cell, sizes[architecture.cell], *extras])


def counted(number: int, singular: str) -> str:
    """A number with its noun: 1 draw, 2 draws."""
    return f"{number:,} {singular}" if number == 1 else f"{number:,} {singular}s"


# By models.verdict, whose rules these are in a few words.
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


@dataclass(frozen=True)
class Command:
    """A command line, and what it does."""

    line: str
    purpose: str


def commands(name: str, storage_url: str) -> list[Command]:
    """Return what can be done next. storage_url: without its password."""
    study, folder = shlex.quote(name), shlex.quote(f"{name}-export")
    hidden = ", with the password in place of ***" if "***" in storage_url else ""
    return [
        Command(f"export FREERUN_STORAGE={shlex.quote(storage_url)}", f"where it is kept{hidden}"),
        Command(f"freerun run {study}", "resumes; --trials and --minutes raise the budget"),
        Command("freerun dashboard", "shows every trial in the browser"),
        Command(f"freerun report {study} -o report.html", "writes the report again"),
        Command(
            f"freerun export {study} -o {folder}",
            "exports the winner; --trial N exports another trial",
        ),
        Command(f"freerun retrain {folder} -o retrained", "trains it again and proves its score"),
        Command(
            f"freerun forecast {folder} --series FILE.csv --horizon 100 -o forecast.csv",
            "forecasts what comes after a table's last row",
        ),
    ]
