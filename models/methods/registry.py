"""The methods that exist: those in this package, and those that plug-ins add."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.methods.method import Method

# Each module in these packages is imported once, so that a method needs nothing but its file.
_HOMES = (
    "models.network.cells",
    "models.network.options",
    "models.training.losses",
    "models.training.forcing",
    "models.training.options",
    "models.closed_form.forms",
    "models.baselines",
)

_registered: dict[tuple[str, str], type[Method]] = {}
_is_loaded = False


def register(method: type[Method]) -> None:
    """Take in a method by its kind and name, as its class is made.

    Raises ValueError where another class of that kind has the name.
    """
    known = _registered.setdefault((method.group(), method.name), method)
    if (known.__module__, known.__qualname__) != (method.__module__, method.__qualname__):
        raise ValueError(
            f"a {method.kind} must have a name of its own, but {method.__module__}."
            f"{method.__qualname__} has the name {method.name!r} of {known.__module__}."
            f"{known.__qualname__}; choose another"
        )


def load_methods() -> None:
    """Import the methods of this package; those of plug-ins are imported by the caller."""
    global _is_loaded
    if _is_loaded:
        return
    _is_loaded = True
    for home in _HOMES:
        package = importlib.import_module(home)
        for module in pkgutil.iter_modules(package.__path__, f"{home}."):
            importlib.import_module(module.name)


def methods() -> Sequence[type[Method]]:
    """All methods, in the order in which spaces and tables have them."""
    load_methods()
    return sorted(_registered.values(), key=lambda method: (method.rank, method.name))


def methods_of(selector: str) -> Sequence[type[Method]]:
    """The methods that a selector chooses from."""
    return [m for m in methods() if m.selector is not None and m.selector.name == selector]


def method_named(selector: str, name: str) -> type[Method] | None:
    """The method that a selector's value names, None for "none" and for an unknown one."""
    load_methods()
    return _registered.get((selector, name))
