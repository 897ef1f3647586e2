"""What the values of a parameter can mean, and how a study file's domain is read by that.

Every error is a SectionError whose key starts with the parameter's name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from search.errors import nearest
from search.series.section import SectionError
from search.study.domain import Choices, Domain, FloatRange, IntRange
from search.study.wording import either, shown

_RANGE_KEYS = ("low", "high", "log", "step")
_MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class Names:
    """One of some names."""

    names: tuple[str, ...]

    def value(self, key: str, raw: object) -> str:
        """Return one of the names."""
        if isinstance(raw, str) and raw in self.names:
            return raw
        hint = nearest(raw, self.names) if isinstance(raw, str) else ""
        raise SectionError(key, f"must be {either(self.names)}, but got {shown(raw)}.{hint}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def value(self, key: str, raw: object) -> bool:
        """Return a bool."""
        if isinstance(raw, bool):
            return raw
        raise SectionError(key, f"must be true or false, without quotes, but got {shown(raw)}")


@dataclass(frozen=True)
class Whole:
    """A whole number, both bounds included."""

    low: int
    high: int

    def value(self, key: str, raw: object) -> int:
        """Return an int."""
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise SectionError(key, f"must be a whole number, but got {shown(raw)}")
        if not self.low <= raw <= self.high:
            raise SectionError(key, f"must be from {self.low} to {self.high}, but got {shown(raw)}")
        return raw


@dataclass(frozen=True)
class Real:
    """A real number, both bounds included."""

    low: float
    high: float

    def value(self, key: str, raw: object) -> float:
        """Return a float."""
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise SectionError(key, f"must be a number, but got {shown(raw)}")
        if isinstance(raw, float) and not math.isfinite(raw):
            raise SectionError(key, f"must be a finite number, but got {shown(raw)}")
        if not self.low <= raw <= self.high:
            raise SectionError(
                key, f"must be from {self.low:g} to {self.high:g}, but got {shown(raw)}"
            )
        return float(raw)


Meaning = Names | Flag | Whole | Real  # the values that a parameter can take at all


def read_domain(name: str, raw: object, meaning: Meaning) -> Domain:
    """Return the domain that a study file gives to the parameter `name`.

    raw: a list of choices, a table with low and high (and log, step), or one value.
    """
    if isinstance(raw, Choices | IntRange | FloatRange):
        raw = raw.to_plain()
    if isinstance(raw, Mapping):
        return _read_range(name, raw, meaning)
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return _read_choices(name, raw, meaning)
    return Choices((meaning.value(name, raw),))


def _read_choices(name: str, raw: Sequence[object], meaning: Meaning) -> Choices:
    if not raw:
        raise SectionError(
            name, "must hold at least one choice, but is empty; remove the key for the default"
        )
    values = tuple(meaning.value(name, item) for item in raw)
    for position, value in enumerate(values):
        if value in values[:position]:
            raise SectionError(name, f"must not repeat a choice, but has {shown(value)} twice")
    return Choices(values)


def _read_range(name: str, raw: Mapping[str, object], meaning: Meaning) -> Domain:
    if isinstance(meaning, Names | Flag):
        raise SectionError(name, f"must be a list of choices, but got {shown(raw)}; list some")
    _check_range_keys(name, raw)
    low = meaning.value(f"{name}.low", raw["low"])
    high = meaning.value(f"{name}.high", raw["high"])
    log = Flag().value(f"{name}.log", raw.get("log", False))
    step = raw.get("step")
    if isinstance(meaning, Whole):
        whole_step = 1 if step is None else Whole(1, meaning.high).value(f"{name}.step", step)
        span: IntRange | FloatRange = IntRange(int(low), int(high), log, whole_step)
    else:
        real_step = None if step is None else Real(1e-9, 1e9).value(f"{name}.step", step)
        span = FloatRange(low, high, log, real_step)
    _check_range(name, span)
    return span


def _check_range_keys(name: str, raw: Mapping[str, object]) -> None:
    for key in raw:
        if key not in _RANGE_KEYS:
            raise SectionError(
                f"{name}.{key}",
                f"is no key of a range.{nearest(str(key), _RANGE_KEYS)} "
                f"A range has {', '.join(_RANGE_KEYS)}",
            )
    for key in ("low", "high"):
        if key not in raw:
            raise SectionError(
                f"{name}.{key}", f"is missing; a range is {name} = {{ low = ..., high = ... }}"
            )


def _check_range(name: str, span: IntRange | FloatRange) -> None:
    if span.low >= span.high:
        remedy = "swap them" if span.low > span.high else f"write {name} = {shown(span.low)}"
        raise SectionError(
            f"{name}.low",
            f"must be below high, but got low = {shown(span.low)}, high = {shown(span.high)}; "
            f"{remedy}",
        )
    if span.log and span.low <= 0:
        raise SectionError(
            f"{name}.low",
            f"must be above 0 where log = true, but got {shown(span.low)}; raise low, or "
            "remove log",
        )
    if span.step is not None:
        _check_step(name, span, span.step)


def _check_step(name: str, span: IntRange | FloatRange, step: int | float) -> None:
    if span.log and (isinstance(span, FloatRange) or step != 1):
        raise SectionError(
            f"{name}.step", f"must be left out where log = true, but got {shown(step)}"
        )
    if not 1 <= (span.high - span.low) / step <= _MOST_STEPS:
        raise SectionError(
            f"{name}.step",
            f"must lead from low to high in 1 to {_MOST_STEPS} steps, but got "
            f"low = {shown(span.low)}, high = {shown(span.high)}, step = {shown(step)}",
        )
    # In decimals, as it is written: in binary, 0.3 is no multiple of 0.1.
    length = Decimal(str(span.high)) - Decimal(str(span.low))
    left_over = length % Decimal(str(step))
    if left_over:
        fitting = Decimal(str(span.high)) - left_over
        raise SectionError(
            f"{name}.high",
            f"must be low plus a whole number of steps, but got low = {shown(span.low)}, "
            f"high = {shown(span.high)}, step = {shown(step)}; write high = {fitting} "
            "or another step",
        )
