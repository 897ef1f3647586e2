"""`freerun list, status, stop, sweep`: look during and after."""

from typing import Any

import typer

from search.cli.options import JsonOption, NameArgument, StorageOption, print_json, storage_at


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
        best = "-" if s.best_value is None else f"{s.best_value:.4g}"
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
    for quota, trials in budget["quotas"].items():
        typer.echo(f"    {quota:16} {trials['used']} of {trials['trials']} trials")
    if best is not None:
        typer.echo(f"  best      trial {best['trial']}, score {best['score']:.4g}")
    if summary["verdicts"]:
        verdicts = ", ".join(f"{count} {name}" for name, count in summary["verdicts"].items())
        typer.echo(f"  verdicts  {verdicts}")
    for worker in summary["workers"]:
        typer.echo(
            f"  worker    {worker['worker']} on {worker['host']} (pid {worker['pid']}), last beat "
            f"{worker['beat_age_seconds']:.0f} s ago, {worker['trials']} trials"
        )
