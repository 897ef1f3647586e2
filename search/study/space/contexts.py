"""How many true values the candidates of a space read before a free run."""

from collections.abc import Iterable

from models.methods import (
    Choices,
    Domain,
    Flag,
    Method,
    Names,
    Scalar,
    Whole,
    largest,
    smallest,
)
from models.methods.condition import names_in
from models.methods.method import Core
from models.network.architecture import Architecture
from models.network.options.context import Context
from models.network.options.segments import Segments
from models.network.options.transforms import SeasonalDifference
from search.plugins import PRESET
from search.study.space.parameter import Parameter, parameter_named
from search.study.space.space import Space


def context_range(space: Space, preset: str | None = None) -> tuple[int, int]:
    """Return the least and the greatest context of a space's candidates, or of one preset's.

    It makes the architectures with every choice of a method and the ends of the whole numbers that
    their contexts depend on.
    """
    names = space.presets if preset is None else [preset]
    found: list[dict[str, Scalar]] = [{PRESET: name} for name in names] or [{}]
    for parameter in filter(None, map(parameter_named, space.domains)):
        name, ends, grown = parameter.name, _ends(parameter, space.domains[parameter.name]), []
        for params in found:
            known = {**space.fixed(params), **params}
            is_sampled = name not in known and parameter.when.holds(known)
            grown += [{**params, name: end} for end in ends] if is_sampled else [params]
        found = grown
    # Not the whole candidates, which bring torch.
    whole = ({**space.fixed(params), **params} for params in found)
    contexts = {Architecture.of(params).shown_steps for params in whole}
    return min(contexts), max(contexts)


def context_names(space: Space) -> tuple[str, ...]:
    """Return the parameters that decide how many values a candidate reads.

    Candidates of a space that are equal in these read equally many.
    """
    found = {PRESET}
    for parameter in filter(None, map(parameter_named, space.domains)):
        # A context is counted, so no real number decides it.
        is_counted = isinstance(parameter.values, Whole | Names | Flag)
        if is_counted and any(map(_sets_context, parameter.owners)):
            read = names_in(parameter.when)
            if read is None:
                return tuple(space.domains)
            found |= {parameter.name} | read
    return tuple(name for name in space.domains if name in found)


def _ends(parameter: Parameter, domain: Domain) -> Iterable[Scalar]:
    """The values of a parameter that lead to the ends of the contexts; one where none matters."""
    matters = any(map(_sets_context, parameter.owners))
    if matters and isinstance(parameter.values, Whole):
        return {smallest(domain), largest(domain)}
    if not isinstance(domain, Choices):
        return [domain.low]
    return domain.values if matters and isinstance(parameter.values, Names) else domain.values[:1]


def _sets_context(method: type[Method]) -> bool:
    if issubclass(method, Core):
        return method.context_steps is not Core.context_steps
    return issubclass(method, Context | Segments | SeasonalDifference)
