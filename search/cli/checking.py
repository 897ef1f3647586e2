"""`freerun check` and `freerun limit`: what a study file would run, and could reach at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from search.cli.cuts import (
    cut_lines,
    masked_lines,
    plain_cuts,
    plain_masked,
    plain_spans,
    span_lines,
)
from search.cli.options import JsonOption, print_json
from search.cli.starting import refuse_table, write_spans_picture
from search.errors import UsageError

if TYPE_CHECKING:
    from models.methods import Domain, Scalar
    from search.running.estimate import Estimate
    from search.series import Table
    from search.study.definition import StudyDefinition
    from search.study.limit import Limit
    from search.study.study_file import StudyFile

_LINE = 100
# A limit takes a second or two for each.
MOST_SAMPLES = 16


def check(
    study_file: Annotated[
        Path | None, typer.Argument(metavar="STUDY_FILE", help="A study file (TOML).")
    ] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="List the presets that a study file can name.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE.png",
            help="Draw the series of a table with the spans and the period.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a study file; say what would run, and about how long it takes here.

    Example: freerun check studies/sine.toml
    """
    if (study_file is None) != presets:
        got = "both" if presets else "neither"
        raise UsageError(f"check must get a STUDY_FILE or --presets, but got {got}; name one")
    if study_file is None:
        if picture is not None:
            raise UsageError("--picture must go with a STUDY_FILE, but got --presets; name one")
        known = _known_presets()
        if as_json:
            print_json({"presets": known})
        else:
            typer.echo("presets, named in the [presets] section of a study file with their trials")
            _print_presets(known)
        return
    refuse_table(study_file)
    from search.study.study_file import read_study_file

    file = read_study_file(study_file)
    definition, table = file
    if picture is not None:
        _write_picture(file, study_file, picture)
    from search.running.estimate import estimate

    found = estimate(definition)
    if as_json:
        drawn = {} if picture is None else {"picture": str(picture)}
        print_json({**_plain(definition, table, found), **drawn})
    else:
        typer.echo(f"{study_file}: valid")
        _print(definition, table, found)
        if picture is not None:
            typer.echo(f"picture: {picture}")


def _write_picture(file: StudyFile, study_file: Path, picture: Path) -> None:
    from search.outputs import PICTURE, check_output
    from search.series import TableSeries

    series = file.definition.series
    inputs = [study_file]
    if isinstance(series, TableSeries):
        inputs.append(study_file.parent / series.path)
    if picture.suffix.lower() != ".png":
        raise UsageError(f"--picture must end in .png, but got {picture}; name such a file")
    check_output(picture, PICTURE, inputs=inputs)
    write_spans_picture(file, picture)


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
    refuse_table(study_file)
    from search.study.study_file import read_study_file

    if samples and len(samples) > MOST_SAMPLES:
        raise UsageError(
            f"--samples must be given at most {MOST_SAMPLES} times, but is {len(samples)} times; "
            "leave some out"
        )
    found = Attainable.of(read_study_file(study_file), samples or [])
    if as_json:
        print_json(found.to_plain())
    elif found.limit is not None:
        _print_limits(found.study, found.limit)
    else:
        _print_baselines(found.study, found.reason, found.baselines or {})


def _plain(definition: StudyDefinition, table: Table | None, found: Estimate) -> dict[str, Any]:
    search, task = definition.search, definition.task
    return {
        "study": definition.name,
        "valid": True,
        "series": definition.series.source,
        "rows": None if table is None else table.rows,
        "channels": list(definition.series.channels if table is None else table.columns),
        **_beside(table),
        "notices": [] if table is None else list(table.notices),
        "ids": None if table is None or table.long is None else list(table.long.ids),
        "train_steps": task.train_steps,
        "horizon_steps": task.horizon_steps,
        "validation": task.validation,
        "spans": plain_spans(definition, table),
        "cuts": plain_cuts(definition, table),
        "masked": plain_masked(definition, table),
        "properties": definition.model_dump(mode="json")["properties"],
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


def _beside(table: Table | None) -> dict[str, list[str]]:
    """The columns beside those that are forecast by what is known of them, where there are some."""
    if table is None or table.covariates is None:
        return {}
    return {"known": list(table.known_names), "past": list(table.past_names)}


def _print(definition: StudyDefinition, table: Table | None, found: Estimate) -> None:
    from models.methods import counted
    from models.network.options.segments import suited_segments
    from search.analysis.wording import shown_properties

    search, task = definition.search, definition.task
    size = "" if table is None else f", {table.rows} rows"
    typer.echo(f"  series   {definition.series.source}{size}")
    if table is not None and len(table.columns) > 1:
        from search.analysis.wording import shown_channels

        said = fill(shown_channels(table), _LINE - 11, subsequent_indent=" " * 11)
        typer.echo(f"           {said}")
    if table is not None:
        for line in table.lines_beside():
            typer.echo(fill(f"           {line}", _LINE, subsequent_indent=" " * 13))
        for notice in _notices(table):
            typer.echo(fill(f"           {notice}", _LINE, subsequent_indent=" " * 13))
    typer.echo(
        f"  task     train on {task.train_steps} steps, free-run {task.horizon_steps}, "
        f"NMSE against the {task.score_against}"
    )
    spans, masked = span_lines(definition, table), masked_lines(definition, table)
    for line in (*spans, *masked, *cut_lines(definition, table)):
        typer.echo(f"           {line}")
    if definition.properties is not None:
        for name, said in shown_properties(definition.properties):
            typer.echo(f"           {name.lower()}: {said}")
        choices = suited_segments(definition.properties).to_plain()
        typer.echo(f"           segments to try: segment_steps = {choices}")
    minutes = "" if search.minutes is None else f" and {search.minutes:g} minutes"
    typer.echo(
        f"  budget   at most {counted(search.trials, 'trial')}{minutes}, with "
        f"{counted(search.replicas, 'replica')} of each trial"
    )
    if definition.presets:
        typer.echo("  presets, with their trials")
        _print_presets(_presets_of(definition))
    typer.echo("  space" + (", as far as a preset leaves it open" if definition.presets else ""))
    for name, domain in definition.space.items():
        typer.echo(f"    {name:22} {domain.to_plain()}")
    seconds = found.seconds_per_trial
    shown = f"about {seconds:.1f}" if seconds >= 0.1 else "less than 0.1"
    typer.echo(
        f"  here     {shown} s per trial and core; the search takes "
        f"{_shown_minutes(found.minutes)} with {counted(found.workers, 'worker')}, then comes the "
        "final"
    )


def _shown_minutes(minutes: float) -> str:
    from models.methods import counted

    if minutes < 1.0:
        return "less than a minute"
    if minutes < 10.0:
        rounded = float(f"{minutes:.2g}")
        return f"about {rounded:g} minute{'' if rounded == 1.0 else 's'}"
    return f"about {counted(round(minutes), 'minute')}"


def _notices(table: Table) -> list[str]:
    """What was found in the table's file, with its times first."""
    times = f"{table.time_column} {table.times[0]} to {table.times[-1]}, a step of {table.interval}"
    return [times, *table.notices]


def _presets_of(definition: StudyDefinition) -> dict[str, dict[str, Any]]:
    return {
        name: {"trials": preset.trials, **_preset(name, preset.fixed, definition.space)}
        for name, preset in definition.presets.items()
    }


def _known_presets() -> dict[str, dict[str, Any]]:
    from search.study.presets import PRESETS
    from search.study.space import parameters

    defaults = {row.name: row.default for row in parameters() if row.searched}
    return {preset.name: _preset(preset.name, preset.fixed, defaults) for preset in PRESETS}


def _preset(name: str, fixed: Mapping[str, Scalar], space: Mapping[str, Domain]) -> dict[str, Any]:
    from search.study.presets import BY_NAME, open_names

    change, opened = BY_NAME[name].change, open_names(space, fixed)
    return {"change": change, "fixed": dict(fixed), "open": opened}


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


@dataclass(frozen=True)
class Attainable:
    """What `freerun limit` finds: the limits of a sine, else what baselines reach."""

    study: StudyDefinition
    limit: Limit | None
    baselines: Mapping[str, float] | None
    reason: str

    @classmethod
    def of(cls, file: StudyFile, samples: list[int]) -> Self:
        from search.series import SineSeries
        from search.study.limit import checked_samples, sine_limit

        study, task, series = file.definition, file.definition.task, file.definition.series
        if isinstance(series, SineSeries):
            steps, horizon = task.train_steps, task.test_horizon_steps
            found = sine_limit(series, train_steps=steps, horizon_steps=horizon, samples=samples)
            return cls(study, found, None, found.reason)
        from search.evaluation import baseline_candidates, baseline_results
        from search.study.task_data import TaskData

        checked_samples(samples, task.train_steps)
        data = TaskData(study, file.table)
        views = [data.view("search", replica) for replica in range(study.search.replicas)]
        found_scores = baseline_results(baseline_candidates(data), views)
        scores = {name: result.score for name, result in found_scores.items()}
        reason = f"No limit is known for {series.source}: freerun computes that of a noisy sine."
        if not series.is_generated:
            reason = (
                "No limit is known for a table: it is computed from the equation that makes a "
                "series, and nobody knows this one's."
            )
        return cls(study, None, scores, reason)

    def to_plain(self) -> dict[str, Any]:
        from search.study.limit import FEWEST_DRAWS

        task, limit = self.study.task, self.limit
        return {
            "study": self.study.name,
            "series": self.study.series.source,
            "against": "signal" if limit else task.score_against,
            "score_against": task.score_against,
            "train_steps": task.train_steps,
            "horizon_steps": limit.horizon_steps if limit else task.horizon_steps,
            "contexts": [asdict(context) for context in limit.contexts] if limit else [],
            "floor": limit and limit.floor.nmse,
            "floor_standard_error": limit and limit.floor.standard_error,
            "reference": limit and limit.reference,
            "baselines": self.baselines,
            "fewest_draws": FEWEST_DRAWS if limit else None,
            "reason": self.reason,
        }


def _print_limits(study: StudyDefinition, limit: Limit) -> None:
    from search.study.limit import FEWEST_DRAWS

    _say(
        f"{study.name}: the least mean NMSE against the signal, over draws and free runs of "
        f"{limit.horizon_steps} steps, for a forecaster that knows amplitude, frequency and "
        "noise, and sees the last so many noisy samples"
    )
    typer.echo(f"\n  {'samples seen':>12}  {'least mean NMSE':>15}  {'standard error':>14}")
    for row in limit.contexts:
        typer.echo(f"  {row.samples:>12}  {row.nmse:>15.4g}  {row.standard_error:>14.1g}")
    reference, says = "unknown", "too little is seen to tell amplitude, frequency and phase apart"
    if limit.reference is not None:
        reference = f"{limit.reference:.4g}"
        says = "Cramér-Rao with amplitude, frequency and phase unknown; no floor"
    typer.echo(
        f"\n  floor      {limit.floor.nmse:<9.4g}  all {study.task.train_steps} training samples; "
        f"binds trained weights, too\n  reference  {reference:<9}  {says}\n"
    )
    _say(
        limit.reason
        or "A row binds forecasters whose weights come from other draws; weights trained on the "
        "same draw have seen more than their window, and only the floor binds them. Compare with "
        f"a mean over at least {FEWEST_DRAWS} draws, never with a median (such as a "
        "trial's score) or a single draw: those may be lower by luck. A mean below the floor is "
        "a leak of data, no success."
    )
    if study.task.score_against != "signal":
        _say(
            "This study scores against the observations: its scores also hold the noise, and are "
            "divided by the variance of each training span, so that they can't be compared with "
            "these figures."
        )


def _print_baselines(study: StudyDefinition, reason: str, scores: Mapping[str, float]) -> None:
    _say(f"{study.name}: {reason}")
    _say(
        f"What a candidate has to beat on the validation span, NMSE against the "
        f"{study.task.score_against} over free runs of {study.task.horizon_steps} steps:"
    )
    for name, score in scores.items():
        typer.echo(f"  {name:12} {score:.4g}")


def _say(text: str) -> None:
    typer.echo(fill(text, width=88))
