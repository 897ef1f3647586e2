"""What arguments may be; anything else is refused with the rule, the value and the remedy.

A value is taken by what it is, not by its class: numbers of NumPy are numbers, too.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from search.errors import UsageError
from search.names import cut, is_text

# What databases hold.
_MOST = 2**63 - 1


def whole_number(name: str, value: Any, least: int | None = None, unit: str = "") -> int:
    """Return a whole number. Raises UsageError for anything else, and for one below the least."""
    try:
        if isinstance(value, bool):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        example = 10 if least is None else max(least, 1)
        raise UsageError(
            f"{name} must be a whole number, but got {_shown(value)}; write for example "
            f"{name}={example}"
        ) from None
    if abs(found) > _MOST:
        raise UsageError(f"{name} must be at most {_MOST} in size, but got {_shown(value)}")
    if least is not None and found < least:
        raise UsageError(f"{name} must be at least {least}{unit}, but got {found}")
    return found


def positive_number(name: str, value: Any) -> float:
    """Return a finite number above 0. Raises UsageError for anything else."""
    found = _number(value)
    if found is None or not 0 < found < math.inf:
        raise UsageError(
            f"{name} must be a number above 0, but got {_shown(value)}; write for example "
            f"{name}=2.5"
        )
    return found


def levels_of(value: Any) -> tuple[float, ...]:
    """Return levels in percent, of one number or of several. Raises UsageError for anything else.

    Their range is checked where bands are made.
    """
    single = _number(value)
    if single is not None:
        return (single,)
    try:
        found = [] if isinstance(value, str | bytes | Mapping) else [_number(v) for v in value]
    except TypeError:
        found = [None]
    if None in found or isinstance(value, str | bytes | Mapping):
        raise UsageError(
            f"levels must be percent, one number or several, but got {_shown(value)}; write for "
            "example levels=(80, 95)"
        )
    return tuple(level for level in found if level is not None)


def text(name: str, value: Any, example: str) -> str:
    """Return a text. Raises UsageError for anything else."""
    if not isinstance(value, str):
        raise UsageError(
            f"{name} must be a text, but got {_shown(value)}; write for example {name}={example!r}"
        )
    return value


def texts(name: str, value: Any, example: str) -> tuple[str, ...]:
    """Return names, of one text or of several. Raises UsageError for anything else."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, set | frozenset):
        # Their order differs from process to process, and results with that of the columns.
        value = sorted(value, key=str)
    is_listed = isinstance(value, Sequence) or hasattr(value, "__array__")
    found = list(value) if is_listed and not isinstance(value, bytes) else [value]
    if not is_listed or not all(isinstance(own, str) for own in found):
        raise UsageError(
            f"{name} must be a text or a list of texts, but got {_shown(value)}; write for "
            f"example {name}=[{example!r}]"
        )
    return tuple(map(str, found))


def section(name: str, value: Any, example: str) -> dict[str, Any]:
    """Return a dict with keys of a section of a study file. Raises UsageError for anything else."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(
            f"{name} must be a dict with keys of [{name}] of a study file, but got "
            f"{_shown(value)}; write for example {name}={example}"
        )
    return dict(value)


def path_of(name: str, value: Any) -> Path:
    """Return a path. Raises UsageError for what is none."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name} must be a path, but got {_shown(value)}; give it as a text")
    path = Path(value)
    if not is_text(str(path)):
        raise UsageError(
            f"{name} must be UTF-8 text without null bytes, but got {cut(str(path))!r}; give "
            "another one"
        )
    return path


def _number(value: Any) -> float | None:
    """A number as a float; None for anything else, true and false included."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    try:
        return cut(repr(value), 80)
    except ValueError:  # Python writes out no number of more than some thousand digits
        return "a number of thousands of digits"
