"""When a setting is sampled: a rule on settings that were sampled before it.

The rules at the end are those that the settings of several methods share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from models.methods.registry import method_named, methods, methods_of
from models.methods.values import Choices, Domain, Scalar, either, largest, outermost


class Condition(Protocol):
    """Reads as a phrase by `str`: "cell is "lru""."""

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        """Whether it is true of the settings that were sampled before."""

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        """Whether it is true of any sample of these domains."""


@dataclass(frozen=True)
class Is:
    """A setting was sampled and has one of some values."""

    name: str
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"{self.name} is {either(self.values)}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return self.name in params and params[self.name] in self.values

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return self.name in space and any(space[self.name].contains(v) for v in self.values)


@dataclass(frozen=True)
class IsNot:
    """A setting was not sampled, or has none of some values."""

    name: str
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"{self.name} is not {either(self.values)}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return params.get(self.name) not in self.values

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return True  # where the domain has no other value, a candidate may still not sample it


@dataclass(frozen=True)
class Selects:
    """The method that a selector names can do something: `can` is a true attribute of its class."""

    selector: str
    can: str

    def __str__(self) -> str:
        able = [m.name for m in methods_of(self.selector) if getattr(m, self.can)]
        others = [m.name for m in methods_of(self.selector) if m.name not in able]
        if len(others) < len(able):
            return f"{self.selector} is not {either(others)}"
        return f"{self.selector} is {either(able) if able else 'none of those that exist'}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return self.selector in params and self._is_able(params[self.selector])

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        domain = space.get(self.selector)
        return isinstance(domain, Choices) and any(self._is_able(v) for v in domain.values)

    def _is_able(self, name: Scalar) -> bool:
        method = method_named(self.selector, str(name))
        return method is not None and bool(getattr(method, self.can))


@dataclass(frozen=True)
class Above:
    """A numeric setting was sampled and exceeds a bound."""

    name: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} is above {self.bound:g}"

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        value = params.get(self.name)
        return isinstance(value, int | float) and value > self.bound

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return self.name in space and largest(space[self.name]) > self.bound


class AnyOf:
    """At least one of some conditions holds."""

    def __init__(self, *conditions: Condition) -> None:
        self.conditions = conditions

    def __str__(self) -> str:
        return " or ".join(str(condition) for condition in self.conditions)

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return any(condition.holds(params) for condition in self.conditions)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return any(condition.can_hold(space) for condition in self.conditions)


class AllOf:
    """Several conditions hold; none at all always do."""

    def __init__(self, *conditions: Condition) -> None:
        self.conditions = conditions

    def __str__(self) -> str:
        return " and ".join(str(condition) for condition in self.conditions)

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return all(condition.holds(params) for condition in self.conditions)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return all(condition.can_hold(space) for condition in self.conditions)


@dataclass(frozen=True)
class Has:
    """A setting has a value with an effect: `effect` is the field of `Setting` that names them.

    among: the names of the settings that are looked at, None for all.
    """

    effect: str
    among: frozenset[str] | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """One for each setting of all methods that can have the effect."""
        found = (
            own.with_effect(self.effect)
            for method in methods()
            for own in method.settings
            if self.among is None or own.name in self.among
        )
        return tuple(dict.fromkeys(condition for condition in found if condition))

    def __str__(self) -> str:
        return str(AnyOf(*self.conditions))

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return AnyOf(*self.conditions).holds(params)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        return AnyOf(*self.conditions).can_hold(space)


@dataclass(frozen=True)
class Lacks(Has):
    """No setting has a value with an effect."""

    def __str__(self) -> str:
        return " and ".join(
            str(condition).replace(" is ", " is not ") for condition in self.conditions
        )

    def holds(self, params: Mapping[str, Scalar]) -> bool:
        return not super().holds(params)

    def can_hold(self, space: Mapping[str, Domain]) -> bool:
        # Candidates may not sample the settings of other methods.
        sampled = {own.name for m in methods() if m.is_always_there for own in m.settings}
        return all(
            any(self.holds({name: value}) for value in outermost(domain))
            for name, domain in space.items()
            if name in sampled
        )


def among(condition: Condition, names: frozenset[str]) -> Condition:
    """The same, but that effects are those of some settings alone."""
    match condition:
        case Has():
            return replace(condition, among=names)
        case AnyOf() | AllOf():
            return type(condition)(*(among(part, names) for part in condition.conditions))
    return condition


def names_in(condition: Condition) -> frozenset[str] | None:
    """The settings that a condition reads; None for a condition of a plug-in's own."""
    match condition:
        case Is() | IsNot() | Above():
            return frozenset({condition.name})
        case Selects():
            return frozenset({condition.selector})
        case AnyOf() | AllOf() | Has():
            parts = [names_in(part) for part in condition.conditions]
            known = [names for names in parts if names is not None]
            return frozenset().union(*known) if len(known) == len(parts) else None
    return None


ALWAYS = AllOf()

TRAINED = Selects("cell", "is_trained")
RECURRENT = Selects("cell", "is_recurrent")

# What a free run starts from.
READS_WINDOW = AnyOf(Is("context", ("window",)), Selects("cell", "reads_whole_window"))
HAS_STATE = Is("context", ("state",))
WITH_WINDOW = AllOf(TRAINED, READS_WINDOW)
WITH_STATE = AllOf(RECURRENT, HAS_STATE)
RUNS_ON_STATE = AllOf(Selects("cell", "runs_on_state"), HAS_STATE)
FEEDS_BACK = IsNot("autonomous", (True,))
READS = IsNot("state_estimate", ("least-squares",))
FEEDS_BACK_EACH = IsNot("decoding", ("parallel",))

# What is between the value that is read and the forecast.
LINEAR = AllOf(Selects("cell", "is_linear"), Lacks("nonlinear"))
NONLINEAR = AnyOf(Selects("cell", "is_nonlinear"), READS_WINDOW, Has("nonlinear"))
# Without an offset, a linear forecaster makes the same errors on a series and on its negative.
DEPENDS_ON_SIGN = AnyOf(Selects("cell", "is_nonlinear"), Has("nonlinear"), Is("offset", (True,)))

# Whether training runs freely, and whether it walks over time step by step. Where it does so
# anyway, members with strategies that need it train in the cohort of all others.
UNROLLS = AnyOf(Above("rollout_steps", 1), Above("window_rollout_steps", 1))
# A state by least squares is estimated anew from each warm-up, and reads nothing else.
BRANCHES = AllOf(UNROLLS, READS, FEEDS_BACK_EACH)
LOOPS = AnyOf(NONLINEAR, Has("loops"))
FEEDS_BACK_IN_TRAINING = AllOf(UNROLLS, FEEDS_BACK, FEEDS_BACK_EACH)
LOOPS_AND_FEEDS_BACK = AllOf(FEEDS_BACK_IN_TRAINING, LOOPS)
