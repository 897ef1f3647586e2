"""`freerun list, status, stop, sweep, upgrade, dashboard`: a storage, beside the search."""

import sys
from dataclasses import asdict
from datetime import datetime
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli.options import (
    JsonOption,
    NameArgument,
    StorageOption,
    print_json,
    print_result,
    storage_at,
    storage_url,
    watch_lines,
)
from search.errors import UsageError


def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies of a storage: state, trials, scores and when each was last worked on.

    Example: freerun list --storage sqlite:///freerun.db
    """
    with storage_at(storage) as opened:
        from search.analysis.status import listed

        shown = opened.shown_url
        studies = [listed(own, opened.study(own.name)) for own in opened.studies()]
    if as_json:
        print_json({"storage": shown, "studies": studies})
        return
    if not studies:
        typer.echo(f"{shown} holds no study yet; start one: freerun run studies/sine.toml")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("study", "state", "trials", "best", "winner", "last active", box=None)
    for own in studies:
        scores = ["-" if own[key] is None else f"{own[key]:.4g}" for key in ("best", "winner")]
        last = datetime.fromisoformat(own["last_active"]).astimezone()
        count = f"{sum(own['trials'].values()):,}"
        table.add_row(own["study"], own["state"], count, *scores, f"{last:%Y-%m-%d %H:%M}")
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
            watch_lines(lambda: status_lines(look()), every)
        elif as_json:
            print_json(look())
        else:
            typer.echo("\n".join(status_lines(look())))


def stop(name: NameArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Ask all workers of a study to end; running trials are given back, finished ones kept.

    Example: freerun stop sine
    """
    from models.methods.values import counted

    with storage_at(storage) as opened:
        store = opened.study(name)
        store.request_stop()
        alive = sum(worker.alive for worker in store.workers())
    plain = {"study": name, "stop_requested": True, "workers": alive}
    said = f"{name}: asked {counted(alive, 'worker')} to end; resume with: freerun run {name}"
    print_result(plain, as_json, said)


def sweep(name: NameArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Give back what dead workers held; running workers do it, too.

    Example: freerun sweep sine
    """
    from models.methods.values import counted

    with storage_at(storage) as opened:
        swept = opened.study(name).sweep()
    back, failed = len(swept.given_back), len(swept.failed)
    plain = {"given_back": back, "failed": failed, "final_jobs": len(swept.final_jobs)}
    said = f"{name}: {counted(back, 'trial')} given back, {failed} failed"
    print_result({"study": name, **plain}, as_json, said)


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


def dashboard(
    storage: StorageOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback unless others may reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8080,
    writable: Annotated[
        bool, typer.Option("--writable", help="Allow changes: write notes, add artifacts, delete.")
    ] = False,
    login_file: Annotated[
        Path | None,
        typer.Option(
            "--login-file",
            metavar="FILE",
            help="Who may log in, one line as --make-login prints it; else "
            "FREERUN_DASHBOARD_LOGIN_FILE, else the line itself in FREERUN_DASHBOARD_LOGIN. "
            "Without any, a link is printed that logs in once.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name by which it is reached, of a proxy perhaps; repeat it for several.",
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy",
            metavar="ADDRESS",
            help="The address that a reverse proxy connects from; its X-Forwarded-For and "
            "X-Forwarded-Proto are believed, and nobody else's.",
        ),
    ] = None,
    make_login: Annotated[
        str | None,
        typer.Option(
            "--make-login",
            metavar="USER",
            help="Ask for a password, print the line that lets USER log in, and end.",
        ),
    ] = None,
) -> None:
    """Serve optuna-dashboard for a storage until Ctrl-C: read-only, behind a login.

    Example: freerun dashboard --port 8081
    """
    from search.dashboard.credentials import Credentials, credentials_of

    if make_login is not None:
        typer.echo(Credentials.of(make_login, _new_password()).to_line())
        return
    credentials = credentials_of(login_file)
    with storage_at(storage) as opened:
        from search.dashboard.serving import serve_dashboard

        serve_dashboard(
            opened,
            host=host,
            port=port,
            credentials=credentials,
            allowed_hosts=allow_host or (),
            writable=writable,
            proxy=proxy,
        )


def _new_password() -> str:
    """Asked for twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise UsageError("both passwords must be the same, but they differ; try again")
    return password
