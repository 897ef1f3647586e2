"""`freerun run, work, launch`: spend a study's budget, here, as one more worker or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.found_lines import channel_lines, standing_lines
from search.cli.options import (
    DeviceOption,
    JsonOption,
    NameArgument,
    StorageOption,
    check_device,
    print_json,
    print_result,
    stop_flag,
    storage_at,
    stored_study,
)
from search.cli.starting import ColumnOption, HorizonOption, TableRun
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
    option_of,
    table_keys,
)
from search.errors import UsageError
from search.starter.names import is_table

if TYPE_CHECKING:
    from search.storage.studies import Storage
    from search.storage.study_store import StudyStore
    from search.study.study_file import StudyFile


def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study file, a table (CSV, Parquet, a workbook), or a stored study's name.",
        ),
    ],
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
    trials: Annotated[
        int | None, typer.Option(help="Limit of trials over all resumes; else the study file's.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Limit of the search's minutes over all resumes; else the study file's (2.5 for a "
            "table). The final comes after them."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Local worker processes; else the study file's, else one per CPU, or one for a "
            "GPU. 0 creates the study and ends."
        ),
    ] = None,
    storage: StorageOption = None,
    fork: Annotated[
        str | None,
        typer.Option("--fork", metavar="NEW_NAME", help="Run the file as a new study."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for report and export; else results/NAME."),
    ] = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Create or resume a study: search, final, test, report and export; a table is also forecast.

    Example: freerun run studies/sunspots.csv --horizon 22 --minutes 1
    """
    _check_counts(trials, minutes, workers)
    check_device(device)
    began = monotonic()
    from search.cli import resuming

    of_table, file = None, None
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
    if is_table(Path(study)):
        of_table = TableRun.of(Path(study), output, fork, horizon, column or [], said)
        output = of_table.folder
    else:
        if horizon is not None or column or said:
            raise UsageError(_needs_a_table(study, said))
        file = resuming.study_file(study, fork)
    _check_results(output, study, file)
    is_new = file is not None or of_table is not None
    with resuming.storage_of(study, storage, is_new=is_new) as opened:
        if of_table is not None:
            study, file = str(of_table.study_file), of_table.begin()
        from search.cli.progress import shown_progress
        from search.running.fleet import Fleet, default_workers

        store, definition = resuming.create_or_resume(opened, study, file)
        resuming.set_budget(store, definition, trials, minutes, is_file=file is not None)
        count = workers
        if count is None:
            count = definition.search.workers or default_workers(device)
        if count == 0:
            typer.echo(f"study {store.name!r} is in {opened.shown_url}", err=True)
            if as_json:
                print_json({"study": store.name, "storage": opened.shown_url})
            return
        fleet = Fleet(store, opened.url, count, device)
        with stop_flag() as stopped, shown_progress(store.name) as show:
            fleet.run(show, stopped)
        if stopped():
            typer.echo(
                f"freerun: stopped; finished trials are kept. Resume: freerun run {store.name}",
                err=True,
            )
            stopped.exit()
        summary = _results(opened, store, output or Path("results") / store.name)
        if of_table is not None:
            summary |= _forecast(of_table, store, summary["export"])
    summary["seconds"] = round(monotonic() - began, 1)
    if as_json:
        print_json(summary)
    else:
        typer.echo("\n".join(_summary_lines(summary)))


def _needs_a_table(study: str, said: Iterable[str]) -> str:
    """That options are for tables only. said: keys of [series] that were given as options."""
    options = ["--horizon", "--column", *map(option_of, said)]
    return (
        f"{', '.join(options[:-1])} and {options[-1]} must go with a table, but {study} is none; a "
        "study file has horizon_steps in [task], and how its table is read in [series]"
    )


def work(
    name: NameArgument,
    storage: StorageOption = None,
    device: DeviceOption = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", help="No message at the end.")] = False,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Work on a stored study as one more worker, on any machine, until its budget is spent.

    Example: FREERUN_STORAGE=postgresql://user@host/db freerun work sine
    """
    check_device(device)
    # A run has looked at the whole file before it starts its workers.
    whole = parent is None
    with (
        stop_flag() as stopped,
        storage_at(storage, stop_requested=stopped, checked_whole=whole) as opened,
    ):
        store = opened.study(name)
        import torch

        from search.cli.working import worker_of
        from search.running.fleet import parent_is_gone

        torch.set_num_threads(1)
        worker = worker_of(store, lambda: stopped() or parent_is_gone(parent), device)
        worker.run()
        # Imported here, since no first trial should wait for it.
        from search.analysis.status import trial_counts

        trials = trial_counts(store.counts())
    if as_json or not quiet:
        plain = {"study": name, "worker": worker.worker_id, "trials": trials}
        print_result(plain, as_json, _said(name, trials), err=True)
    stopped.exit()


def launch(
    name: NameArgument,
    workers: Annotated[int, typer.Option(help="How many workers.")],
    storage: StorageOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="Address of the Ray cluster; without one, a local one is started."),
    ] = None,
    cpus_per_worker: Annotated[float, typer.Option(help="CPUs that Ray keeps for each.")] = 1.0,
    gpus_per_worker: Annotated[
        float, typer.Option(help="GPUs that Ray keeps for each; 0.25 lets four share one.")
    ] = 0.0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Work on a stored study with workers on a Ray cluster, until its budget is spent.

    Example: freerun launch sine --workers 16 --address ray-head:6379
    """
    _check_shares(workers, cpus_per_worker, gpus_per_worker)
    if address is None:
        check_device(device)
    with stop_flag() as stopped, storage_at(storage, stop_requested=stopped) as opened:
        store = opened.study(name)
        from search.analysis.status import trial_counts
        from search.cli.progress import shown_progress
        from search.running.ray_fleet import RayFleet

        fleet = RayFleet(
            store, opened.url, workers, device, address, cpus_per_worker, gpus_per_worker
        )
        with shown_progress(store.name) as show:
            fleet.run(show, stopped)
        trials = trial_counts(store.counts())
    plain = {"study": name, "trials": trials, "deaths": fleet.deaths}
    print_result(plain, as_json, _said(name, trials), err=True)
    stopped.exit()


def _check_counts(trials: int | None, minutes: float | None, workers: int | None) -> None:
    if trials is not None and trials < 1:
        raise UsageError(f"--trials must be at least 1, but got {trials}")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise UsageError(f"--minutes must be a number above 0, but got {minutes}")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers must be at least 0, but got {workers}")


def _check_shares(workers: int, cpus: float, gpus: float) -> None:
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, but got {workers}")
    if not 0 < cpus < float("inf"):
        raise UsageError(f"--cpus-per-worker must be a number above 0, but got {cpus}")
    if not 0 <= gpus < float("inf"):
        raise UsageError(f"--gpus-per-worker must be 0 or a number above it, but got {gpus}")


def _results(opened: Storage, store: StudyStore, folder: Path) -> dict[str, Any]:
    """Write report and export, and say what was found."""
    from search.analysis.status import run_summary
    from search.export.intervals import held_by_level
    from search.export.of_study import export_study
    from search.files import make_folder
    from search.report.page import write_report
    from search.student.section import report_sections

    summary = run_summary(store, opened.shown_url)
    summary["export"] = summary["report"] = None
    summary["intervals"] = {}
    make_folder(folder)
    if summary["final"] is not None:
        exported = export_study(store, folder / "export")
        summary["export"] = str(folder / "export")
        summary["intervals"] = held_by_level(exported.coverage)
    write_report(opened, [store.name], folder / "report.html", report_sections)
    summary["report"] = str(folder / "report.html")
    return summary


def _check_results(output: Path | None, study: str, file: StudyFile | None) -> None:
    """Before minutes are spent: what would be replaced at their end has to be of an older run."""
    from search.outputs import check_results

    if output is None and file is not None:
        output = Path("results") / file.definition.name
    if output is None:
        output = Path("results") / study
    check_results(output)


def _forecast(of_table: TableRun, store: StudyStore, export: str | None) -> dict[str, Any]:
    """Forecast what comes after a table, and say which files were written for it."""
    files: dict[str, Any] = {"study_file": str(of_table.study_file)}
    files["series_picture"] = str(of_table.series_picture)
    if export is None:
        return {**files, "forecast": None, "picture": None, "warnings": []}
    _, table = stored_study(store)
    assert table is not None
    return files | of_table.end(Path(export), table)


def _said(name: str, trials: dict[str, int]) -> str:
    return f"{name}: {trials['complete']} complete, {trials['pruned']} pruned"


def _summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    from search.analysis.wording import mase_rule, short_baseline_name

    trials, final, test = summary["trials"], summary["final"], summary["test"]
    counts = f"{_said(summary['study'], trials)}, {trials['failed']} failed trials"
    yield f"{counts} in {summary['storage']}"
    if final is None:
        yield _without_winner(summary)
    else:
        yield (
            f"winner: {summary['winner']['name']}, final NMSE {final['score']:.4g} "
            f"({final['averaging']} of replicas), divided by {final['divided_by']}"
            f"{_shown_errors(final['errors'])}"
        )
        if test is None:
            yield from channel_lines(final["channels"])
    if test is not None:
        yield (
            f"test: NMSE {test['score']:.4g} over {test['horizon_steps']} free-running steps, "
            f"{_of_draws(test['draws'])}scored against the {test['scored_against']}, divided by "
            f"{test['divided_by']}"
            f"{_shown_errors(test['errors'])}"
        )
        yield from channel_lines(test["channels"])
        for name, baseline in summary["baselines"].items():
            shown = "not tested" if baseline["test"] is None else f"{baseline['test']:.4g}"
            label = short_baseline_name(name)
            yield f"  baseline {label}: {shown}{_shown_errors(baseline['errors']['test'])}"
    if final is not None and (final["errors"] or {}).get("mase") is not None:
        yield f"  {mase_rule(summary['mase_season_steps'])}"
    yield f"report: {summary['report']}"
    if folder := summary["export"]:
        yield f"export: {folder}   (freerun retrain {folder} -o retrained)"
        yield from _interval_lines(summary["intervals"])
    if final is not None:
        yield from standing_lines(summary)
    for warning in summary.get("warnings", ()):
        yield f"warning: {warning}"
    if summary.get("forecast") is not None:
        yield f"forecast: {summary['forecast']}"
        yield f"picture: {summary['picture']}"


def _without_winner(summary: dict[str, Any]) -> str:
    if summary["best"] is not None:
        resume = f"freerun run {summary['study']}"
        return f"the final is not finished, so there is no winner yet; resume: {resume}"
    return "no trial completed, so there is no winner yet; give it more --minutes or --trials"


def _interval_lines(intervals: dict[str, dict[str, float | None]]) -> Iterator[str]:
    """What the export's intervals of 80 % were measured to hold."""
    if found := intervals.get("80"):
        test = "" if found["test"] is None else f", {found['test']:.0f} % in the test"
        yield (
            f"  its prediction intervals of 80 % held {found['validation']:.0f} % in validation"
            f"{test} (freerun forecast --levels 80)"
        )


def _shown_errors(errors: dict[str, float | None] | None) -> str:
    from search.analysis.status import errors_line

    return f"; {line.removesuffix(', ')}" if (line := errors_line(errors)) else ""


def _of_draws(draws: int) -> str:
    return f"median of {draws} draws, " if draws > 1 else ""
