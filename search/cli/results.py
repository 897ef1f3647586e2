"""`freerun report, export, retrain`: what a study found, and its use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import (
    DeviceOption,
    JsonOption,
    NameArgument,
    StorageOption,
    check_device,
    print_result,
    stop_flag,
    storage_at,
)
from search.errors import ExportError, SeriesError, UsageError
from search.files import shown_path
from search.names import cut

if TYPE_CHECKING:
    from search.export import Export
    from search.series import Table

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="An export folder.")]


OnnxOption = Annotated[
    bool,
    typer.Option("--onnx", help="Add the free run of a network as model.onnx, for other programs."),
]


def report(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of studies.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained HTML report about one or several studies.

    Example: freerun report sine -o report.html
    """
    from search.outputs import REPORT, check_output

    check_output(output, REPORT)
    with storage_at(storage) as opened:
        from search.report.page import write_report
        from search.student.section import report_sections

        write_report(opened, names, output, report_sections)
    print_result({"studies": names, "report": str(output)}, as_json, f"report: {output}")


def export(
    name: NameArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    trial: Annotated[
        int | None, typer.Option(help="Number of a complete trial; else the final's winner.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="A baseline of the final, by its name.")
    ] = None,
    as_onnx: OnnxOption = False,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the winner, a trial or a baseline: configuration, networks and claimed score.

    Example: freerun export sine --baseline ridge-ar -o ridge-ar
    """
    with storage_at(storage) as opened:
        from search.export.of_study import export_of

        exported = export_of(opened.study(name), trial, baseline)
        _write(exported, output, as_onnx)
    claimed = None if exported.claim is None else exported.claim.score
    plain = {
        "study": name,
        "subject": exported.subject,
        "trial": exported.trial,
        "claimed": claimed,
        "export": str(output),
    }
    print_result(plain, as_json, f"export: {output} ({exported.named}, score {claimed})")


def retrain(
    folder: FolderArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    series: Annotated[
        Path | None, typer.Option("--series", metavar="FILE", help="Train on this table instead.")
    ] = None,
    hold_out: Annotated[
        int, typer.Option(help="With --series: last rows that are scored, not trained on.")
    ] = 0,
    as_onnx: OnnxOption = False,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Train an exported configuration again: on the same data, to prove its score, or on a file.

    Example: freerun retrain results/sine/export -o retrained
    """
    if series is None and hold_out:
        raise UsageError("--hold-out must go with --series, but no file was given")
    import torch

    from search.analysis.status import errors_summary
    from search.export import read_export
    from search.export.updating import retrained
    from search.outputs import check_apart, check_export
    from search.running.retraining import reproduces, retrain_on, retrain_same
    from search.study.task_data import season_steps

    torch.set_num_threads(1)
    check_apart(output, [folder] if series is None else [folder, series])
    check_export(output)
    exported = read_export(folder)
    check_device(device)
    with stop_flag() as stopped, _explained_training(folder):

        def tick() -> None:
            if stopped():
                raise KeyboardInterrupt

        claim, table = exported.claim, exported.table
        found: dict[str, Any]
        if series is not None:
            claim, table = None, read_series(exported, series)
            again = retrain_on(
                exported.candidate,
                table,
                hold_out,
                exported.study_seed,
                exported.definition.search.final_replicas,
                season_steps=season_steps(exported.definition),
                device=device,
                tick=tick,
            )
            found = {"reproduced": None, "rows": table.rows, "hold_out": hold_out}
        elif claim is None:
            raise ExportError(
                f"{folder} claims no score, since it was trained on all rows of a file; "
                "give that file with --series"
            )
        else:
            again = retrain_same(
                exported.candidate,
                exported.definition,
                table,
                claim.purpose,
                claim.replicas,
                device=device,
                tick=tick,
            )
            assert again.result is not None
            is_same = reproduces(claim.replica_scores, again.result)
            found = {"reproduced": is_same, "differs": [] if is_same else _differences(exported)}
    _write(retrained(exported, again, table, claim), output, as_onnx)
    plain = {
        "claimed": None if claim is None else claim.score,
        "obtained": None if again.result is None else again.result.score,
        "errors": None if again.result is None else errors_summary(again.result.record.errors),
        **found,
        "export": str(output),
    }
    print_result(plain, as_json, _retrain_message(plain))


def _write(exported: Export, output: Path, as_onnx: bool) -> None:
    """Write an export folder, with an ONNX model where it is asked for."""
    from search.export import write_export
    from search.export.onnx import onnx_model

    write_export(exported, output, onnx=onnx_model(exported) if as_onnx else None)


@contextmanager
def _explained_training(folder: Path) -> Iterator[None]:
    """Let what one training may raise, for a search a failed trial, become a message."""
    from search.running.finishing import TRAINING_ERRORS, error_message

    try:
        yield
    except TRAINING_ERRORS as error:
        raise ExportError(
            f"{shown_path(folder)} can't be retrained: {cut(error_message(error), 500)}; "
            "export it again, or give a table with more rows"
        ) from error


def read_series(exported: Export, path: Path, future: Path | None = None) -> Table:
    """The table, by the exported study's column names, else its first column against its second.

    future: a file with later rows of the columns that are known in advance.
    """
    from search.export.reading import of_its_study
    from search.series import TableSeries, read_table
    from search.series.formats import read_cells

    series = exported.definition.series
    if isinstance(series, TableSeries):
        with of_its_study():
            table = series.read_file(path, exported.table, future)
        for notice in table.notices:
            typer.echo(f"freerun: {path}: {notice}", err=True)
        return table
    if future is not None:
        raise UsageError(
            f"--future must go with columns that are known in advance, but the study generated its "
            f"series and has none; leave {future} out"
        )
    header = read_cells(path, ()).names
    if len(header) != 2:
        raise SeriesError(
            f"{path} must have two columns, time and value, since the exported study generated its "
            f"series and names none, but its header has {len(header)}; leave the others out"
        )
    with of_its_study():
        return read_table(path, header[0], header[1:])


def _differences(exported: Export) -> list[str]:
    """Which versions or hardware differ from those that the claim was made with."""
    from search.records import this_machine, this_versions

    now = {**this_versions(exported.definition.plugins), **this_machine()}
    before = {**exported.versions, **exported.machine}
    return [
        f"{key}: {before.get(key)} then, {value} now"
        for key, value in now.items()
        if before.get(key) != value
    ]


def _retrain_message(plain: dict[str, Any]) -> str:
    from search.analysis.status import errors_line

    claimed, obtained, output = plain["claimed"], plain["obtained"], plain["export"]
    if claimed is None:
        errors = errors_line(plain["errors"]).removesuffix(", ")
        score = "" if obtained is None else f", held-out NMSE {obtained:.6g}, {errors}"
        return f"retrained on {plain['rows'] - plain['hold_out']} rows{score}: {output}"
    if plain["reproduced"]:
        return f"reproduced: claimed {claimed!r}, obtained the same; {output}"
    why = "; ".join(plain["differs"]) or "no version or hardware that is recorded differs"
    return f"not reproduced: claimed {claimed!r}, obtained {obtained!r} ({why})"
