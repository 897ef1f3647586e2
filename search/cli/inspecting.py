"""`freerun list, status, stop, sweep, upgrade`: what is done with a storage beside the search."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from search.cli.options import (
    JsonOption,
    NameArgument,
    StorageOption,
    print_json,
    storage_at,
    storage_url,
)
from search.errors import UsageError


def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies of a storage.

    Example: freerun list --storage sqlite:///freerun.db
    """
    with storage_at(storage) as opened:
        summaries = opened.studies()
        shown = opened.shown_url
    if as_json:
        from search.analysis.status import trial_counts

        studies = [
            {"study": s.name, "trials": trial_counts(s.counts), "best": s.best_value}
            for s in summaries
        ]
        print_json({"storage": shown, "studies": studies})
        return
    if not summaries:
        typer.echo(f"{shown} holds no study yet; start one: freerun run studies/sine.toml")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("study", "complete", "pruned", "failed", "running", "best score")
    for s in summaries:
        best = "-" if s.best_value is None else f"{s.best_value:.4g}"
        numbers = (s.counts.complete, s.counts.pruned, s.counts.failed, s.counts.running)
        table.add_row(s.name, *map(str, numbers), best)
    Console().print(table)


def status(
    name: NameArgument,
    storage: StorageOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", help="Between two looks of --watch.")
    ] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Show a study's progress, rate, best trial, verdicts, workers, leases and failures.

    Example: freerun status sine --watch
    """
    if watch and as_json:
        raise UsageError("--json must go without --watch, since it prints one object; drop one")
    if not 0.1 <= every <= 3600:
        raise UsageError(f"--every must be from 0.1 to 3600 seconds, but got {every:g}")
    with storage_at(storage) as opened:
        from search.analysis.status import StudyStatus, status_lines

        store = opened.study(name)
        study_status = StudyStatus(store, opened.shown_url)

        def look() -> dict[str, Any]:
            store.sweep()
            return study_status.summary()

        if watch:
            from search.cli.options import watch_lines

            watch_lines(lambda: status_lines(look()), every)
        elif as_json:
            print_json(look())
        else:
            typer.echo("\n".join(status_lines(look())))


def stop(name: NameArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Ask all workers of a study to end; running trials are given back, finished ones kept.

    Example: freerun stop sine
    """
    with storage_at(storage) as opened:
        store = opened.study(name)
        store.request_stop()
        alive = sum(worker.alive for worker in store.workers())
    if as_json:
        print_json({"study": name, "stop_requested": True, "workers": alive})
    else:
        typer.echo(f"{name}: asked {alive} workers to end; resume with: freerun run {name}")


def sweep(name: NameArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Give back what dead workers held; running workers do it, too.

    Example: freerun sweep sine
    """
    with storage_at(storage) as opened:
        swept = opened.study(name).sweep()
    if as_json:
        counts = {"given_back": len(swept.given_back), "failed": len(swept.failed)}
        print_json({"study": name, **counts, "final_jobs": len(swept.final_jobs)})
    else:
        typer.echo(f"{name}: {len(swept.given_back)} trials given back, {len(swept.failed)} failed")


def upgrade(
    storage: StorageOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a database made by an earlier freerun up to date; stop its workers first.

    Everything that is stored is kept, and a step that fails changes nothing.

    Example: freerun upgrade --storage sqlite:///freerun.db --dry-run
    """
    from search.storage.opening import upgrade_storage

    done = upgrade_storage(storage_url(storage), dry_run=dry_run)
    if as_json:
        print_json({**asdict(done), "dry_run": dry_run})
        return
    if not done.steps:
        typer.echo(f"{done.storage} is up to date (schema version {done.to_version}).")
        return
    verb = "Would upgrade" if dry_run else "Upgraded"
    versions = f"schema version {done.from_version} to {done.to_version}"
    typer.echo(f"{verb} {done.storage} from {versions}:")
    for version, step in enumerate(done.steps, start=done.from_version + 1):
        typer.echo(f"  {version}: {step}")
