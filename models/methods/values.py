"""What a setting can be at all, among which values a study searches it, and how messages say so."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

_SHOWN_CHARACTERS = 60


class SettingError(ValueError):
    """A value breaks a rule.

    key: the dotted key that the message is about. rule: what the message says behind the key, with
    the value and the remedy.
    """

    def __init__(self, key: str, rule: str) -> None:
        super().__init__(f"{key} {rule}")
        self.key = key
        self.rule = rule


@dataclass(frozen=True)
class Names:
    """One of some names."""

    names: tuple[str, ...]

    def check(self, key: str, raw: object) -> str:
        if isinstance(raw, str) and raw in self.names:
            return raw
        hint = nearest(raw, self.names) if isinstance(raw, str) else ""
        raise SettingError(key, f"must be {either(self.names)}, but got {shown(raw)}.{hint}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, key: str, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        raise SettingError(key, f"must be true or false, without quotes, but got {shown(raw)}")


@dataclass(frozen=True)
class Whole:
    """A whole number, both bounds included."""

    low: int
    high: int

    def check(self, key: str, raw: object) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise SettingError(key, f"must be a whole number, but got {shown(raw)}")
        if not self.low <= raw <= self.high:
            raise SettingError(key, f"must be from {self.low} to {self.high}, but got {shown(raw)}")
        return raw


@dataclass(frozen=True)
class Real:
    """A real number, both bounds included."""

    low: float
    high: float

    def check(self, key: str, raw: object) -> float:
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise SettingError(key, f"must be a number, but got {shown(raw)}")
        if isinstance(raw, float) and not math.isfinite(raw):
            raise SettingError(key, f"must be a finite number, but got {shown(raw)}")
        if not self.low <= raw <= self.high:
            raise SettingError(
                key, f"must be from {self.low:g} to {self.high:g}, but got {shown(raw)}"
            )
        return float(raw)


# Each checks a raw value, and returns it or raises SettingError.
Values = Names | Flag | Whole | Real

STEPS = Whole(1, 1_000_000)
SHARE = Real(0, 1)
WEIGHT = Real(0, 1000)
NOISE = Real(0, 100)  # in standard deviations of the training span

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Choices:
    """One of some values; a single one is a fixed setting."""

    values: tuple[Scalar, ...]

    def contains(self, value: Scalar) -> bool:
        # True is not 1 here.
        return any(value == choice and type(value) is type(choice) for choice in self.values)

    def to_plain(self) -> Any:
        return list(self.values)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from low to high, both included, by `step`; log: even on a log scale."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def contains(self, value: Scalar) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def to_plain(self) -> Any:
        return asdict(self)


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from low to high; log: even on a log scale; step: a grid, None for none."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def contains(self, value: Scalar) -> bool:
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-8  # as Optuna compares on a grid

    def to_plain(self) -> Any:
        return {key: value for key, value in asdict(self).items() if value is not None}


# Each says whether it `contains` a value, and gives itself as a study file or JSON holds it.
Domain = Choices | IntRange | FloatRange

OFF_ON = Choices((False, True))


def smallest(domain: Domain) -> int | float:
    """The least value of a numeric domain."""
    return min(_numbers(domain)) if isinstance(domain, Choices) else domain.low


def largest(domain: Domain) -> int | float:
    """The greatest value of a numeric domain."""
    return max(_numbers(domain)) if isinstance(domain, Choices) else domain.high


def outermost(domain: Domain) -> tuple[Scalar, ...]:
    """The values between which all others of a domain lie; all values of choices."""
    return domain.values if isinstance(domain, Choices) else (domain.low, domain.high)


def _numbers(choices: Choices) -> list[int | float]:
    return [value for value in choices.values if not isinstance(value, str)]


def shown(value: object) -> str:
    """A value as a study file would hold it, shortened where it is long."""
    text = _toml(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def either(options: Iterable[object]) -> str:
    """Return "a, b or c", each as a study file would hold it."""
    *first, last = [shown(option) for option in options]
    return f"{', '.join(first)} or {last}" if first else last


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to `word`, or "" if none is close."""
    matches = get_close_matches(word, list(known), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def counted(number: int, singular: str) -> str:
    """A number with its noun: 1 draw, 2 draws."""
    return f"{number:,} {singular}" if number == 1 else f"{number:,} {singular}s"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case int() if value.bit_length() > 100:
            return f"a number of {value.bit_length()} bits"  # str() refuses the longest
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        case list() | tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case dict():
            pairs = (f"{key} = {_toml(item)}" for key, item in value.items())
            return "{ " + ", ".join(pairs) + " }" if value else "an empty table"
    return str(value)
