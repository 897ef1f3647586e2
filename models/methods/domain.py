"""The values among which a study searches a setting: some choices, or a range of numbers."""

from dataclasses import dataclass
from typing import Any

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Choices:
    """One of some values; a single one is a fixed setting."""

    values: tuple[Scalar, ...]

    def contains(self, value: Scalar) -> bool:
        """Whether `value` may be sampled; true is not 1 here."""
        return any(value == choice and type(value) is type(choice) for choice in self.values)

    def to_plain(self) -> Any:
        """The domain as a study file or JSON holds it."""
        return list(self.values)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from low to high, both included, by `step`; log: even on a log scale."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def contains(self, value: Scalar) -> bool:
        """Whether `value` may be sampled."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def to_plain(self) -> Any:
        """The domain as a study file or JSON holds it."""
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step}


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from low to high; log: even on a log scale; step: a grid, None for none."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def contains(self, value: Scalar) -> bool:
        """Whether `value` may be sampled."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-8  # as Optuna compares on a grid

    def to_plain(self) -> Any:
        """The domain as a study file or JSON holds it."""
        bounds = {"low": self.low, "high": self.high, "log": self.log}
        return bounds if self.step is None else bounds | {"step": self.step}


Domain = Choices | IntRange | FloatRange

OFF_ON = Choices((False, True))


def smallest(domain: Domain) -> int | float:
    """The least value of a numeric domain."""
    return min(_numbers(domain)) if isinstance(domain, Choices) else domain.low


def largest(domain: Domain) -> int | float:
    """The greatest value of a numeric domain."""
    return max(_numbers(domain)) if isinstance(domain, Choices) else domain.high


def _numbers(choices: Choices) -> list[int | float]:
    return [value for value in choices.values if not isinstance(value, str)]
