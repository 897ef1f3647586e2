"""Lines that are shown again and again: in place at a terminal, one after the other elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, sleep

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from search.cli.stopping import StopFlag, stop_flag

# How soon Ctrl-C is noticed.
_NAP_SECONDS = 0.1


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
            sleep(min(_NAP_SECONDS, every_seconds))
