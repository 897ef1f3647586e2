"""`freerun dashboard`: every trial in the browser, behind a login."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import StorageOption, storage_at


def dashboard(
    storage: StorageOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback unless others may reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8080,
    writable: Annotated[
        bool, typer.Option("--writable", help="Allow changes: notes, artifacts, deleted studies.")
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
    if make_login is not None:
        from search.dashboard.credentials import Credentials

        typer.echo(Credentials.of(make_login, _new_password()).to_line())
        return
    from search.dashboard.credentials import credentials_of

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
        )


def _new_password() -> str:
    """Asked for twice at a terminal, else the first line of standard input."""
    from search.errors import UsageError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise UsageError("both passwords must be the same, but they differ; try again")
    return password
