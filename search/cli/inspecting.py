"""`freerun check, list, status, stop, sweep`: look before, during and after."""

from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli.options import JsonOption, NameArgument, StorageOption, print_json, storage_at


def check(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY_FILE", help="A study file (TOML).")],
    as_json: JsonOption = False,
) -> None:
    """Validate a study file; say what would run, and about how long it takes here.

    Example: freerun check studies/sine.toml
    """
    from search.study.study_file import read_study_file

    definition, table = read_study_file(study_file)
    from search.running.estimate import estimate

    found = estimate(definition, table)
    search, task = definition.search, definition.task
    rows = None if table is None else table.rows
    if as_json:
        print_json(
            {
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
                "space": {name: d.to_plain() for name, d in definition.space.items()},
                "seconds_per_trial": round(found.seconds_per_trial, 3),
                "estimated_minutes": round(found.minutes, 1),
                "workers": found.workers,
            }
        )
        return
    typer.echo(f"{study_file}: valid")
    size = "" if rows is None else f", {rows} rows"
    typer.echo(f"  series   {definition.series.source}{size}")
    typer.echo(
        f"  task     train on {task.train_steps} steps, free-run {task.horizon_steps}, "
        f"NMSE against the {task.score_against}"
    )
    limit = "" if search.minutes is None else f" or {search.minutes:g} minutes"
    typer.echo(f"  budget   {search.trials} trials{limit}, each on {search.replicas} replicas")
    typer.echo("  space")
    for name, domain in definition.space.items():
        typer.echo(f"    {name:22} {domain.to_plain()}")
    typer.echo(
        f"  here     about {found.seconds_per_trial:.1f} s per trial and core, so about "
        f"{found.minutes:.0f} minutes with {found.workers} workers, then the final"
    )


def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies of a storage.

    Example: freerun list --storage sqlite:///freerun.db
    """
    with storage_at(storage) as opened:
        summaries = opened.studies()
        shown = opened.shown_url
    if as_json:
        from search.results.summary import trial_counts

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
        best = "-" if s.best_value is None else f"{s.best_value:.4f}"
        numbers = (s.counts.complete, s.counts.pruned, s.counts.failed, s.counts.running)
        table.add_row(s.name, *map(str, numbers), best)
    Console().print(table)


def status(name: NameArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Show a study's progress, best trial, verdicts and workers.

    Example: freerun status sine
    """
    with storage_at(storage) as opened:
        from search.results.summary import status_summary

        store = opened.study(name)
        store.sweep()
        summary = status_summary(store, opened.shown_url)
    if as_json:
        print_json(summary)
        return
    _print_status(summary)


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


def _print_status(summary: dict[str, Any]) -> None:
    trials, budget, best = summary["trials"], summary["budget"], summary["best"]
    counts = ", ".join(f"{count} {state}" for state, count in trials.items())
    typer.echo(f"{summary['study']} in {summary['storage']}")
    typer.echo(f"  trials    {counts}")
    limits = []
    if budget["trials"] is not None:
        limits.append(f"{budget['used_trials']} of {budget['trials']} trials")
    if budget["minutes"] is not None:
        limits.append(f"{budget['used_minutes']:.1f} of {budget['minutes']:g} minutes")
    typer.echo(f"  budget    {', '.join(limits) or 'no limit'}")
    if best is not None:
        typer.echo(f"  best      trial {best['trial']}, score {best['score']:.4f}")
    if summary["verdicts"]:
        verdicts = ", ".join(f"{count} {name}" for name, count in summary["verdicts"].items())
        typer.echo(f"  verdicts  {verdicts}")
    for worker in summary["workers"]:
        typer.echo(
            f"  worker    {worker['worker']} on {worker['host']} (pid {worker['pid']}), last beat "
            f"{worker['beat_age_seconds']:.0f} s ago, {worker['trials']} trials"
        )
