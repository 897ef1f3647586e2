"""The rules of every time column: times increase, by equal steps."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

Instant = TypeVar("Instant", Decimal, datetime)
Step = TypeVar("Step", Decimal, timedelta, int)


class Interval(Protocol):
    """The step of a time column, which can write the times that come next."""

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` time labels, in the format of the column."""


class TimeLabelError(ValueError):
    """A time label breaks a rule.

    row: index of the offending row, 0 for the first row of data.
    rule: what is wrong and how to put it right; the caller knows the row's place in the file.
    """

    def __init__(self, row: int, rule: str) -> None:
        super().__init__(rule)
        self.row = row
        self.rule = rule


def check_increasing(labels: Sequence[str], instants: Sequence[Instant]) -> None:
    """Raise TimeLabelError for the first time that repeats or precedes the one before it."""
    for row in range(1, len(labels)):
        if instants[row] == instants[row - 1]:
            raise TimeLabelError(
                row, f"the time '{labels[row]}' is there twice; keep one row for each time"
            )
        if instants[row] < instants[row - 1]:
            raise TimeLabelError(
                row,
                f"times must increase, but '{labels[row]}' comes after '{labels[row - 1]}'; "
                "sort the rows by time",
            )


def check_even(
    labels: Sequence[str], steps: Sequence[Step], usual: Step, tolerance: Step, unit: str = ""
) -> None:
    """Raise TimeLabelError for the first step that is further than `tolerance` from the usual one.

    steps: steps[i] leads from row i to row i + 1. unit: written behind the numbers.
    """
    for row, step in enumerate(steps, start=1):
        if abs(step - usual) > tolerance:
            raise TimeLabelError(
                row,
                f"times must have equal steps, but from '{labels[row - 1]}' to '{labels[row]}' "
                f"it is {step}{unit}, where most steps are {usual}{unit}; "
                "add the missing rows, or resample the table to equal steps",
            )
