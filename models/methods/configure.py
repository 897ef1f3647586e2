"""From the values of settings to configured methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from models.methods.domain import Scalar
from models.methods.method import Method, Selector
from models.methods.registry import methods, methods_of
from models.methods.values import Names, SettingError
from models.methods.words import nearest


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
