"""The reference of the command line, from what its commands declare."""

from typing import Any

import typer
from typer.main import get_command

from search.cli import app
from website.markdown import code, page, paragraphs, plain, table

_EXAMPLE = "Example: "


def commands_page() -> str:
    """Every command with its usage, arguments, options and example."""
    group: Any = get_command(app)
    context = typer.Context(group, info_name="freerun")
    return page(
        "# Commands",
        "`freerun COMMAND --help` prints the same. Exit codes: 0 done, 2 wrong input, with one "
        "message that names the remedy, 130 after Ctrl-C, 1 anything else.",
        *(_command(name, command, context) for name, command in group.commands.items()),
    )


def _command(name: str, command: Any, parent: typer.Context) -> str:
    context = typer.Context(command, info_name=name, parent=parent)
    pieces = [piece.strip("{}") for piece in command.collect_usage_pieces(context)]
    told, examples = [], []
    for paragraph in (command.help or "").split("\n\n"):
        if paragraph.startswith(_EXAMPLE):
            examples.append(" ".join(paragraph.removeprefix(_EXAMPLE).split()))
        else:
            told.append(paragraph)
    rows = (parameter.get_help_record(context) for parameter in command.params)
    usage = " ".join(("freerun", name, *pieces))
    return page(
        f"## freerun {name}",
        f"```text\n{usage}\n```",
        paragraphs("\n\n".join(told)),
        table(
            ("argument or option", "what it says"),
            ((code(row[0]), plain(row[1])) for row in rows if row),
        ),
        *(f"```sh\n{example}\n```" for example in examples),
    ).rstrip("\n")
