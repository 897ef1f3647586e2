"""Options that say how a table is to be read, where there is no study file to say it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from search.errors import UsageError, UserError

TimeOption = Annotated[
    str | None,
    typer.Option("--time", metavar="NAME", help="Of a table: the time column; else it is found."),
]
NoTimeOption = Annotated[
    bool, typer.Option("--no-time", help="Of a table: number the rows instead of reading times.")
]
IdOption = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="NAME", help="Of a long table: the column that tells its series apart."
    ),
]
TimeFormatOption = Annotated[
    str | None,
    typer.Option(
        "--time-format",
        metavar="FORMAT",
        help='Of a table: how times are written, such as "%d.%m.%Y" or seconds; else it is found.',
    ),
]
MissingOption = Annotated[
    str | None,
    typer.Option(
        "--missing",
        metavar="HOW",
        help="Of a table: how missing values and gaps are filled in, interpolate (the default) or "
        "seasonal; or mask, so that no training and no score counts them.",
    ),
]
DuplicatesOption = Annotated[
    str | None,
    typer.Option(
        "--duplicates",
        metavar="HOW",
        help="Of a table: what is taken of several rows of one time, mean or last; else they are "
        "refused.",
    ),
]
SeparatorOption = Annotated[
    str | None,
    typer.Option(
        "--separator",
        metavar="SIGN",
        help="Of a table: the sign between its cells; else it is found.",
    ),
]
DecimalOption = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="SIGN",
        help="Of a table: the sign before decimals, . or ,; else it is found.",
    ),
]
PeriodOption = Annotated[
    list[float] | None,
    typer.Option(
        "--period",
        metavar="STEPS",
        help="Of a table: its period in steps; repeat it for several. Else it is looked for.",
    ),
]
KnownOption = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        metavar="NAME",
        help="Of a table: a column that is known in advance, such as a weather forecast; repeat it "
        "for several.",
    ),
]
PastOption = Annotated[
    list[str] | None,
    typer.Option(
        "--past",
        metavar="NAME",
        help="Of a table: a column that is known only in the past, read beside the others; repeat "
        "it for several.",
    ),
]
CalendarOption = Annotated[
    bool,
    typer.Option(
        "--calendar",
        help="Of a table: take the hour, the weekday and, from about a year on, the month as "
        "columns that are known in advance.",
    ),
]

# What messages about [series] advise, and what that is on the command line.
_ADVICE = {
    "leave out time in [series]": "give --no-time",
    "leave out time,": "give --no-time,",
    "write the period in [series]": "name it with --period",
    "write a shorter period in [series]": "name a shorter one with --period",
    "name its separator in [series], as separator": "name its separator with --separator",
    "name another separator, such as": "name another with --separator, such as",
    "name the columns to forecast without this one": "name the columns to forecast, without this "
    "one, with --column",
    "that tells them apart as id": "that tells them apart with --id",
    "say in [series] how missing values are filled": "say with --missing how values are filled in",
    "write time": "name it with --time",
    "leave the key out where there is none": "leave the option out where there is none",
    "calendar must be made of dates": "--calendar must be made of dates",
    "calendar = true must have": "--calendar must have",
    "; leave calendar out, or name its columns": "; leave --calendar out",
    "leave calendar out": "leave --calendar out",
    "known must name columns that vary": "--known must name columns that vary",
    "past must name columns that vary": "--past must name columns that vary",
    # There, spans follow the horizon, and a forecast is of the table's own rows.
    "leave it out of known, or lengthen train_steps": "leave it out of --known, or take a shorter "
    "--horizon, which leaves more rows for training",
    "leave it out of past, or lengthen train_steps": "leave it out of --past, or take a shorter "
    "--horizon, which leaves more rows for training",
    "lengthen train_steps, or": "take a shorter --horizon, which leaves more rows for training, or",
    "take fewer columns or ids, start points or replicas": "take fewer columns with --column, or "
    "fewer ids",
    "name fewer in known, or shorten train_steps": "name fewer with --known",
    ", or take fewer start_points": "",
    ", or give them in a file of their own with --future (in Python: future=...)": "",
    "or forecast fewer steps": "or take a shorter --horizon",
}
_KEYS = "time_format|time|id|missing|duplicates|separator|decimal|period|known|past|calendar"


def table_keys(
    *,
    time: str | None,
    no_time: bool,
    period: list[float] | None,
    known: list[str] | None = None,
    past: list[str] | None = None,
    calendar: bool = False,
    **others: str | None,
) -> dict[str, Any]:
    """Return the keys of [series] that options give: `time` None for rows that are numbered.

    others: options by their keys. Raises UsageError for options that contradict each other.
    """
    keys: dict[str, Any] = {key: value for key, value in others.items() if value is not None}
    needing = [key for key in ("time_format", "duplicates") if key in keys]
    if no_time and (time is not None or needing):
        other = "time" if time is not None else needing[0]
        raise UsageError(
            f"--no-time must not go with {option_of(other)}, which needs a time column; leave one "
            "of them out"
        )
    if no_time and calendar:
        raise UsageError(
            "--no-time must not go with --calendar, which is made of times; leave one of them out"
        )
    if time is not None or no_time:
        keys["time"] = time
    keys |= {"known": list(known)} if known else {}
    keys |= {"past": list(past)} if past else {}
    keys |= {"calendar": True} if calendar else {}
    if period:
        steps = [int(own) if own.is_integer() else own for own in sorted(set(period))]
        keys["period"] = steps[0] if len(steps) == 1 else steps
    return keys


def option_of(key: str) -> str:
    """The option that gives a key of [series]."""
    return "--" + key.replace("_", "-")


@contextmanager
def naming_options() -> Iterator[None]:
    """Let messages about a table name options instead of the keys of a study file."""
    try:
        yield
    except UserError as error:
        raise type(error)(as_options(str(error))) from error.__cause__


def as_options(message: str) -> str:
    """Return a message about [series] with the options that do what its keys do."""
    for advice, own in _ADVICE.items():
        message = message.replace(advice, own)

    def option(found: re.Match[str]) -> str:
        text, number = found[2], found[3]
        return f"{option_of(found[1])} {shlex.quote(text) if number is None else number}"

    message = re.sub(rf'\b({_KEYS}) = (?:"([^"]*)"|([0-9.]+))', option, message)
    message = re.sub(rf"\[series\] ({_KEYS})\b", lambda found: option_of(found[1]), message)
    message = message.replace(" in [series]", "").replace("[series] ", "")
    return message.replace("write --", "give --")
