"""`freerun launch`: workers on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli.options import (
    DeviceOption,
    JsonOption,
    NameArgument,
    StorageOption,
    checked_device,
    print_json,
    stop_flag,
    storage_at,
)
from search.errors import UsageError


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
    _check(workers, cpus_per_worker, gpus_per_worker)
    if address is None:
        checked_device(device)
    with stop_flag() as stopped, storage_at(storage, stop_requested=stopped) as opened:
        store = opened.study(name)
        from search.cli.progress import shown_progress
        from search.running.ray_fleet import RayFleet

        fleet = RayFleet(
            store, opened.url, workers, device, address, cpus_per_worker, gpus_per_worker
        )
        with shown_progress(store.name) as show:
            fleet.run(show, stopped)
        from search.analysis.status import trial_counts

        trials = trial_counts(store.counts())
    if as_json:
        print_json({"study": name, "trials": trials, "deaths": fleet.deaths})
    else:
        typer.echo(f"{name}: {trials['complete']} complete, {trials['pruned']} pruned", err=True)
    if stopped():
        raise typer.Exit(stopped.exit_code)


def _check(workers: int, cpus: float, gpus: float) -> None:
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, but got {workers}")
    if not 0 < cpus < float("inf"):
        raise UsageError(f"--cpus-per-worker must be a number above 0, but got {cpus}")
    if not 0 <= gpus < float("inf"):
        raise UsageError(f"--gpus-per-worker must be 0 or a number above it, but got {gpus}")
