"""The command `freerun`: each command parses, calls, and prints what was returned.

A command imports what it calls inside its function, once it has checked what the user gave: torch
takes seconds to import, Optuna another one, and neither help nor a wrong study file needs them.
"""

import os
import sys
from typing import Annotated

import typer

import search
from search.cli import checking, forecasting, inspecting, methods, results, running, starting
from search.errors import FreerunError, UserError

app = typer.Typer(
    name="freerun",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"freerun {search.__version__}")
        raise typer.Exit


@app.callback()
def freerun(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Search for forecasters that keep tracking a series when they run on their own output.

    Start with a table of your own: freerun run FILE.csv --horizon 24

    Or with a study file: freerun run studies/sine.toml
    """


for command in (
    starting.init,
    checking.check,
    methods.methods,
    checking.limit,
    running.run,
    running.work,
    running.launch,
    inspecting.list_studies,
    inspecting.status,
    inspecting.stop,
    inspecting.sweep,
    inspecting.upgrade,
    inspecting.dashboard,
    results.report,
    results.export,
    results.retrain,
    forecasting.forecast,
):
    app.command(name="list" if command is inspecting.list_studies else None)(command)


def main() -> None:
    """Run the command line; errors become one message and an exit code."""
    try:
        app()
    except FreerunError as error:
        kind = "error" if isinstance(error, UserError) else "failed"
        typer.echo(f"freerun: {kind}: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing is left to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
