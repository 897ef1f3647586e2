"""Arguments and options that several commands share, and what they stand for."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from search.errors import UsageError
from search.names import cut

if TYPE_CHECKING:
    from search.series import Table
    from search.storage.studies import Storage
    from search.storage.study_store import StudyStore
    from search.study.definition import StudyDefinition

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help=(
            "SQLAlchemy URL of the storage; else FREERUN_STORAGE, else sqlite:///freerun.db. "
            "A password belongs in FREERUN_STORAGE or the Postgres password file."
        ),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DeviceOption = Annotated[str, typer.Option("--device", help="torch device to train on.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a study.")]


def storage_url(url: str | None) -> str:
    """The storage that an option or the environment names."""
    return url or os.environ.get("FREERUN_STORAGE") or "sqlite:///freerun.db"


def storage_at(
    url: str | None,
    *,
    create: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
    checked_whole: bool = False,
) -> Storage:
    """Open the storage that an option or the environment names; see `open_storage`."""
    from search.storage.opening import open_storage

    return open_storage(
        storage_url(url),
        create=create,
        stop_requested=stop_requested,
        checked_whole=checked_whole,
    )


def stored_study(store: StudyStore) -> tuple[StudyDefinition, Table | None]:
    """The definition of a stored study, and its table."""
    from search.series import Table
    from search.study.study_file import read_stored_definition

    content = store.data()
    table = None if content is None else Table.from_bytes(content)
    return read_stored_definition(store.definition), table


def check_device(device: str) -> None:
    """Raise UsageError for a device that torch can't use here."""
    if device == "cpu":
        return
    import torch

    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it computes shapes only")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = cut(str(error).splitlines()[0])
        raise UsageError(
            f"--device must be one that torch can use here, but got {device!r} ({reason}); "
            "use cpu, or a torch build for that device"
        ) from error


def print_json(plain: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    json.dump(plain, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")


def print_result(plain: Mapping[str, Any], as_json: bool, message: str, err: bool = False) -> None:
    """Print what a command did, as JSON or as a message; err: the latter on standard error."""
    if as_json:
        print_json(plain)
    else:
        typer.echo(message, err=err)


class StopFlag:
    """Which signal asked to stop, if any; called, whether one did."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    def exit(self) -> None:
        """End as a process that the signal ended, as shells count: 130 for Ctrl-C, 143 for SIGTERM.

        A scheduler that saw 0 would take the work for done. Without a signal, do nothing.
        """
        if self.signal is not None:
            raise typer.Exit(128 + self.signal)


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Catch SIGINT and SIGTERM for a while; a second Ctrl-C interrupts at once."""
    flag = StopFlag()

    def stop(number: int, _frame: FrameType | None) -> None:
        if flag.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.signal = number

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch_lines(look: Callable[[], Sequence[str]], every_seconds: float) -> None:
    """Show what `look` returns until Ctrl-C or SIGTERM."""
    console = Console(file=sys.stdout)
    with stop_flag() as stopped:
        if not console.is_terminal:
            for _ in _rounds(stopped, every_seconds):
                typer.echo("\n".join([*look(), ""]))
            return
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            for _ in _rounds(stopped, every_seconds):
                live.update(Text("\n".join(look())), refresh=True)


def _rounds(stopped: StopFlag, every_seconds: float) -> Iterator[None]:
    """Yields at once, then after each pause, until it is stopped."""
    while not stopped():
        yield
        ends = monotonic() + every_seconds
        while monotonic() < ends and not stopped():
            sleep(0.1)  # how soon Ctrl-C is noticed
