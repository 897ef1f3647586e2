"""Time columns that are numbers: years, counters, seconds."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median_low

from search.series.even_steps import TimeLabelError, check_even, check_increasing

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class NumberedInterval:
    """An equal step between numbers.

    decimals: (least, most) digits after the point in the column. width: digits to which whole
    numbers are padded with zeros, 0 for none.
    """

    last: Decimal
    step: Decimal
    decimals: tuple[int, int]
    width: int

    def __str__(self) -> str:
        return f"{self.step.normalize():f}"

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` numbers, with as many decimals as the column has."""
        return [self._label(self.last + self.step * ahead) for ahead in range(1, steps + 1)]

    def _label(self, number: Decimal) -> str:
        least, most = self.decimals
        text = f"{number:.{most}f}"
        while most > least and text.endswith("0"):
            text, most = text[:-1], most - 1
        return text.removesuffix(".").zfill(self.width)


def is_number(label: str) -> bool:
    """Whether a time label is a finite number in plain or scientific notation."""
    return _NUMBER.fullmatch(label.strip()) is not None


def read_numbered_time(labels: Sequence[str]) -> NumberedInterval:
    """Return the interval of at least two numeric labels; TimeLabelError where a rule is broken.

    Steps count as equal when they differ by no more than the labels' own rounding: 1 % of the
    step or one unit of the last decimal, but never more than a tenth of the step, so that 0.33,
    0.67, 1.00 pass and a missing year never does.
    """
    for row, label in enumerate(labels):
        if not is_number(label):
            raise TimeLabelError(
                row,
                f"the time '{label}' is no number, but the first time is ('{labels[0]}'); "
                "write all times in one format",
            )
    instants = [Decimal(label.strip()) for label in labels]  # exact, unlike floats
    check_increasing(labels, instants)
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    decimals = [_decimals(instant) for instant in instants]
    usual = median_low(steps)
    rounding = Decimal(10) ** -max(decimals)
    check_even(labels, steps, usual, min(max(usual / 100, rounding), usual / 10))
    all_equal = min(steps) == max(steps)
    return NumberedInterval(
        last=instants[-1],
        step=usual if all_equal else (instants[-1] - instants[0]) / len(steps),
        decimals=(min(decimals), max(decimals)),
        width=_padded_width(labels),
    )


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # it is no int for NaN and infinity only
    return max(-exponent, 0)


def _padded_width(labels: Sequence[str]) -> int:
    is_padded = any(re.match("0[0-9]", label) for label in labels)
    return len(labels[-1]) if is_padded else 0
