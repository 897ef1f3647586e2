"""`freerun run, work, launch`: spend a study's budget, here, as one more worker or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from search.errors import UsageError

if TYPE_CHECKING:
    from search.storage.studies import Storage
    from search.storage.study_store import StudyStore


def run(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study file, or the name of a stored study.")
    ],
    trials: Annotated[
        int | None, typer.Option(help="Limit of trials over all resumes; else the study file's.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Limit of running minutes over all resumes.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Local worker processes; else the study file's, else one per CPU. "
            "0 creates the study and ends."
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
    """Create or resume a study: search, final, test, report and export.

    Example: freerun run studies/sine.toml --minutes 3
    """
    _check_counts(trials, minutes, workers)
    check_device(device)
    began = monotonic()
    from search.cli import resuming

    file = resuming.study_file(study, fork)
    with storage_at(storage, create=file is not None) as opened:
        from search.cli.progress import shown_progress
        from search.running.fleet import Fleet, default_workers

        store, definition = resuming.create_or_resume(opened, study, file)
        resuming.set_budget(store, definition, trials, minutes, is_file=file is not None)
        count = (definition.search.workers or default_workers()) if workers is None else workers
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
    summary["seconds"] = round(monotonic() - began, 1)
    if as_json:
        print_json(summary)
    else:
        typer.echo("\n".join(_summary_lines(summary)))


def work(
    name: NameArgument,
    storage: StorageOption = None,
    device: DeviceOption = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", help="No message at the end.")] = False,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Work on a stored study as one more worker, here or on any machine; ends with the budget.

    Example: FREERUN_STORAGE=postgresql://user@host/db freerun work sine
    """
    check_device(device)
    with stop_flag() as stopped, storage_at(storage, stop_requested=stopped) as opened:
        store = opened.study(name)
        import torch

        from search.analysis.status import trial_counts
        from search.plotting.artifacts import trial_artifacts
        from search.running.fleet import parent_is_gone
        from search.running.worker import Worker
        from search.student.jobs import ExplainingJobs
        from search.study.task_data import TaskData

        torch.set_num_threads(1)
        definition, table = stored_study(store)
        worker = Worker(
            store,
            definition,
            TaskData(definition, table),
            make_artifacts=trial_artifacts,
            stop_requested=lambda: stopped() or parent_is_gone(parent),
            device=device,
            further_jobs=ExplainingJobs(),
        )
        worker.run()
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
    """Work on a stored study with workers on a Ray cluster; ends with the budget.

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
    from search.export import export_study
    from search.files import make_folder
    from search.report.page import write_report
    from search.student.section import report_sections

    summary = run_summary(store, opened.shown_url)
    summary["export"] = summary["report"] = None
    make_folder(folder)
    if summary["final"] is not None:
        export_study(store, folder / "export")
        summary["export"] = str(folder / "export")
    write_report(opened, [store.name], folder / "report.html", report_sections)
    summary["report"] = str(folder / "report.html")
    return summary


def _said(name: str, trials: dict[str, int]) -> str:
    return f"{name}: {trials['complete']} complete, {trials['pruned']} pruned"


def _summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    trials, final, test = summary["trials"], summary["final"], summary["test"]
    counts = f"{_said(summary['study'], trials)}, {trials['failed']} failed trials"
    yield f"{counts} in {summary['storage']}"
    if final is None:
        yield "no trial completed, so there is no winner yet; give it more --minutes or --trials"
    else:
        score = f"final NMSE {final['score']:.4g} ({final['averaging']} of replicas)"
        yield f"winner: {summary['winner']['name']}, {score}{_shown_errors(final['errors'])}"
    if test is not None:
        yield (
            f"test: NMSE {test['score']:.4g} over {test['horizon_steps']} free-running steps, "
            f"{_of_draws(test['draws'])}scored against the {test['scored_against']}"
            f"{_shown_errors(test['errors'])}"
        )
        for name, baseline in summary["baselines"].items():
            shown = "not tested" if baseline["test"] is None else f"{baseline['test']:.4g}"
            yield f"  baseline {name}: {shown}{_shown_errors(baseline['errors']['test'])}"
    yield f"report: {summary['report']}"
    if folder := summary["export"]:
        yield f"export: {folder}   (freerun retrain {folder} -o retrained)"
    if final is not None:
        yield from _standing_lines(summary)


def _shown_errors(errors: dict[str, float | None] | None) -> str:
    from search.analysis.status import errors_line

    return f"; {line.removesuffix(', ')}" if (line := errors_line(errors)) else ""


def _of_draws(draws: int) -> str:
    return f"median of {draws} draws, " if draws > 1 else ""


def _standing_lines(summary: dict[str, Any]) -> Iterator[str]:
    """Whether the winner beat every baseline, and what the best of them has."""
    from search.analysis.wording import beaten

    winner, baselines = summary["winner"], summary["baselines"]
    if winner["is_baseline"]:
        yield (
            f"{winner['name']} won: no searched candidate beats it by more than the noise of the "
            "comparison; the export is that baseline"
        )
    else:
        beats = winner["beats_baselines"]
        yield f"the winner, {winner['name']}, {beaten(beats['final'], beats['test'])}"
    for where, key in (("validation", "final"), ("the test", "test")):
        if (name := winner["best_baseline"][key]) is not None:
            of = "of the other baselines" if winner["is_baseline"] else "baseline"
            own = summary[key]["score"]
            yield (
                f"  best {of} in {where}: {name}, NMSE {baselines[name][key]:.4g} "
                f"(winner {own:.4g})"
            )
