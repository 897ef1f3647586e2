"""`freerun limit`: the attainable score of a study, before any trial is spent."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import JsonOption, print_json

if TYPE_CHECKING:
    from search.study.study_file import StudyFile

# What is slow to import (numpy, optuna, polars, torch) is imported where it is used.


def limit(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY_FILE", help="A study file (TOML).")],
    samples: Annotated[
        list[int] | None,
        typer.Option(
            "--samples",
            metavar="N",
            help="Noisy samples that the forecaster sees; repeat it for several. "
            "Else 4, 16, 64, 256 and train_steps.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the least mean NMSE that any forecaster could reach, by how much it sees.

    Example: freerun limit studies/sine.toml --samples 4 --samples 600
    """
    from search.series import SineSeries
    from search.study.study_file import read_study_file

    file = read_study_file(study_file)
    is_known = isinstance(file.definition.series, SineSeries)
    found = (_limits if is_known else _baselines)(file, samples or [])
    if as_json:
        print_json(found)
    elif is_known:
        _print_limits(found)
    else:
        _print_baselines(found)


def _limits(file: "StudyFile", samples: list[int]) -> dict[str, Any]:
    from search.series import SineSeries
    from search.study.limit.limit import FEWEST_DRAWS, sine_limit

    series, task = file.definition.series, file.definition.task
    assert isinstance(series, SineSeries)
    found = sine_limit(
        series,
        train_steps=task.train_steps,
        horizon_steps=task.test_horizon_steps,
        samples=samples,
    )
    return {
        "study": file.definition.name,
        "series": series.source,
        "against": "signal",
        "score_against": task.score_against,
        "train_steps": task.train_steps,
        "horizon_steps": found.horizon_steps,
        "contexts": [
            {"samples": c.samples, "nmse": c.nmse, "standard_error": c.standard_error}
            for c in found.contexts
        ],
        "floor": found.floor.nmse,
        "floor_standard_error": found.floor.standard_error,
        "reference": found.reference,
        "baselines": None,
        "fewest_draws": FEWEST_DRAWS,
        "reason": found.reason,
    }


def _baselines(file: "StudyFile", samples: list[int]) -> dict[str, Any]:
    from search.evaluation import baseline_results
    from search.study.limit.limit import checked_samples
    from search.study.task_data import TaskData

    definition, table = file
    checked_samples(samples, definition.task.train_steps)
    data = TaskData(definition, table)
    views = [data.view("search", replica) for replica in range(definition.search.replicas)]
    return {
        "study": definition.name,
        "series": definition.series.source,
        "against": definition.task.score_against,
        "score_against": definition.task.score_against,
        "train_steps": definition.task.train_steps,
        "horizon_steps": definition.task.horizon_steps,
        "contexts": [],
        "floor": None,
        "floor_standard_error": None,
        "reference": None,
        "baselines": {result.name: result.record().score for result in baseline_results(views)},
        "fewest_draws": None,
        "reason": f"No limit is known for a {definition.series.source}: it is computed from the "
        "equation that makes a series, and nobody knows this one's.",
    }


def _print_limits(found: dict[str, Any]) -> None:
    _say(
        f"{found['study']}: the least mean NMSE against the signal, over draws and free runs of "
        f"{found['horizon_steps']} steps, for a forecaster that knows amplitude, frequency and "
        "noise, and sees the last so many noisy samples"
    )
    typer.echo(f"\n  {'samples seen':>12}  {'least mean NMSE':>15}  {'standard error':>14}")
    for context in found["contexts"]:
        typer.echo(
            f"  {context['samples']:>12}  {context['nmse']:>15.4g}  "
            f"{context['standard_error']:>14.1g}"
        )
    reference = found["reference"]
    shown = "unknown" if reference is None else f"{reference:.4g}"
    meaning = (
        "too little is seen to tell amplitude, frequency and phase apart"
        if reference is None
        else "Cramér-Rao with amplitude, frequency and phase unknown; no floor"
    )
    typer.echo(
        f"\n  floor      {found['floor']:<9.4g}  all {found['train_steps']} training samples; "
        f"binds trained weights, too\n  reference  {shown:<9}  {meaning}\n"
    )
    _say(
        found["reason"]
        or "A row binds forecasters whose weights come from other draws; weights trained on the "
        "same draw have seen more than their window, and only the floor binds them. Compare with "
        f"a mean over at least {found['fewest_draws']} draws, never with a median (such as a "
        "trial's score) or a single draw: those may be lower by luck. A mean below the floor is "
        "a leak of data, no success."
    )
    if found["score_against"] != found["against"]:
        _say(
            "This study scores against the observations: its scores also hold the noise, and are "
            "divided by the variance of each training span, so that they can't be compared with "
            "these figures."
        )


def _print_baselines(found: dict[str, Any]) -> None:
    _say(f"{found['study']}: {found['reason']}")
    _say(
        f"What a candidate has to beat on the validation span, NMSE against the "
        f"{found['against']} over free runs of {found['horizon_steps']} steps:"
    )
    for name, score in found["baselines"].items():
        typer.echo(f"  {name:12} {score:.4g}")


def _say(text: str) -> None:
    typer.echo(fill(text, width=88))
