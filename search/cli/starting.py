"""`freerun init`, and how `freerun run` begins with a table instead of a study file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import JsonOption, print_result
from search.cli.table_options import (
    CalendarOption,
    DecimalOption,
    DuplicatesOption,
    IdOption,
    KnownOption,
    MissingOption,
    NoTimeOption,
    PastOption,
    PeriodOption,
    SeparatorOption,
    TimeFormatOption,
    TimeOption,
    naming_options,
    table_keys,
)
from search.errors import SeriesError, StudyFileError, UsageError, UserError
from search.starter.names import is_table

if TYPE_CHECKING:
    from search.series import Table
    from search.starter.starting import Start
    from search.study.study_file import StudyFile

# Of the prediction interval that is drawn, in percent.
LEVEL = 80.0

HorizonOption = Annotated[
    int | None,
    typer.Option(
        "--horizon",
        metavar="N",
        help="Of a table: steps to forecast; else two periods, one period, or a tenth of the rows.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="Of a table: a column to forecast; repeat it for several. Else all columns of "
        "numbers.",
    ),
]


def init(
    table: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table: CSV, Parquet or a workbook.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The study file to write; else NAME.toml here."),
    ] = None,
    horizon: HorizonOption = None,
    column: ColumnOption = None,
    time: TimeOption = None,
    no_time: NoTimeOption = False,
    id_column: IdOption = None,
    time_format: TimeFormatOption = None,
    missing: MissingOption = None,
    duplicates: DuplicatesOption = None,
    separator: SeparatorOption = None,
    decimal: DecimalOption = None,
    period: PeriodOption = None,
    known: KnownOption = None,
    past: PastOption = None,
    calendar: CalendarOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a study file that is already there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a table, say what it holds, and write a study file for it.

    Options from --time to --calendar replace what would be found.

    Example: freerun init studies/sunspots.csv --horizon 33 -o sunspots.toml
    """
    from search.files import write_file
    from search.outputs import STUDY_FILE, check_apart, check_output
    from search.starter.names import study_name
    from search.starter.starting import start
    from search.starter.study_text import study_text

    said = table_keys(
        time=time,
        no_time=no_time,
        period=period,
        known=known,
        past=past,
        calendar=calendar,
        id=id_column,
        time_format=time_format,
        missing=missing,
        duplicates=duplicates,
        separator=separator,
        decimal=decimal,
    )
    name = study_name(table)
    output = Path(f"{name}.toml") if output is None else output
    check_apart(output, [table])
    if output.suffix != ".toml":
        raise UsageError(
            f"-o must name a study file, which ends in .toml, but got {output}; write for example "
            f"-o {_quoted(output.with_suffix('.toml'))}"
        )
    # What is wrong with the arguments comes before what is there already.
    with naming_options():
        found = start(
            table, output.parent, name=name, horizon_steps=horizon, columns=column or (), said=said
        )
    check_output(output, STUDY_FILE, inputs=[table], force=force)
    write_file(output, study_text(found, str(output)).encode())
    plain = {**found.to_plain(), "study_file": str(output)}
    lines = [*found.lines(), f"study file: {output}", f"next: freerun run {_quoted(output)}"]
    print_result(plain, as_json, "\n".join(lines))


def refuse_table(path: Path) -> None:
    """Raise UsageError where a command that needs a study file got a table."""
    if is_table(path):
        name = _quoted(path)
        raise UsageError(
            f"a study file (TOML) must be named, but {path} is a table; make one with "
            f"`freerun init {name}`, or run it at once: freerun run {name} --horizon N"
        )


@dataclass(frozen=True, eq=False)
class TableRun:
    """A run that begins with a table: what was found in it, and where all of it is written.

    folder: of study file, report, export, forecast and pictures.
    """

    start: Start
    folder: Path

    @classmethod
    def of(
        cls,
        table: Path,
        output: Path | None,
        fork: str | None,
        horizon: int | None,
        columns: list[str],
        said: Mapping[str, Any],
    ) -> TableRun:
        """Look at a table, and check that what is there may be replaced; nothing is written.

        said: keys of [series], see `start`.
        """
        from search.outputs import PICTURE, check_output, forecast_kind
        from search.starter.names import study_name
        from search.starter.starting import start

        name = study_name(table) if fork is None else fork
        folder = Path("results") / name if output is None else output
        look = partial(
            start, table, folder, name=name, horizon_steps=horizon, columns=columns, said=said
        )
        with naming_options():
            own = cls(look(), folder)
            if own._is_changed() and "period" not in said:
                # A later version may find other periods than the one that began the study.
                before = _periods_of(own._stored())
                own = own if before is None else cls(look(found_before=before), folder)
        if own.study_file.exists() and own._is_changed():
            raise UsageError(
                f"{own.study_file} is there and says something else than is made of {table} now: "
                "the table, an option or the file changed; run it as it is: freerun run "
                f"{_quoted(own.study_file)}, or start a new study with --fork NEW_NAME"
            )
        shown = own.start.table
        # Before minutes are spent.
        with naming_options():
            times = shown.continue_time(own.start.task.horizon_steps)
            if shown.file_known_names and not shown.known_ahead:
                raise SeriesError(own._without_later_rows(table))
            if shown.known_names:
                shown.known_until(own.start.task.horizon_steps)
        first = times if shown.long is None else [i for i in shown.long.ids for _ in times]
        kind = forecast_kind(shown.header, first)
        for path in (own.series_picture, own.forecast_picture):
            check_output(path, PICTURE, inputs=[table])
        check_output(own.forecast_file, kind, inputs=[table])
        return own

    @property
    def study_file(self) -> Path:
        return self.folder / f"{self.start.name}.toml"

    @property
    def series_picture(self) -> Path:
        return self.folder / "series.png"

    @property
    def forecast_file(self) -> Path:
        return self.folder / "forecast.csv"

    @property
    def forecast_picture(self) -> Path:
        return self.folder / "forecast.png"

    def begin(self) -> StudyFile:
        """Write the study file and the picture of the series, and say what was found."""
        from search.files import write_file
        from search.study.study_file import read_study_file

        if not self.study_file.exists():
            write_file(self.study_file, self._text().encode())
        file = read_study_file(self.study_file)
        assert file.table is not None
        write_spans_picture(file, self.series_picture)
        for line in self.start.lines():
            typer.echo(line, err=True)
        typer.echo(f"study file: {self.study_file}; picture: {self.series_picture}", err=True)
        return file

    def end(self, export: Path, table: Table) -> dict[str, Any]:
        """Forecast what comes after the table, all of which the export learns from first.

        Returns the files, and what to doubt.
        """
        from search.cli.forecasting import forecast_file
        from search.export import read_export

        exported, steps = read_export(export), self.start.task.horizon_steps
        levels = [] if exported.intervals is None else [LEVEL]
        try:
            made, _ = forecast_file(
                exported,
                table,
                steps,
                self.forecast_file,
                levels=levels,
                picture=self.forecast_picture,
                update=True,
            )
        except UserError as error:
            return {"forecast": None, "picture": None, "warnings": [str(error)]}
        return {"levels": {}, **made}

    def _without_later_rows(self, table: Path) -> str:
        """How to forecast with known columns whose later values are in no file yet."""
        from models.methods import counted

        names, steps = self.start.table.file_known_names, self.start.task.horizon_steps
        what = f"the column '{names[0]}' is" if len(names) == 1 else f"{', '.join(names)} are"
        export = Path("results") / self.start.name / "export"
        return (
            f"{table} must go on with known columns behind its last value, since a run of a table "
            f"ends with a forecast, but {what} known up to '{self.start.table.times[-1]}' only; "
            f"add {counted(steps, 'row')} of later times with known values alone, or make a study "
            "file with the same options (`freerun init`), run it (`freerun run FILE.toml`), and "
            f"give the later rows to `freerun forecast {_quoted(export)} --series {_quoted(table)} "
            f"--future LATER.csv --horizon {steps} -o forecast.csv`"
        )

    def _text(self) -> str:
        from search.starter.study_text import study_text

        return study_text(self.start, str(self.study_file))

    def _stored(self) -> Mapping[str, Any]:
        """What the study file says that is there; nothing without one that can be read."""
        from search.study.study_file import read_content

        try:
            return read_content(self.study_file)
        except StudyFileError:
            return {}

    def _is_changed(self) -> bool:
        """Whether the study file that is there says something else, comments aside."""
        return self._stored() != tomllib.loads(self._text())


def _periods_of(stored: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The periods in a study file of a table, none where it has none; None where it can't tell."""
    if not isinstance(series := stored.get("series"), Mapping):
        return None
    period = series.get("period", [])
    periods = period if isinstance(period, list) else [period]
    is_valid = all(type(own) in (int, float) and own > 1 for own in periods)
    return tuple(map(float, periods)) if is_valid else None


def write_spans_picture(file: StudyFile, path: Path) -> None:
    """Draw the series of a study file with its spans; UsageError where it is no table."""
    from search.files import write_file

    if file.table is None:
        raise UsageError(
            f"--picture must go with a table, but the series is a generated "
            f"{file.definition.series.source}; leave it out"
        )
    from search.plotting.series_pictures import spans_png

    write_file(path, spans_png(file.definition, file.table))


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
