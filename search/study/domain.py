"""What a parameter of the space may be: some choices, or a range of numbers."""

# Optuna is imported where a domain becomes a distribution; checking a study file goes without it.
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Choices:
    """One of some values; a single one is a fixed parameter."""

    values: tuple[Scalar, ...]

    def suggest(self, trial: BaseTrial, name: str) -> Scalar:
        """Sample the parameter `name` of a trial."""
        # Optuna's choices may be None, ours never are.
        return cast(Scalar, trial.suggest_categorical(name, self.values))

    def distribution(self) -> BaseDistribution:
        """The same domain in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

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

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """Sample the parameter `name` of a trial."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def distribution(self) -> BaseDistribution:
        """The same domain in Optuna's terms."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

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

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Sample the parameter `name` of a trial."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def distribution(self) -> BaseDistribution:
        """The same domain in Optuna's terms."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

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


def smallest(domain: Domain) -> int | float:
    """The least value of a numeric domain."""
    return min(_numbers(domain)) if isinstance(domain, Choices) else domain.low


def largest(domain: Domain) -> int | float:
    """The greatest value of a numeric domain."""
    return max(_numbers(domain)) if isinstance(domain, Choices) else domain.high


def _numbers(choices: Choices) -> list[int | float]:
    return [value for value in choices.values if not isinstance(value, str)]
