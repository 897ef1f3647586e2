"""When a parameter of the space is sampled: a rule on parameters that were sampled before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from search.study.domain import Domain, Scalar, largest
from search.study.wording import either


class Condition(Protocol):
    """Reads as a phrase by `str`: "cell is "lru""."""

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether the parameter is sampled, given those sampled before it."""

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether any sample of the space's earlier parameters makes it hold."""


@dataclass(frozen=True)
class Is:
    """A parameter was sampled and is one of some values."""

    name: str
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"{self.name} is {either(self.values)}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether the sampled value is one of the values."""
        return self.name in params and params[self.name] in self.values

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether the domain has one of the values."""
        return self.name in space and any(space[self.name].contains(v) for v in self.values)


@dataclass(frozen=True)
class IsNot:
    """A parameter was not sampled, or is none of some values."""

    name: str
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"{self.name} is not {either(self.values)}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether the parameter is missing or has another value."""
        return params.get(self.name) not in self.values

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """True: where the domain has no other value, a candidate may still not sample it."""
        return True


@dataclass(frozen=True)
class Above:
    """A numeric parameter was sampled and exceeds a bound."""

    name: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} is above {self.bound:g}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether the sampled value exceeds the bound."""
        value = params.get(self.name)
        return isinstance(value, int | float) and value > self.bound

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether the domain reaches above the bound."""
        return self.name in space and largest(space[self.name]) > self.bound


@dataclass(frozen=True)
class AnyOf:
    """One condition of several holds."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(str(condition) for condition in self.conditions)

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether one of the conditions holds."""
        return any(condition.holds(params) for condition in self.conditions)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether one of the conditions can hold."""
        return any(condition.can_hold(space) for condition in self.conditions)


@dataclass(frozen=True)
class AllOf:
    """Several conditions hold."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(str(condition) for condition in self.conditions)

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether all of the conditions hold."""
        return all(condition.holds(params) for condition in self.conditions)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether each of the conditions can hold."""
        return all(condition.can_hold(space) for condition in self.conditions)
