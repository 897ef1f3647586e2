"""The command `freerun`: each command parses, calls, and prints what was returned.

A command imports what it calls inside its function, once it has checked what the user gave: torch
takes seconds to import, Optuna another one, and neither help nor a wrong study file needs them.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

import search
from search.cli import (
    backing_up,
    checking,
    deleting,
    forecasting,
    inspecting,
    methods,
    results,
    running,
    starting,
)
from search.errors import FreerunError, UsageError, UserError
from search.files import reason_of
from search.names import cut, is_text

# Longer than any path in use; the library that reads the command line repeats what it refuses.
_MOST_CHARACTERS = 1000
_MOST_LINES = 25
# What all errors of that library derive from, which typer does not name itself.
_ParserError: type[Exception] = typer.BadParameter.__mro__[2]

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
    deleting.delete,
    backing_up.backup,
    backing_up.restore,
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
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal can't show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_arguments(sys.argv[1:])
        try:
            exit_code = app(standalone_mode=False)
        finally:
            sys.stdout.flush()
        sys.exit(exit_code or 0)
    except _ParserError as error:
        _end_of_parser(error)
    except typer.Abort:
        _end("failed", "nothing more was typed in", 1)
    except FreerunError as error:
        _end(("error" if isinstance(error, UserError) else "failed"), str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing is left to say, and nobody to say it to.
        _leave_output()
        sys.exit(1)
    except OSError as error:
        # Such as a full disk behind standard output, or a working folder that was deleted.
        _leave_output()
        named = f" ({cut(str(error.filename))})" if error.filename else ""
        _end("error", f"the system refuses: {reason_of(error)}{named}", UserError.exit_code)
    except MemoryError as error:
        said = str(error) or "the memory is not enough; give smaller sizes or fewer rows"
        _end("error", said, UserError.exit_code)


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise UsageError for what no command could take, wherever it stands."""
    for argument in arguments:
        if len(argument) > _MOST_CHARACTERS:
            raise UsageError(
                f"an argument must have at most {_MOST_CHARACTERS:,} characters, but one that "
                f"begins with '{cut(argument, 40)}' has {len(argument):,}; give a shorter one"
            )
        if not is_text(argument):
            raise UsageError(
                f"an argument must be UTF-8 text, but got '{cut(argument)}'; give another name"
            )


def _end_of_parser(error: Any) -> NoReturn:
    """Say in our words what the library that reads the command line refuses."""
    if len(sys.argv) < 2:  # the help
        error.show()
        sys.exit(error.exit_code)
    said = _value_said(error) or str(error.format_message())
    said = said[:1].lower() + said[1:]
    if error.ctx is not None:
        said += f"{'' if said.endswith(('.', '?')) else '.'} See `{error.ctx.command_path} --help`."
    _end("error", said, error.exit_code)


def _value_said(error: Any) -> str | None:
    """What is wrong with a value that is no number; None for what else the library refuses.

    Recent releases of typer say it in the words of pydantic, without the value.
    """
    cause = error.__cause__ or error.__context__
    found = cause.errors()[0] if hasattr(cause, "errors") else {"type": ""}
    must = {"int": "a whole number", "float": "a number"}.get(found["type"].partition("_")[0])
    if must is None or getattr(error, "param", None) is None:
        return None
    name = next((own for own in error.param.opts if own.startswith("--")), error.param.name)
    return f"{name} must be {must}, but got {cut(repr(found['input']))}"


def _end(kind: str, message: str, exit_code: int) -> NoReturn:
    lines = message.splitlines()
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} lines more"]
    shown = "\n".join(line[:_MOST_CHARACTERS] for line in lines)
    typer.echo(f"freerun: {kind}: {shown}", err=True)
    sys.exit(exit_code)


def _leave_output() -> None:
    """Let nothing be written to standard output any more, at the end of the process either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
