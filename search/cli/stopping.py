"""Ctrl-C and SIGTERM as a question that long work asks between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopFlag:
    """Which signal asked to stop, if any."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The code of a process that a signal ended, as shells count: 130 after Ctrl-C, 143 after
        SIGTERM. A scheduler that saw 0 would take the work for done."""
        assert self.signal is not None, "nobody asked to stop"
        return 128 + self.signal


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
