"""`freerun check`: what a study file would run, and which presets there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import JsonOption, print_json
from search.errors import UsageError

if TYPE_CHECKING:
    from search.running.estimate import Estimate
    from search.study.definition import StudyDefinition

_LINE = 100


def check(
    study_file: Annotated[
        Path | None, typer.Argument(metavar="STUDY_FILE", help="A study file (TOML).")
    ] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="List the presets that a study file can name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate a study file; say what would run, and about how long it takes here.

    Example: freerun check studies/sine.toml
    """
    if (study_file is None) != presets:
        got = "both" if presets else "neither"
        raise UsageError(f"check must get a STUDY_FILE or --presets, but got {got}; name one")
    if study_file is None:
        known = _known_presets()
        if as_json:
            print_json({"presets": known})
        else:
            typer.echo("presets, named in the [presets] section of a study file with their trials")
            _print_presets(known)
        return
    from search.study.study_file import read_study_file

    definition, table = read_study_file(study_file)
    import torch

    from search.running.estimate import estimate

    torch.set_num_threads(1)  # as workers have it
    found = estimate(definition, table)
    rows = None if table is None else table.rows
    if as_json:
        print_json(_plain(definition, rows, found))
    else:
        typer.echo(f"{study_file}: valid")
        _print(definition, rows, found)


def _plain(definition: StudyDefinition, rows: int | None, found: Estimate) -> dict[str, Any]:
    search, task = definition.search, definition.task
    return {
        "study": definition.name,
        "valid": True,
        "series": definition.series.source,
        "rows": rows,
        "train_steps": task.train_steps,
        "horizon_steps": task.horizon_steps,
        "score_against": task.score_against,
        "trials": search.trials,
        "minutes": search.minutes,
        "replicas": search.replicas,
        "presets": _presets_of(definition),
        "space": {name: d.to_plain() for name, d in definition.space.items()},
        "seconds_per_trial": round(found.seconds_per_trial, 3),
        "estimated_minutes": round(found.minutes, 1),
        "workers": found.workers,
    }


def _print(definition: StudyDefinition, rows: int | None, found: Estimate) -> None:
    search, task = definition.search, definition.task
    size = "" if rows is None else f", {rows} rows"
    typer.echo(f"  series   {definition.series.source}{size}")
    typer.echo(
        f"  task     train on {task.train_steps} steps, free-run {task.horizon_steps}, "
        f"NMSE against the {task.score_against}"
    )
    limit = "" if search.minutes is None else f" or {search.minutes:g} minutes"
    typer.echo(f"  budget   {search.trials} trials{limit}, each on {search.replicas} replicas")
    if definition.presets:
        typer.echo("  presets, with their trials")
        _print_presets(_presets_of(definition))
    typer.echo("  space" + (", as far as a preset leaves it open" if definition.presets else ""))
    for name, domain in definition.space.items():
        typer.echo(f"    {name:22} {domain.to_plain()}")
    typer.echo(
        f"  here     about {found.seconds_per_trial:.1f} s per trial and core, so about "
        f"{found.minutes:.0f} minutes with {found.workers} workers, then the final"
    )


def _presets_of(definition: StudyDefinition) -> dict[str, dict[str, Any]]:
    from search.study.presets import BY_NAME, open_names

    return {
        name: {
            "trials": preset.trials,
            "change": BY_NAME[name].change,
            "fixed": dict(preset.fixed),
            "open": open_names(definition.space, preset.fixed),
        }
        for name, preset in definition.presets.items()
    }


def _known_presets() -> dict[str, dict[str, Any]]:
    from search.study.presets import PRESETS, open_names
    from search.study.space import parameters

    defaults = {row.name: row.default for row in parameters() if row.searched}
    return {
        preset.name: {
            "change": preset.change,
            "fixed": dict(preset.fixed),
            "open": open_names(defaults, preset.fixed),
        }
        for preset in PRESETS
    }


def _print_presets(presets: Mapping[str, Mapping[str, Any]]) -> None:
    """Each preset in words, and below by its values; an attempt's only where they differ."""
    for name, preset in presets.items():
        trials = f"{preset['trials']:>5}  " if "trials" in preset else ""
        typer.echo(f"    {name:20} {trials}{preset['change']}")
        for line in _values(name, preset["fixed"], preset["open"]):
            typer.echo(fill(line, _LINE, initial_indent=" " * 8, subsequent_indent=" " * 10))


def _values(name: str, fixed: Mapping[str, Any], opened: list[str]) -> list[str]:
    from models.methods import shown
    from search.study.presets import BASELINE_NAME, BY_NAME, VARIED

    def text(value: Any) -> str:
        return f"{value:g}" if isinstance(value, float) else shown(value)

    baseline = BY_NAME[BASELINE_NAME].fixed
    is_change = BY_NAME[name].is_attempt and name != BASELINE_NAME
    values = {k: v for k, v in fixed.items() if not (is_change and baseline.get(k) == v)}
    lines = [", ".join(f"{key}={text(value)}" for key, value in values.items())]
    more = [key for key in opened if not (is_change and key in VARIED)]
    lines.append(f"open{', too' if is_change else ''}: {', '.join(more)}" if more else "")
    return [line for line in lines if line]
