"""Ablation: what a candidate has beyond a plain one, and itself without each of it.

Each component is some parameters and the values that they have without it. Without one, the
candidate keeps everything else, so that what is lost is what the component is worth beside the
others; a component that is only needed where another is missing shows no loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.candidate import Candidate
from models.methods import MethodSet, Scalar
from models.network.options.channels import INDEPENDENT, TIED, Channels
from models.network.options.context import Context
from search.errors import UsageError
from search.study.space.parameter import parameters
from search.study.space.space import CHANNELS, Space, resolve_params


@dataclass(frozen=True)
class Component:
    """name: a word or two. without: what the candidate does instead. values: of parameters."""

    name: str
    without: str
    values: Mapping[str, Scalar]


def components() -> dict[str, Component]:
    """All components by their names, in the order of the parameters that have an ablation."""
    found = {}
    for parameter in parameters():
        if (ablation := parameter.ablation) is None:
            continue
        name, values = ablation.name or parameter.name.replace("_", " "), ablation.values
        if values is None:
            assert parameter.neutral is not None
            values = {parameter.name: parameter.neutral}
        found[name] = Component(name, ablation.instead, values)
    return found


def without_each(space: Space, params: Mapping[str, Scalar | None]) -> dict[str, Candidate]:
    """Return the candidate of a trial's parameters without each component that it has, by name.

    Left out are components that the candidate does not have, and those without which it would
    be none (a parameter that it then needs has no value).
    """
    whole = space.resolve(params)
    known = {k: v for k, v in {**space.fixed(params), **params}.items() if v is not None}
    # A window MLP samples no context, but another cell in its place needs one.
    context = whole.find(Context)
    if context is not None:
        known.setdefault(Context.selector.name, context.name)
    # Nor are channels sampled where all of them at once would be too large.
    channels = whole.find(Channels)
    if channels is not None:
        known.setdefault(CHANNELS, channels.channels)
    if known.get(TIED):
        # Without ties, all of them at once may be too large.
        known[CHANNELS] = INDEPENDENT
    found: dict[str, Candidate] = {}
    for component in components().values():
        try:
            candidate = resolve_params(_applying({**known, **component.values}))
        except UsageError:
            continue
        if candidate != whole:
            found[component.name] = candidate
    return found


def taken_along(space: Space, params: Mapping[str, Scalar | None]) -> dict[str, tuple[str, ...]]:
    """Return what else a candidate loses with each of its components, by name.

    A component rests on another where it can't be without it: windows have no state to run on, so
    without its context a candidate is without all that made its state. What is lost then is worth
    all of them together.
    """
    whole = _flat(space.resolve(params))
    without = {name: _flat(plain) for name, plain in without_each(space, params).items()}
    changes = {
        name: {field: value for field, value in plain.items() if value != whole[field]}
        for name, plain in without.items()
    }
    return {
        name: tuple(
            other
            for other, change in changes.items()
            if other != name and change.items() <= plain.items()
        )
        for name, plain in without.items()
    }


def _flat(candidate: MethodSet) -> dict[str, Scalar | None]:
    """Every setting by name: neutral where no method of the candidate has it."""
    values = candidate.values()
    return {own.name: values.get(own.name, own.neutral) for own in parameters()}


def _applying(params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The parameters whose conditions hold, given those before them."""
    kept: dict[str, Scalar] = {}
    for parameter in parameters():
        if parameter.name in params and parameter.when.holds(kept):
            kept[parameter.name] = params[parameter.name]
    return kept
