"""The parameters of spaces, in the order in which trials sample them.

They are derived from the settings and selectors of all methods; nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from models.methods import (
    Ablation,
    AllOf,
    AnyOf,
    Choices,
    Condition,
    Is,
    Method,
    Selector,
    Setting,
    methods,
)
from models.methods.condition import ALWAYS, FEEDS_BACK_EACH, READS, among
from models.methods.registry import is_added, selector_values
from models.methods.series_properties import SeriesProperties
from search.plugins import PluginError, load_plugins

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties


@dataclass(frozen=True, eq=False)
class Parameter(Setting):
    """One parameter of a space: a selector, or the settings of one name of all methods.

    owners: the methods that have it as a setting, or that it selects. when: the whole condition for
    a trial to sample it, that one of its methods applies included.
    """

    owners: tuple[type[Method], ...] = ()


def parameters() -> Sequence[Parameter]:
    """All parameters, those of plug-ins included, in the order in which trials sample them."""
    return tuple(_by_name().values())


def parameter_named(name: str) -> Parameter | None:
    """The parameter of a name, None where no method has it."""
    return _by_name().get(name)


@cache
def _by_name() -> Mapping[str, Parameter]:
    load_plugins()
    placed: list[tuple[tuple[int, int, int], Parameter]] = []
    selected: dict[str, list[type[Method]]] = {}
    owners: dict[str, list[tuple[type[Method], Setting]]] = {}
    for method in (m for m in methods() if m.is_of_candidates and m.is_searchable):
        if method.selector is not None:
            selected.setdefault(method.selector.name, []).append(method)
        for own in method.settings:
            owners.setdefault(own.name, []).append((method, own))
    for chosen in selected.values():
        selector = chosen[0].selector
        assert selector is not None
        placed.append(((selector.stage, chosen[0].rank, -1), _of_selector(selector, chosen)))
    for own_by in owners.values():
        stage = own_by[0][1].stage
        assert stage is not None
        # A setting that methods of other kinds share stands where its own kind has it.
        homes = [pair for pair in own_by if pair[0].stage == stage] or own_by
        method, own = homes[0]
        place = (stage, method.rank, method.settings.index(own))
        placed.append((place, _of_settings(own_by)))
    placed.sort(key=lambda pair: pair[0])
    found: dict[str, Parameter] = {}
    for _, parameter in placed:
        # A condition looks at what is sampled before.
        when = among(parameter.when, frozenset(found))
        found[parameter.name] = replace(parameter, when=when)
    return found


def _of_selector(selector: Selector, chosen: Sequence[type[Method]]) -> Parameter:
    values = selector_values(selector)
    searched = selector.searched and not all(map(is_added, chosen))
    if searched:
        default = tuple(m.name for m in chosen if m.searched and not is_added(m))
    else:
        default = values.names
    seasonal = {m.name for m in chosen if m.needs_season}
    noise_free = tuple(m.name for m in chosen if m.suits_noise_free and not is_added(m))

    def suited(series: SeriesProperties) -> Choices:
        if series.is_noise_free and noise_free:
            return Choices(noise_free)
        return Choices(tuple(n for n in default if series.has_season or n not in seasonal))

    ablation = selector.ablation
    if ablation is None and selector.none is not None:
        ablation = Ablation(selector.none)
    return Parameter(
        name=selector.name,
        values=values,
        default=Choices(default),
        description=selector.description,
        neutral=selector.none,
        shared=selector.shared,
        searched=searched,
        when=selector.when,
        stage=selector.stage,
        ablation=ablation,
        suits=suited if searched and (seasonal or noise_free) else None,
        owners=tuple(chosen),
    )


def _of_settings(owners: Sequence[tuple[type[Method], Setting]]) -> Parameter:
    """The parameter of settings of one name; PluginError where methods do not declare it alike."""
    method, first = owners[0]
    for other, own in owners[1:]:
        if _shape(own) != _shape(first):
            raise PluginError(
                f"the setting {first.name!r} must be declared alike by all methods that have it, "
                f"but {method.name} and {other.name} ({other.__module__}) do not; give one of "
                "them another name"
            )
    derived: dict[str, Any] = {"when": _any([_condition(*pair) for pair in owners])}
    if all(is_added(m) and m.selector is None for m, _ in owners):
        # An installed plug-in changes no space that does not name it.
        derived |= {"searched": False, "suits": None}
    return Parameter(**{**vars(first), **derived}, owners=tuple(m for m, _ in owners))


def _condition(method: type[Method], own: Setting) -> Condition:
    """When a trial samples a setting: its method applies, and its own condition holds.

    A plug-in's that needs the loop over time leaves alone what goes without; freerun's say so.
    """
    when = _both(method.presence(), own.when)
    if is_added(method) and (own.nonlinear or own.loops):
        when = _both(when, READS if method.shapes_forecast else AllOf(READS, FEEDS_BACK_EACH))
    return when


_ALIKE = ("values", "default", "neutral", "shared", "searched", "nonlinear", "loops")


def _shape(own: Setting) -> tuple[object, ...]:
    """What has to be equal for two settings to be one parameter."""
    return tuple(getattr(own, name) for name in _ALIKE)


def _both(one: Condition, other: Condition) -> Condition:
    both = [condition for condition in (one, other) if condition is not ALWAYS]
    return both[0] if len(both) == 1 else AllOf(*both)


def _any(conditions: Sequence[Condition]) -> Condition:
    """One of some conditions; those that name methods of one selector are a single one."""
    named = [condition for condition in conditions if isinstance(condition, Is)]
    if len(named) == len(conditions) and len({condition.name for condition in named}) == 1:
        return Is(named[0].name, tuple(value for own in named for value in own.values))
    return conditions[0] if len(conditions) == 1 else AnyOf(*conditions)
