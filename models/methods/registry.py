"""The methods that exist, in this package and in plug-ins, and those that settings ask for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from models.methods.values import Names, Scalar, SettingError, nearest

if TYPE_CHECKING:
    from models.methods.method import Method, Selector

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

    Raises ValueError where another class of that kind has the name, and for a method outside of
    this package whose kind computes nothing but what this package declares.
    """
    if is_added(method) and not method.is_open and method.kind in _own_kinds():
        kinds = sorted({known.kind for known in methods() if known.is_open})
        raise ValueError(
            f"a plug-in can add methods of the kinds {', '.join(kinds)}, each derived from the "
            f"base of its kind, but {method.__module__}.{method.__qualname__} is another "
            f"{method.kind}, which nothing would compute"
        )
    known = _registered.setdefault((method.group(), method.name), method)
    if (known.__module__, known.__qualname__) != (method.__module__, method.__qualname__):
        raise ValueError(
            f"a {method.kind} must have a name of its own, but {method.__module__}."
            f"{method.__qualname__} has the name {method.name!r} of {known.__module__}."
            f"{known.__qualname__}; choose another"
        )


def _own_kinds() -> set[str]:
    return {method.kind for method in methods() if not is_added(method)}


def is_added(method: type[object]) -> bool:
    """Whether it is declared outside of this package, by a plug-in."""
    return method.__module__.partition(".")[0] != __name__.partition(".")[0]


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
    """The methods from which a study file can choose by a selector."""
    return [
        m
        for m in methods()
        if m.selector is not None and m.selector.name == selector and m.is_searchable
    ]


def method_named(selector: str, name: str) -> type[Method] | None:
    """The method that a selector's value names, None for "none" and for an unknown one."""
    load_methods()
    return _registered.get((selector, name))


def selectors() -> dict[str, Selector]:
    """The selectors of all methods, by name, in the order of their methods."""
    return {m.selector.name: m.selector for m in methods() if m.selector is not None}


def selector_values(selector: Selector) -> Names:
    """What a selector can say: the names of its methods, and its name for none of them."""
    names = tuple(method.name for method in methods_of(selector.name))
    return Names(names if selector.none is None else (selector.none, *names))


def check_names(names: Iterable[str]) -> None:
    """Raise SettingError for a name that is neither a setting nor a selector of any method.

    A network is another one without what it names, so that nothing may be left out in silence.
    """
    known = {own.name for method in methods() for own in method.settings} | selectors().keys()
    for name in names:
        if name not in known:
            raise SettingError(
                name,
                f"is a setting of no method here.{nearest(name, known)} "
                "Install the plug-in or the version of freerun that has it",
            )


def configure(
    params: Mapping[str, Scalar | None], wanted: Callable[[type[Method]], bool] | None = None
) -> tuple[Method, ...]:
    """The methods that the values of settings ask for, in the order of all methods.

    params: values by the names of settings; those of methods that do not apply are not looked at,
    and what is missing is neutral. wanted: which methods to look at, None for all.
    Raises SettingError for a value that is missing and needed, or outside its bounds.
    """
    known = {name: value for name, value in params.items() if value is not None}
    for name, selector in selectors().items():
        if name in known:
            # What no study file can choose is chosen by a baseline.
            if method_named(name, str(known[name])) is None:
                selector_values(selector).check(name, known[name])
        elif selector.none is None and selector.when.holds(known):
            raise SettingError(name, f"is missing; there are only {', '.join(known) or 'none'}")
    found: list[Method] = []
    for method in methods():
        if wanted is not None and not wanted(method):
            continue
        if method.is_of_candidates and method.presence().holds(known):
            configured = method.of(known)
            is_chosen = method.selector is not None or method.is_always_there
            if is_chosen or not configured.is_neutral():
                found.append(configured)
    return tuple(found)
