"""What the benchmarks' command lines share."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from search.errors import FreerunError


def count(text: str) -> int:
    """A whole number of at least 1, as argparse reads it."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A number above 0, as argparse reads it."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, but got {text!r}")
    return number


@contextmanager
def end_with_messages() -> Iterator[None]:
    """Let what freerun raises end the program with its message and exit code."""
    try:
        yield
    except FreerunError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
