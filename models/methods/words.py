"""How messages show values and lists as TOML writes them, and how they offer a nearby name."""

import math
from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """Return a value as a study file would hold it, shortened where it is long."""
    text = _toml(value)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return text[:_SHOWN_CHARACTERS] + "..."


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
