"""`freerun forecast`: an export's forecast from the last row of a table, its bands and picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import JsonOption, check_device, print_result, stop_flag
from search.cli.results import FolderArgument, read_series
from search.errors import UsageError
from search.names import cut

if TYPE_CHECKING:
    from search.export import Export
    from search.series import Table


def forecast(
    folder: FolderArgument,
    series: Annotated[Path, typer.Option("--series", metavar="FILE", help="CSV or Parquet.")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast after the last row.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write: .csv, .csv.gz or .parquet.")
    ],
    future: Annotated[
        Path | None,
        typer.Option(
            "--future",
            metavar="FILE",
            help="Later rows of the columns that are known in advance, of a long table with their "
            "ids, where the file of --series does not have them.",
        ),
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option(
            "--levels",
            metavar="PERCENT...",
            help="Add prediction intervals, each to hold that many percent of the values.",
        ),
    ] = None,
    more_levels: Annotated[
        list[str] | None, typer.Argument(metavar="[PERCENT...]", hidden=True)
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it as well: a .png or a self-contained .html."),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="First learn from all rows of the file, cheaply; the export stays as it is.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older forecast of the same columns.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option("--device", help="With --update: torch device to learn on; else the CPU."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Warm up on a table's last rows, free-run, and write the forecast as CSV or Parquet.

    Columns that are known in advance go on behind the last value, in the same file or in that of
    --future.

    Example: freerun forecast results/sunspots/export --series studies/sunspots.csv --horizon 22
    -o forecast.csv --levels 80 95 --picture forecast.png
    """
    from search.export import read_export
    from search.export.picture import check_picture, picture_kind
    from search.outputs import (
        check_apart,
        check_different,
        check_forecast_name,
        check_output,
        forecast_kind,
    )

    if more_levels and not levels:
        raise UsageError(f"freerun forecast takes one export folder, but also got {more_levels[0]}")
    if device is not None and not update:
        raise UsageError(
            f"--device must go with --update, which learns, but got {device!r} alone; leave it "
            "out: a free run takes the CPU"
        )
    check_device(device or "cpu")
    if picture is not None:
        check_picture(picture)
        check_different({"--output": output, "--picture": picture})
    check_forecast_name(output)
    wanted = _levels([*(levels or []), *(more_levels or [])])
    read = [series, folder] if future is None else [series, folder, future]
    check_apart(output, read)
    exported = read_export(folder)
    table = read_series(exported, series, future)
    check_output(output, forecast_kind(table.header), force=force)
    if picture is not None:
        check_output(picture, picture_kind(picture), inputs=read)
    plain, lines = forecast_file(
        exported,
        table,
        horizon,
        output,
        levels=wanted,
        picture=picture,
        update=update,
        device=device or "cpu",
    )
    for warning in plain["warnings"]:
        typer.echo(f"freerun: warning: {warning}", err=True)
    print_result(plain, as_json, "\n".join(lines))


def forecast_file(
    exported: Export,
    table: Table,
    horizon: int,
    output: Path,
    *,
    levels: Sequence[float] = (),
    picture: Path | None = None,
    update: bool = False,
    device: str = "cpu",
) -> tuple[dict[str, Any], list[str]]:
    """Write a forecast, and its picture if wanted; return what was done, and it in lines."""
    from search.export.bands import forecast_with_bands
    from search.export.forecast import write_forecast
    from search.export.intervals import held_by_level
    from search.export.trust import measured_steps

    measured = measured_steps(exported)
    plain: dict[str, Any] = {
        "forecast": str(output),
        "horizon": horizon,
        "measured_steps": measured,
    }
    plain["warnings"] = []
    lines = []
    if update:
        exported, said = _updated(exported, table, device)
        plain["updated"] = said
        lines.append(f"updated on {table.rows} rows: {said}")
    made = forecast_with_bands(exported, table, horizon, levels, plain["warnings"].append)
    write_forecast(made.table, output)
    lines.append(f"forecast: {output}")
    if exported.intervals is not None and made.bands:
        found = [exported.intervals.coverage(band.level) for band in made.bands]
        plain["levels"] = held_by_level(found)
        over = f", over the first {measured} steps" if horizon > measured else ""
        lines += [f"intervals of {own.level:g} % {own}{over}" for own in found]
    if picture is not None:
        from search.export.picture import write_picture

        write_picture(exported, table, made, picture)
        plain["picture"] = str(picture)
        lines.append(f"picture: {picture}")
    return plain, lines


def _levels(texts: Sequence[str]) -> list[float]:
    """The numbers of levels, which blanks or commas separate."""
    cells = [cell for text in texts for cell in text.split(",") if cell.strip()]
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        raise UsageError(
            f"--levels must be percent with blanks or commas between them, such as 80 95, but got "
            f"{cut(' '.join(texts))!r}"
        ) from None


def _updated(exported: Export, table: Table, device: str) -> tuple[Export, str]:
    import torch

    from search.export.updating import updated

    torch.set_num_threads(1)
    with stop_flag() as stopped:

        def tick() -> None:
            if stopped():
                raise KeyboardInterrupt

        again, made = updated(exported, table, device=device, tick=tick)
    return again, str(made)
