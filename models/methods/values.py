"""The values that a setting can take at all: its type and bounds."""

import math
from dataclasses import dataclass

from models.methods.words import either, nearest, shown


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
        """Return one of the names; SettingError for anything else."""
        if isinstance(raw, str) and raw in self.names:
            return raw
        hint = nearest(raw, self.names) if isinstance(raw, str) else ""
        raise SettingError(key, f"must be {either(self.names)}, but got {shown(raw)}.{hint}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, key: str, raw: object) -> bool:
        """Return a bool; SettingError for anything else."""
        if isinstance(raw, bool):
            return raw
        raise SettingError(key, f"must be true or false, without quotes, but got {shown(raw)}")


@dataclass(frozen=True)
class Whole:
    """A whole number, both bounds included."""

    low: int
    high: int

    def check(self, key: str, raw: object) -> int:
        """Return an int; SettingError for anything else."""
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
        """Return a float; SettingError for anything else."""
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise SettingError(key, f"must be a number, but got {shown(raw)}")
        if isinstance(raw, float) and not math.isfinite(raw):
            raise SettingError(key, f"must be a finite number, but got {shown(raw)}")
        if not self.low <= raw <= self.high:
            raise SettingError(
                key, f"must be from {self.low:g} to {self.high:g}, but got {shown(raw)}"
            )
        return float(raw)


Values = Names | Flag | Whole | Real

STEPS = Whole(1, 1_000_000)
SHARE = Real(0, 1)
WEIGHT = Real(0, 1000)
NOISE = Real(0, 100)  # in standard deviations of the training span
