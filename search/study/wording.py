"""How messages about a study file show values and lists, as TOML would write them."""

import math
from collections.abc import Iterable

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
