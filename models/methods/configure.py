"""From the values of settings to configured methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.methods.domain import Scalar
from models.methods.method import Method, Selector
from models.methods.registry import methods, methods_of
from models.methods.values import Names, SettingError


def selectors() -> dict[str, Selector]:
    """The selectors of all methods, by name, in the order of their methods."""
    return {m.selector.name: m.selector for m in methods() if m.selector is not None}


def selector_values(selector: Selector) -> Names:
    """What a selector can say: the names of its methods, and its name for none of them."""
    names = tuple(method.name for method in methods_of(selector.name))
    return Names(names if selector.none is None else (selector.none, *names))


def configure(
    params: Mapping[str, Scalar | None],
    wanted: Callable[[type[Method]], bool] | None = None,
) -> tuple[Method, ...]:
    """The methods that the values of settings ask for, in the order of all methods.

    params: values by the names of settings; those of methods that do not apply are not looked at,
    and what is missing is neutral. wanted: which methods to look at,
    None for all.
    Raises SettingError for a value that is missing and needed, or outside its bounds.
    """
    known = {name: value for name, value in params.items() if value is not None}
    for name, selector in selectors().items():
        if name in known:
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
