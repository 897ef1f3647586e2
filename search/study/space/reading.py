"""How a study file's domain of a setting is read.

Every error is a SettingError whose key starts with the setting's name.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from models.methods import (
    Choices,
    Domain,
    Flag,
    FloatRange,
    IntRange,
    Names,
    Real,
    SettingError,
    Values,
    Whole,
    nearest,
    shown,
)

_RANGE_KEYS = ("low", "high", "log", "step")
_MOST_STEPS = 10_000_000


def read_domain(name: str, raw: object, values: Values) -> Domain:
    """Return the domain that a study file gives to the setting `name`.

    raw: a list of choices, a table with low and high (and log, step), or one value.
    """
    if isinstance(raw, Domain):
        raw = raw.to_plain()
    if isinstance(raw, Mapping):
        return _read_range(name, raw, values)
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return Choices((values.check(name, raw),))
    if not raw:
        raise SettingError(
            name, "must hold at least one choice, but is empty; remove the key for the default"
        )
    choices = tuple(values.check(name, item) for item in raw)
    for position, value in enumerate(choices):
        if value in choices[:position]:
            raise SettingError(name, f"must not repeat a choice, but has {shown(value)} twice")
    return Choices(choices)


def _read_range(name: str, raw: Mapping[str, object], values: Values) -> Domain:
    if isinstance(values, Names | Flag):
        raise SettingError(name, f"must be a list of choices, but got {shown(raw)}; list some")
    _check_range_keys(name, raw)
    low = values.check(f"{name}.low", raw["low"])
    high = values.check(f"{name}.high", raw["high"])
    log = Flag().check(f"{name}.log", raw.get("log", False))
    step = raw.get("step")
    span: IntRange | FloatRange
    if isinstance(values, Whole):
        whole_step = 1 if step is None else Whole(1, values.high).check(f"{name}.step", step)
        span = IntRange(int(low), int(high), log, whole_step)
    else:
        real_step = None if step is None else Real(1e-9, 1e9).check(f"{name}.step", step)
        span = FloatRange(low, high, log, real_step)
    _check_range(name, span)
    return span


def _check_range_keys(name: str, raw: Mapping[str, object]) -> None:
    for key in raw:
        if key not in _RANGE_KEYS:
            raise SettingError(
                f"{name}.{key}",
                f"is no key of a range.{nearest(str(key), _RANGE_KEYS)} "
                f"A range has {', '.join(_RANGE_KEYS)}",
            )
    for key in ("low", "high"):
        if key not in raw:
            raise SettingError(
                f"{name}.{key}", f"is missing; a range is {name} = {{ low = ..., high = ... }}"
            )


def _check_range(name: str, span: IntRange | FloatRange) -> None:
    if span.low >= span.high:
        remedy = "swap them" if span.low > span.high else f"write {name} = {shown(span.low)}"
        raise SettingError(
            f"{name}.low",
            f"must be below high, but got low = {shown(span.low)}, high = {shown(span.high)}; "
            f"{remedy}",
        )
    if span.log and span.low <= 0:
        raise SettingError(
            f"{name}.low",
            f"must be above 0 where log = true, but got {shown(span.low)}; raise low, or "
            "remove log",
        )
    if span.step is not None:
        _check_step(name, span, span.step)


def _check_step(name: str, span: IntRange | FloatRange, step: int | float) -> None:
    if span.log and (isinstance(span, FloatRange) or step != 1):
        raise SettingError(
            f"{name}.step", f"must be left out where log = true, but got {shown(step)}"
        )
    got = f"low = {shown(span.low)}, high = {shown(span.high)}, step = {shown(step)}"
    if not 1 <= (span.high - span.low) / step <= _MOST_STEPS:
        raise SettingError(
            f"{name}.step", f"must lead from low to high in 1 to {_MOST_STEPS} steps, but got {got}"
        )
    # In decimals, as it is written: in binary, 0.3 is no multiple of 0.1.
    length = Decimal(str(span.high)) - Decimal(str(span.low))
    left_over = length % Decimal(str(step))
    if left_over:
        raise SettingError(
            f"{name}.high",
            f"must be low plus a whole number of steps, but got {got}; "
            f"write high = {Decimal(str(span.high)) - left_over} or another step",
        )
